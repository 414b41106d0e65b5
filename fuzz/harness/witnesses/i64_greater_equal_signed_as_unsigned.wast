;; Fails while the fault `i64_greater_equal_signed_as_unsigned` is on.
(module
  (func (export "f") (param i64 i64) (result i32)
    (i64.ge_s (local.get 0) (local.get 1))))
(assert_return (invoke "f" (i64.const -1) (i64.const 1)) (i32.const 0))
