;; The module `old` in terms of the interface `console`: it works in the memory of the module that it adapts.
(module
  (import "test:hello/console" "log" (func $log (param i32 i32)))
  (import "env" "memory" (memory 0))
  (func (export "log") (param i32 i32) (call $log (local.get 0) (local.get 1))))
