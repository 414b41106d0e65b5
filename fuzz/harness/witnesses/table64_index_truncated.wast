;; Fails while the fault `table64_index_truncated` is on.
(module (table i64 10 funcref)
  (func (export "f") (param i64) (result funcref)
    (table.get (local.get 0))))
(assert_trap (invoke "f" (i64.const 0x100000000)) "out of bounds table access")
