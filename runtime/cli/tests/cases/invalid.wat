;; A module that is not valid.
;; RUN: run {file}
;; RUN: compile {file} -o {dir}/x
;; RUN: inspect {file}
(module
  (func (result i32) (nop))
  (func $broken (result i32) (i64.const 1)))
