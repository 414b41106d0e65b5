;; Fails while the fault `table_set_bounds_inclusive` is on.
(module
  (table 4 externref)
  (func (export "get") (param i32) (result externref) (table.get (local.get 0))))
(assert_trap (invoke "get" (i32.const 4)) "out of bounds table access")
