;; Fails while the fault `table_fill_partial_before_trap` is on.
(module
  (table 3 externref)
  (func (export "get") (param i32) (result externref) (table.get (local.get 0)))
  (func (export "fill") (param externref) (table.fill (i32.const 1) (local.get 0) (i32.const 10))))
(assert_trap (invoke "fill" (ref.extern 10)) "out of bounds table access")
(assert_return (invoke "get" (i32.const 1)) (ref.null extern))
