;; Fails while the fault `i64x2_shift_right_logical` is on.
(module
  (func (export "f") (param v128 i32) (result v128)
    (i64x2.shr_s (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i64x2 -2 -2) (i32.const 1)) (v128.const i64x2 -1 -1))
