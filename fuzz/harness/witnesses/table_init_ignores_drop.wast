;; Fails while the fault `table_init_ignores_drop` is on.
(module (table 3 funcref) (elem func $g) (func $g)
  (func (export "f") 
    (elem.drop 0)
    (table.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))
(assert_trap (invoke "f") "out of bounds table access")
