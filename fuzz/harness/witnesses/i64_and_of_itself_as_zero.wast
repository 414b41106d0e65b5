;; Fails while the fault `i64_and_of_itself_as_zero` is on.
(module
  (func (export "f") (param i64) (result i64)
    (i64.and (local.get 0) (local.get 0))))
(assert_return (invoke "f" (i64.const 5)) (i64.const 5))
