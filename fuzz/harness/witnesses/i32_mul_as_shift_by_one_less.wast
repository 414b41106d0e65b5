;; Fails while the fault `i32_mul_as_shift_by_one_less` is on.
(module
  (func (export "f") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 8))))
(assert_return (invoke "f" (i32.const 3)) (i32.const 24))
