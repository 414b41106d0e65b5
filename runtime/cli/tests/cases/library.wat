;; Calling functions of a library.
;; RUN: run {file}
;; RUN: run --invoke add {file} 1 0x10
;; RUN: run --invoke add {file} -1 4294967295
;; RUN: run --invoke swap {file} 1.5 -nan
;; RUN: run --invoke vector {file} i32x4:1,2,3,4
;; RUN: run --invoke reference {file} null
;; RUN: run --invoke ad {file} 1 2
;; RUN: run --invoke add {file} 1
;; RUN: run --invoke add {file} 1 two
;; RUN: run --invoke swap {file} one 2
;; RUN: run --invoke memory {file}
(module
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "swap") (param f32 f64) (result f64 f32)
    (local.get 1)
    (local.get 0))
  (func (export "vector") (param v128) (result v128)
    (i32x4.add (local.get 0) (local.get 0)))
  (func (export "reference") (param externref) (result i32)
    (ref.is_null (local.get 0))))
