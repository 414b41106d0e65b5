;; Fails while the fault `i8x16_add_saturating_wraps` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (i8x16.add_sat_s (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i8x16 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100) (v128.const i8x16 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100)) (v128.const i8x16 127 127 127 127 127 127 127 127 127 127 127 127 127 127 127 127))
