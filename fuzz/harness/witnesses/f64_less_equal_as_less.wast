;; Fails while the fault `f64_less_equal_as_less` is on.
(module
  (func (export "f") (param f64 f64) (result i32)
    (f64.le (local.get 0) (local.get 1))))
(assert_return (invoke "f" (f64.const 1) (f64.const 1)) (i32.const 1))
