;; What a module consists of.
;; RUN: inspect {file}
;; RUN: inspect --json {file}
(module $shapes
  (import "env" "print" (func (param i32)))
  (memory (export "memory") 1 4)
  (global (export "counter") (mut i64) (i64.const 0))
  (table (export "table") 2 funcref)
  (func (export "both") (param v128) (result v128 i32)
    (local.get 0)
    (i32.const 1)))
