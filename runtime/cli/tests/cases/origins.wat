;; Where missing imports may come from.
;; RUN: run {file}
(module
  (import "env" "emscripten_resize_heap" (func (param i32) (result i32)))
  (import "env" "puts" (func (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_raed" (func (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))
  (import "wbg" "__wbg_log_1" (func))
  (import "gojs" "runtime.wasmExit" (func (param i32)))
  (func (export "_start")))
