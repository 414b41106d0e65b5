;; What was there when the guest trapped, as a module that tools can read.
;; RUN: run --coredump {dir}/core.wasm {file}
;; RUN: validate {dir}/core.wasm
;; RUN: inspect {dir}/core.wasm
;; RUN: run --coredump {dir}/none/core.wasm {file}
;; RUN: run --coredump {dir}/unused.wasm {cases}/hello.wat
;; RUN: inspect {dir}/unused.wasm
(module $program
  (memory 2)
  (memory 1)
  (global (mut i64) (i64.const 7))
  (global i32 (i32.const 8))
  (data (i32.const 70000) "here")
  (func $inner unreachable)
  (func (export "_start")
    (global.set 0 (i64.const 9))
    (call $inner)))
