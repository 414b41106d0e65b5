;; Fails while the fault `f32_not_equal_ordered` is on.
(module
  (func (export "f") (param f32 f32) (result i32)
    (f32.ne (local.get 0) (local.get 1))))
(assert_return (invoke "f" (f32.const nan) (f32.const nan)) (i32.const 1))
