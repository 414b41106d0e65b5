;; Fails while the fault `f64_convert_unsigned_as_signed` is on.
(module
  (func (export "f") (param i64) (result f64)
    (f64.convert_i64_u (local.get 0))))
(assert_return (invoke "f" (i64.const -1)) (f64.const 18446744073709551616))
