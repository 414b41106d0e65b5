;; What can be wrong with calling a component's function, and a trap in one.
;; RUN: run --invoke divied(1,2) {file}
;; RUN: run --invoke tools {file}
;; RUN: run --invoke divide(1,"two") {file}
;; RUN: run --invoke divide(1,4294967296) {file}
;; RUN: run --invoke divide(1) {file}
;; RUN: run --invoke divide(1,2,3) {file}
;; RUN: run --invoke divide(1,,2) {file}
;; RUN: run --invoke sum([1,2,-3]) {file}
;; RUN: run --invoke divide {file} 1 2
;; RUN: run --invoke divide(7,2) {file}
;; RUN: run --invoke divide(1,0) {file}
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "sum") (param i32 i32) (result i32) (i32.const 6))
    (func $divide (export "divide") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func $divide (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "divide")))
  (func (export "sum") (param "of" (list u8)) (result u32)
    (canon lift (core func $i "sum") (memory $i "memory") (realloc (func $i "realloc"))))
  (instance $tools (export "divide" (func $divide)))
  (export "tools" (instance $tools))
  (export "divide" (func $divide)))
