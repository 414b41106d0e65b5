;; Compiling ahead of time.
;; RUN: compile {file}
;; RUN: compile {file} -o {dir}/x.cwasm
;; RUN: run {dir}/x.cwasm
;; RUN: run --allow-precompiled --invoke answer {dir}/x.cwasm
;; RUN: compile {dir}/x.cwasm -o {dir}/y
;; RUN: compile {file} -o {dir}/missing/x
;; RUN: run --allow-precompiled --opt fuel=true --invoke answer {dir}/x.cwasm
(module
  (func (export "answer") (result i32) (i32.const 42)))
