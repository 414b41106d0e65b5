;; Fails while the fault `i16x8_avgr_without_rounding` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (i16x8.avgr_u (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i16x8 1 1 1 1 1 1 1 1) (v128.const i16x8 2 2 2 2 2 2 2 2)) (v128.const i16x8 2 2 2 2 2 2 2 2))
