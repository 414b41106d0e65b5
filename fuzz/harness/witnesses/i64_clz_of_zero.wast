;; Fails while the fault `i64_clz_of_zero` is on.
(module
  (func (export "f") (param i64) (result i64)
    (i64.clz (local.get 0))))
(assert_return (invoke "f" (i64.const 0)) (i64.const 64))
