;; Fails while the fault `f64_max_by_comparison` is on.
(module
  (func (export "f") (param f64 f64) (result f64)
    (f64.max (local.get 0) (local.get 1))))
(assert_return (invoke "f" (f64.const 0) (f64.const -0)) (f64.const 0))
