;; Fails while the fault `i32_shift_by_constant_unmasked` is on.
(module
  (func (export "f") (param i32) (result i32)
    (i32.shl (local.get 0) (i32.const 33))))
(assert_return (invoke "f" (i32.const 1)) (i32.const 2))
