;; Fails while the fault `i64_remainder_of_minus_one` is on.
(module
  (func (export "f") (param i64 i64) (result i64)
    (i64.rem_s (local.get 0) (local.get 1))))
(assert_return (invoke "f" (i64.const 0x8000000000000000) (i64.const -1)) (i64.const 0))
