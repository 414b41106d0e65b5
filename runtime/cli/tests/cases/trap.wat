;; Traps end with status 134 and a backtrace.
;; RUN: run {file}
;; RUN: run --invoke deep {file}
;; RUN: run --invoke endless {file}
(module $calculator
  (func $divide (param i32 i32) (result i32)
    (i32.div_u (local.get 0) (local.get 1)))
  (func $outer (result i32)
    (call $divide (i32.const 1) (i32.const 0)))
  (func (export "_start")
    (drop (call $outer)))
  (memory 1)
  (func (export "deep") (result i32)
    (i32.load (i32.const 0x7fffffff)))
  (func $endless (export "endless")
    (call $endless)
    (call $endless)))
