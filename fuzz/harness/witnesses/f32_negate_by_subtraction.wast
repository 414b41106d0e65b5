;; Fails while the fault `f32_negate_by_subtraction` is on.
(module
  (func (export "f") (param f32) (result f32)
    (f32.neg (local.get 0))))
(assert_return (invoke "f" (f32.const 0)) (f32.const -0))
