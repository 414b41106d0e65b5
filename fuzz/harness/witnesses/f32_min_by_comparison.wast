;; Fails while the fault `f32_min_by_comparison` is on.
(module
  (func (export "f") (param f32 f32) (result f32)
    (f32.min (local.get 0) (local.get 1))))
(assert_return (invoke "f" (f32.const -0) (f32.const 0)) (f32.const -0))
