;; Functions of exported instances are named by the export, `#`, and their own name.
;; RUN: run --invoke ns:pkg/maths@1.0.0#add(1,2) {file}
;; RUN: run --invoke ns:pkg/maths@1.0.0#ad(1,2) {file}
;; RUN: run --invoke ns:pkg/maths@1.0.0(1,2) {file}
;; RUN: run --invoke one() {file}
(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "one") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "one") (result u32) (canon lift (core func $i "one")))
  (instance $maths (export "add" (func $add)))
  (export "ns:pkg/maths@1.0.0" (instance $maths)))
