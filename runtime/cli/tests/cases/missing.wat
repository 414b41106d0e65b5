;; Every missing import is named with its type.
;; RUN: run {file}
(module
  (import "env" "log" (func (param i32 f64) (result i64)))
  (import "env" "memory" (memory 1 2))
  (import "wasi_snapshot_preview1" "fd_wirte" (func (param i32) (result i32)))
  (func (export "_start")))
