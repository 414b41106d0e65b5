;; Built-ins of every kind, and a lowered function of the same instance, which can only trap.
(component
  (core module $memory
    (memory (export "memory") 1)
    (table (export "table") 1 funcref)
    (func (export "callback") (param i32 i32 i32) (result i32) i32.const 0)
    (func (export "run") (result i32) i32.const 0))
  (core instance $mem (instantiate $memory))
  (type $future (future u32))
  (type $async (func async (result u32)))
  (core func $return (canon task.return (result u32)))
  (core func $get (canon context.get i32 0))
  (core func $read (canon future.read $future async (memory (core memory $mem "memory"))))
  (core func $wait (canon waitable-set.wait (memory (core memory $mem "memory"))))
  (func $run (type $async)
    (canon lift (core func $mem "run") async (callback (core func $mem "callback"))))
  (core func $self (canon lower (func $run) (memory (core memory $mem "memory"))))
  (core module $m
    (import "" "return" (func (param i32)))
    (import "" "get" (func (result i32)))
    (import "" "read" (func (param i32 i32) (result i32)))
    (import "" "wait" (func (param i32 i32) (result i32)))
    (import "" "self" (func (result i32))))
  (core instance (instantiate $m (with "" (instance
    (export "return" (func $return)) (export "get" (func $get)) (export "read" (func $read))
    (export "wait" (func $wait)) (export "self" (func $self))))))
  (export "run" (func $run)))
