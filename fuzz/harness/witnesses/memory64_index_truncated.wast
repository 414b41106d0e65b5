;; Fails while the fault `memory64_index_truncated` is on.
(module (memory i64 1)
  (func (export "f") (param i64) (result i32)
    (i32.load (local.get 0))))
(assert_trap (invoke "f" (i64.const 0x100000000)) "out of bounds memory access")
