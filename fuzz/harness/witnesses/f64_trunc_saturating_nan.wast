;; Fails while the fault `f64_trunc_saturating_nan` is on.
(module
  (func (export "f") (param f64) (result i64)
    (i64.trunc_sat_f64_s (local.get 0))))
(assert_return (invoke "f" (f64.const nan)) (i64.const 0))
