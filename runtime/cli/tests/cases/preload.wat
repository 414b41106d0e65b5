;; One module's exports for another's imports.
;; FILE: lib.wat (module (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
;; RUN: run --preload lib={dir}/lib.wat --invoke f {file} 21
;; RUN: run --preload {dir}/lib.wat --invoke f {file} 21
;; RUN: run --invoke f {file} 21
;; RUN: run --preload other={dir}/lib.wat --invoke f {file} 21
(module
  (import "lib" "twice" (func $twice (param i32) (result i32)))
  (func (export "f") (param i32) (result i32) (call $twice (local.get 0))))
