;; Standard output, and the ways to name a file.
;; RUN: run {file}
;; RUN: {file}
;; RUN: -O none {file}
;; RUN: run --no-cache {file}
;; RUN: run --cache {file}
;; RUN: run --cache {file}
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\06\00\00\00\16\00\00\00\08\00\00\00hello,\20world\21\0a")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 100)))))
