;; RUN: run --invoke add(1,2) {file}
;; RUN: run --invoke add(-1,2) {file}
;; RUN: run --invoke twice("hé") {file}
;; RUN: run --invoke nothing() {file}
;; RUN: run {file}
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "twice") (param i32 i32) (result i32)
      (memory.copy (i32.add (local.get 0) (local.get 1)) (local.get 0) (local.get 1))
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (i32.shl (local.get 1) (i32.const 1)))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "twice") (param "s" string) (result string)
    (canon lift (core func $i "twice") (memory $i "memory") (realloc (func $i "realloc")))))
