;; Preopened directories: reading, writing, staying inside. The status is the error number of the last call.
;; FILE: greeting.txt hello from a file
;; RUN: run --invoke read --dir {dir} {file}
;; RUN: run --invoke read --dir {dir}::/guest::ro {file}
;; RUN: run --invoke write --dir {dir}::/guest::ro {file}
;; RUN: run --invoke write --dir {dir} {file}
;; RUN: run --invoke write --dir {dir} {file}
;; RUN: run --invoke escape --dir {dir} {file}
;; RUN: run --invoke read {file}
;; RUN: run --invoke read --dir {dir}/missing::/x {file}
;; RUN: run --invoke read --dir {dir}::/x::rx {file}
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "greeting.txt")
  (data (i32.const 16) "../secret")
  (data (i32.const 32) "new.txt")
  (data (i32.const 48) "\00\04\00\00\80\00\00\00")
  (func (export "read") (result i32) (local $errno i32)
    (local.set $errno
      (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 12) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
    (if (local.get $errno) (then (return (local.get $errno))))
    (drop (call $fd_read (i32.load (i32.const 64)) (i32.const 48) (i32.const 1) (i32.const 52)))
    (call $fd_write (i32.const 2) (i32.const 48) (i32.const 1) (i32.const 68)))
  (func (export "write") (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 7) (i32.const 5)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64)))
  (func (export "escape") (result i32)
    (call $open (i32.const 3) (i32.const 1) (i32.const 16) (i32.const 9) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))))
