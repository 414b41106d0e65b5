;; Asynchronous lifts that finish at once, lowered both ways from a sibling.
(component
  (component $callee
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "return" (func $return (param i32)))
      (func (export "double") (param i32) (result i32)
        (call $return (i32.mul (local.get 0) (i32.const 2))) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "double") async (param "n" u32) (result u32)
      (canon lift (core func $i "double") async (callback (core func $i "callback")))))
  (component $caller
    (import "double" (func $double async (param "n" u32) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $mem (instantiate $memory))
    (core func $sync (canon lower (func $double)))
    (core func $async (canon lower (func $double) async (memory (core memory $mem "memory"))))
    (core module $m
      (import "" "sync" (func (param i32) (result i32)))
      (import "" "async" (func (param i32 i32) (result i32)))
      (func (export "run") (result i32) (call 0 (i32.const 21))))
    (core instance $i (instantiate $m (with "" (instance
      (export "sync" (func $sync)) (export "async" (func $async))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "double" (func $callee "double"))))
  (export "run" (func $caller "run")))
