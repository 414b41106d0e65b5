;; Fails while the fault `f64_copysign_swapped` is on.
(module
  (func (export "f") (param f64 f64) (result f64)
    (f64.copysign (local.get 0) (local.get 1))))
(assert_return (invoke "f" (f64.const 1) (f64.const -2)) (f64.const -1))
