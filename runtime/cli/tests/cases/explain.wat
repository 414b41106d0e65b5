;; What is made of a component.
;; RUN: explain {file}
;; RUN: explain --linear {file}
;; RUN: explain --dot {file}
;; RUN: explain --plan n6 {file}
;; RUN: explain --plan n1 {file}
(component
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
      (func (export "len") (param i32 i32) (result i32) local.get 1))
    (core instance $i (instantiate $m))
    (func (export "len") (param "text" string) (result u32)
      (canon lift (core func $i "len") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (component $caller
    (import "len" (func $len (param "text" string) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $mem (instantiate $memory))
    (core func $len (canon lower (func $len) (memory (core memory $mem "memory")) string-encoding=utf16))
    (core module $m
      (import "" "len" (func $len (param i32 i32) (result i32)))
      (func (export "run") (result i32) (call $len (i32.const 0) (i32.const 4))))
    (core instance $i (instantiate $m (with "" (instance (export "len" (func $len))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "len" (func $callee "len"))))
  (export "run" (func $caller "run")))
