;; Fails while the fault `f32_sqrt_of_negative_zero` is on.
(module
  (func (export "f") (param f32) (result f32)
    (f32.sqrt (local.get 0))))
(assert_return (invoke "f" (f32.const -0)) (f32.const -0))
