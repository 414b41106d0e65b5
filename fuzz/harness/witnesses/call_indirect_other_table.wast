;; Fails while the fault `call_indirect_other_table` is on.
(module
  (table $a 1 funcref) (table $b 1 funcref)
  (elem (table $a) (i32.const 0) func $one) (elem (table $b) (i32.const 0) func $two)
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func (export "f") (result i32) (call_indirect $b (result i32) (i32.const 0))))
(assert_return (invoke "f") (i32.const 2))
