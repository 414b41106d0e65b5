;; What a failed instantiation leaves behind.

(module $host
  (memory (export "memory") 1 1)
  (table (export "table") 4 4 funcref)
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))
(register "host" $host)

;; Segments before the one that does not fit have been written, as have table entries, and their functions stay callable.
(assert_trap
  (module
    (memory (import "host" "memory") 1)
    (table (import "host" "table") 4 funcref)
    (func $seven (result i32) (i32.const 7))
    (elem (i32.const 1) func $seven)
    (data (i32.const 0) "a")
    (data (i32.const 0x10000) "b"))
  "out of bounds memory access")
(assert_return (invoke $host "load" (i32.const 0)) (i32.const 97))
(assert_return (invoke $host "call" (i32.const 1)) (i32.const 7))

;; A start function that traps leaves its writes.
(assert_trap
  (module
    (memory (import "host" "memory") 1)
    (func $main (i32.store8 (i32.const 1) (i32.const 5)) (unreachable))
    (start $main))
  "unreachable")
(assert_return (invoke $host "load" (i32.const 1)) (i32.const 5))

;; A module that cannot be linked leaves nothing.
(assert_unlinkable
  (module
    (memory (import "host" "memory") 1)
    (func (import "host" "absent"))
    (data (i32.const 2) "c"))
  "unknown import")
(assert_return (invoke $host "load" (i32.const 2)) (i32.const 0))

;; Exhaustion is not the end: the same instance answers afterwards.
(module
  (func $down (export "down") (result i32) (i32.add (call $down) (i32.const 1)))
  (func (export "one") (result i32) (i32.const 1)))
(assert_exhaustion (invoke "down") "call stack exhausted")
(assert_exhaustion (invoke "down") "call stack exhausted")
(assert_return (invoke "one") (i32.const 1))
