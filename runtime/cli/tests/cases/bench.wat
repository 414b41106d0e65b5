;; The imports of benchmark programs.
;; RUN: run {file}
(module
  (import "bench" "start" (func $start))
  (import "bench" "end" (func $end))
  (func (export "_start")
    (call $start)
    (call $end)))
