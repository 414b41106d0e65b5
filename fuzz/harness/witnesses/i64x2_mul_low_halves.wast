;; Fails while the fault `i64x2_mul_low_halves` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (i64x2.mul (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i64x2 0x100000001 3) (v128.const i64x2 2 2)) (v128.const i64x2 0x200000002 6))
