;; Imports that nothing provides, for guests that may not call them.
;; RUN: run {file}
;; RUN: run -W unknown-imports-trap {file}
;; RUN: run -W unknown-imports-trap --invoke log {file}
;; RUN: run -W unknown-imports-trap --invoke f {cases}/component_missing.wat
(module
  (import "env" "log" (func $log (param i32)))
  (func (export "_start"))
  (func (export "log") (call $log (i32.const 1))))
