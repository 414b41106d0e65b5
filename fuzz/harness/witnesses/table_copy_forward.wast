;; Fails while the fault `table_copy_forward` is on.
(module
  (table 4 externref)
  (func (export "set") (param i32 externref) (table.set (local.get 0) (local.get 1)))
  (func (export "get") (param i32) (result externref) (table.get (local.get 0)))
  (func (export "copy") (table.copy (i32.const 1) (i32.const 0) (i32.const 3))))
(invoke "set" (i32.const 0) (ref.extern 10))
(invoke "set" (i32.const 1) (ref.extern 11))
(invoke "set" (i32.const 2) (ref.extern 12))
(invoke "copy")
(assert_return (invoke "get" (i32.const 2)) (ref.extern 11))
(assert_return (invoke "get" (i32.const 3)) (ref.extern 12))
