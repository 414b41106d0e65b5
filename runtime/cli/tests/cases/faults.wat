;; Accesses out of bounds show where, and how large the memory or table is.
;; RUN: run --invoke load {file}
;; RUN: run --invoke store {file}
;; RUN: run --invoke across {file}
;; RUN: run --invoke fill {file}
;; RUN: run --invoke copy {file}
;; RUN: run --invoke init {file}
;; RUN: run --invoke segment {file}
;; RUN: run --invoke empty {file}
;; RUN: run --invoke wide {file}
;; RUN: run --opt signals-based-traps=false --invoke fill {file}
;; RUN: run --opt signals-based-traps=false --invoke wide {file}
;; RUN: run --opt explicit-bounds=true --invoke across {file}
;; RUN: run --invoke element {file}
;; RUN: run --invoke elements {file}
(module
  (memory 2)
  (memory $empty 0)
  (memory $wide i64 1)
  (table $table 4 funcref)
  (data $segment "abc")
  (func (export "load") (result i32) (i32.load offset=16 (i32.const 0x7fffffff)))
  (func (export "store") (i64.store (i32.const -1) (i64.const 1)))
  (func (export "across") (result i64) (i64.load (i32.const 0x1fffc)))
  (func (export "fill") (memory.fill (i32.const 0x1fff0) (i32.const 0) (i32.const 17)))
  (func (export "copy") (memory.copy (i32.const 0) (i32.const 0x20000) (i32.const 1)))
  (func (export "init") (memory.init $segment (i32.const 0x1ffff) (i32.const 0) (i32.const 2)))
  (func (export "segment") (memory.init $segment (i32.const 0) (i32.const 0) (i32.const 4)))
  (func (export "empty") (result i32) (i32.load $empty (i32.const 0)))
  (func (export "wide") (result i32) (i32.load $wide (i64.const 0x1_0000_0000)))
  (func (export "element") (table.set $table (i32.const 9) (ref.null func)))
  (func (export "elements") (table.fill $table (i32.const 2) (ref.null func) (i32.const 3))))
