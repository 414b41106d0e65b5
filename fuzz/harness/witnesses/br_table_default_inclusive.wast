;; Fails while the fault `br_table_default_inclusive` is on.
(module
  (func (export "f") (param i32) (result i32)
    (block $default (block $one (block $zero
      (br_table $zero $one $default (local.get 0)))
      (return (i32.const 10)))
      (return (i32.const 11)))
    (i32.const 12)))
(assert_return (invoke "f" (i32.const 1)) (i32.const 11))
(assert_return (invoke "f" (i32.const 2)) (i32.const 12))
