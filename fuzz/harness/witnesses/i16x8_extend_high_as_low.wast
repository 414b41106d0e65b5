;; Fails while the fault `i16x8_extend_high_as_low` is on.
(module
  (func (export "f") (param v128) (result v128)
    (i16x8.extend_high_i8x16_s (local.get 0))))
(assert_return (invoke "f" (v128.const i64x2 0 -1)) (v128.const i64x2 -1 -1))
