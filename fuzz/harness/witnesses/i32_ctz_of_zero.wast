;; Fails while the fault `i32_ctz_of_zero` is on.
(module
  (func (export "f") (param i32) (result i32)
    (i32.ctz (local.get 0))))
(assert_return (invoke "f" (i32.const 0)) (i32.const 32))
