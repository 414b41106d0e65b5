;; Fails while the fault `memory64_sum_wraps` is on.
;; options: explicit-bounds=true signals-based-traps=false
(module (memory i64 1)
  (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
  (func (export "f") (param i64) (result i32)
    (i32.load8_u offset=65536 (local.get 0))))
(assert_trap (invoke "f" (i64.const -65536)) "out of bounds memory access")
