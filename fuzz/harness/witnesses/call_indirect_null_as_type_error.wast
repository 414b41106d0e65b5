;; Fails while the fault `call_indirect_null_as_type_error` is on.
(module (type $i (func (result i32))) (type $l (func (result i64))) (table 3 funcref) (elem (i32.const 0) func $a $b) (func $a (result i32) (i32.const 5)) (func $b (result i64) (i64.const 6)) (func (export "set") (param i32) (table.set (local.get 0) (ref.null func)))
  (func (export "f") (param i32) (result i32)
    (call_indirect (type $i) (local.get 0))))
(assert_trap (invoke "f" (i32.const 2)) "uninitialized element")
