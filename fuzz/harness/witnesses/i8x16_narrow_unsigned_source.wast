;; Fails while the fault `i8x16_narrow_unsigned_source` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (i8x16.narrow_i16x8_u (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i16x8 -1 -1 -1 -1 -1 -1 -1 -1) (v128.const i16x8 -1 -1 -1 -1 -1 -1 -1 -1)) (v128.const i64x2 0 0))
