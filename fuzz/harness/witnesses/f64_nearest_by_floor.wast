;; Fails while the fault `f64_nearest_by_floor` is on.
(module
  (func (export "f") (param f64) (result f64)
    (f64.nearest (local.get 0))))
(assert_return (invoke "f" (f64.const 2.5)) (f64.const 2))
