;; What was denied, and which option grants it.
;; FILE: data.txt contents
;; RUN: run --deny-report --ro {dir}::/data --invoke unlink {file}
;; RUN: run --deny-report --dir {dir}::/data --invoke outside {file}
;; RUN: run --deny-report --dir {dir}::/data --invoke unlink {file}
;; RUN: run --deny-report --invoke look {file}
;; RUN: run --trace-wasi --ro {dir}::/data --invoke unlink {file}
(module
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "data.txt")
  (data (i32.const 100) "../secret")
  (func (export "unlink") (result i32) (call $unlink (i32.const 3) (i32.const 0) (i32.const 8)))
  (func (export "outside") (result i32)
    (call $stat (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 9) (i32.const 200)))
  (func (export "look") (result i32) (call $prestat (i32.const 3) (i32.const 200))))
