;; A start function that traps.
;; RUN: run {file}
(module
  (func $start (unreachable))
  (start $start))
