;; RUN: inspect {file}
;; RUN: inspect --json {file}
(component
  (import "log" (func $log (param "code" u32) (result bool)))
  (import "host" (instance $host
    (export "file" (type $file (sub resource)))
    (export "size" (func (param "f" (borrow $file)) (result u64)))))
  (core func $log' (canon lower (func $log)))
  (core func $size (canon lower (func $host "size")))
  (core module $m
    (import "host" "log" (func (param i32) (result i32)))
    (import "host" "size" (func (param i32) (result i64)))
    (memory (export "memory") 1)
    (func (export "parse") (param i32 i32) (result i32) unreachable)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core module $empty)
  (core instance (instantiate $empty))
  (core instance $i (instantiate $m (with "host" (instance
    (export "log" (func $log')) (export "size" (func $size))))))
  (func $parse (param "text" string) (result (result (list u8) (error string)))
    (canon lift (core func $i "parse") (memory $i "memory") (realloc (func $i "realloc"))))
  (instance $tools (export "parse" (func $parse)))
  (export "tools" (instance $tools))
  (export "parse" (func $parse)))
