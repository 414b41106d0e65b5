;; Fails while the fault `i64_shift_by_constant_unmasked` is on.
(module
  (func (export "f") (param i64) (result i64)
    (i64.shr_u (local.get 0) (i64.const 65))))
(assert_return (invoke "f" (i64.const 4)) (i64.const 2))
