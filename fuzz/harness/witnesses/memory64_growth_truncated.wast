;; Fails while the fault `memory64_growth_truncated` is on.
(module (memory i64 1)
  (func (export "f") (param i64) (result i64)
    (memory.grow (local.get 0))))
(assert_return (invoke "f" (i64.const 0x100000000)) (i64.const -1))
