;; Fails while the fault `f64_abs_of_nan` is on.
(module
  (func (export "f") (param i64) (result i64)
    (i64.reinterpret_f64 (f64.abs (f64.reinterpret_i64 (local.get 0))))))
(assert_return (invoke "f" (i64.const 0xfff8000000000000)) (i64.const 0x7ff8000000000000))
