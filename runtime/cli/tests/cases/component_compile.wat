;; Compiling a component ahead of time. The forged artifact has the magic and nothing else that fits.
;; RUN: compile {file} -o {dir}/c.cwasm
;; RUN: run --invoke add(1,2) {dir}/c.cwasm
;; RUN: run --allow-precompiled --invoke add(1,2) {dir}/c.cwasm
;; RUN: compile {dir}/c.cwasm -o {dir}/again
;; RUN: inspect {dir}/c.cwasm
;; RUN: run --allow-precompiled --opt fuel=true --invoke add(1,2) {dir}/c.cwasm
;; RUN: run --opt fuel=true --opt epoch=true --invoke add(1,2) {file}
;; FILE: forged wattestC and then what no compiler wrote
;; RUN: run --allow-precompiled --invoke add(1,2) {dir}/forged
;; FILE: cut wattestC
;; RUN: run --allow-precompiled --invoke add(1,2) {dir}/cut
(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
