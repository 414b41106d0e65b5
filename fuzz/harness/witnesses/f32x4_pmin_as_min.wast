;; Fails while the fault `f32x4_pmin_as_min` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (f32x4.pmin (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const f32x4 1 1 1 1) (v128.const f32x4 nan nan nan nan)) (v128.const f32x4 1 1 1 1))
