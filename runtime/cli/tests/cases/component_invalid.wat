;; An error in a module within a component is at its place in the component.
;; RUN: run {file}
;; RUN: validate {file}
(component
  (core module $first (func (export "f")))
  (core module $second
    (func $good)
    (func $wrong (export "sum") (param i32) (result i32)
      local.get 0
      f32.const 1
      i32.add)))
