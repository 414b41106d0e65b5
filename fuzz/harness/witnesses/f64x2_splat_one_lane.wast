;; Fails while the fault `f64x2_splat_one_lane` is on.
(module
  (func (export "f") (param f64) (result v128)
    (f64x2.splat (local.get 0))))
(assert_return (invoke "f" (f64.const 1)) (v128.const f64x2 1 1))
