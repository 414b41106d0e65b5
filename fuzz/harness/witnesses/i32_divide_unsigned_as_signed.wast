;; Fails while the fault `i32_divide_unsigned_as_signed` is on.
(module
  (func (export "f") (param i32 i32) (result i32)
    (i32.div_u (local.get 0) (local.get 1))))
(assert_return (invoke "f" (i32.const -1) (i32.const 2)) (i32.const 0x7fffffff))
