;; Fails while the fault `table_grow_with_null` is on.
(module
  (table 1 externref)
  (func (export "get") (param i32) (result externref) (table.get (local.get 0)))
  (func (export "grow") (param externref) (result i32) (table.grow (local.get 0) (i32.const 1))))
(assert_return (invoke "grow" (ref.extern 10)) (i32.const 1))
(assert_return (invoke "get" (i32.const 1)) (ref.extern 10))
