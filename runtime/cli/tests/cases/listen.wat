;; Sockets that a module is handed: where they can listen, and for whom they are. What is done with one is in `listen.rs`.
;; RUN: run --listen nowhere {file}
;; RUN: run --listen 127.0.0.1:99999 {file}
;; RUN: run -S tcplisten=192.0.2.1:40001 {file}
;; RUN: run -S tcplisten {file}
;; RUN: run --listen 127.0.0.1:1 {cases}/component_hello.wat
;; RUN: run {file}
(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  ;; Without the option there is no descriptor 3.
  (func (export "_start") (call $exit (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))))
