;; A component with imports: all that are missing are told.
;; RUN: run --invoke go() {file}
(component
  (import "log" (func $log (param "code" u32) (result bool)))
  (import "wasi:example/files@0.2.0" (instance $host
    (export "file" (type $file (sub resource)))
    (export "size" (func (param "f" (borrow $file)) (result u64)))))
  (core func $log' (canon lower (func $log)))
  (core func $size (canon lower (func $host "size")))
  (core module $m
    (import "host" "log" (func (param i32) (result i32)))
    (import "host" "size" (func (param i32) (result i64)))
    (func (export "go")))
  (core instance $i (instantiate $m (with "host" (instance
    (export "log" (func $log')) (export "size" (func $size))))))
  (func (export "go") (canon lift (core func $i "go"))))
