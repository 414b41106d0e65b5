;; Fails while the fault `i64_extend_unsigned_as_signed` is on.
(module
  (func (export "f") (param i32) (result i64)
    (i64.extend_i32_u (local.get 0))))
(assert_return (invoke "f" (i32.const -1)) (i64.const 0xffffffff))
