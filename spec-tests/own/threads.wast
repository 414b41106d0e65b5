;; Threads of a script: they share what can be shared, and nothing else.

(module $mem (memory (export "shared") 1 1 shared))

;; Message passing: data, then a flag; the reader waits for the flag.
(thread $writer (shared (module $mem))
  (register "mem" $mem)
  (module
    (memory (import "mem" "shared") 1 1 shared)
    (func (export "write")
      (i32.atomic.store (i32.const 0) (i32.const 42))
      (i32.atomic.store (i32.const 4) (i32.const 1))
      (drop (memory.atomic.notify (i32.const 4) (i32.const 1)))))
  (invoke "write"))

(thread $reader (shared (module $mem))
  (register "mem" $mem)
  (module
    (memory (import "mem" "shared") 1 1 shared)
    (func (export "read") (result i32)
      (loop $again
        ;; 0 woken, 1 the flag was up before: either way look again.
        (drop (memory.atomic.wait32 (i32.const 4) (i32.const 0) (i64.const -1)))
        (br_if $again (i32.eqz (i32.atomic.load (i32.const 4)))))
      (i32.atomic.load (i32.const 0))))
  (assert_return (invoke "read") (i32.const 42)))

(wait $writer)
(wait $reader)

;; Two threads count together; no increment is lost.
(thread $first (shared (module $mem))
  (register "mem" $mem)
  (module
    (memory (import "mem" "shared") 1 1 shared)
    (func (export "count") (param $n i32)
      (loop $again
        (drop (i64.atomic.rmw.add (i32.const 16) (i64.const 1)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
  (invoke "count" (i32.const 10000)))
(thread $second (shared (module $mem))
  (register "mem" $mem)
  (module
    (memory (import "mem" "shared") 1 1 shared)
    (func (export "count") (param $n i32)
      (loop $again
        (drop (i64.atomic.rmw.add (i32.const 16) (i64.const 1)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
  (invoke "count" (i32.const 10000)))
(wait $first)
(wait $second)

(register "mem" $mem)
(module
  (memory (import "mem" "shared") 1 1 shared)
  (func (export "total") (result i64) (i64.atomic.load (i32.const 16)))
  (func (export "timeout") (result i32) (memory.atomic.wait32 (i32.const 32) (i32.const 0) (i64.const 1000)))
  (func (export "not-equal") (result i32) (memory.atomic.wait64 (i32.const 32) (i64.const 1) (i64.const -1)))
  (func (export "nobody") (result i32) (memory.atomic.notify (i32.const 32) (i32.const 5)))
  (func (export "unaligned") (result i32) (memory.atomic.wait32 (i32.const 2) (i32.const 0) (i64.const 0)))
  (func (export "beyond") (result i32) (memory.atomic.notify (i32.const 65536) (i32.const 0))))
(assert_return (invoke "total") (i64.const 20000))
(assert_return (invoke "timeout") (i32.const 2))
(assert_return (invoke "not-equal") (i32.const 1))
(assert_return (invoke "nobody") (i32.const 0))
(assert_trap (invoke "unaligned") "unaligned atomic")
(assert_trap (invoke "beyond") "out of bounds memory access")

;; A wait needs a shared memory.
(module
  (memory 1 1)
  (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
  (func (export "notify") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1))))
(assert_trap (invoke "wait") "expected shared memory")
(assert_return (invoke "notify") (i32.const 0))

;; What is expected is as narrow as the access: upper bits do not count
;; (https://github.com/WebAssembly/threads/issues/195).
(module
  (memory 1 1 shared)
  (data (i32.const 0) "\11\11\11\11\11\11\11\11")
  (func (export "exchange8") (param i32 i32) (result i32)
    (i32.atomic.rmw8.cmpxchg_u (i32.const 0) (local.get 0) (local.get 1)))
  (func (export "exchange32") (param i64 i64) (result i64)
    (i64.atomic.rmw32.cmpxchg_u (i32.const 4) (local.get 0) (local.get 1)))
  (func (export "left") (result i64)
    (i64.load (i32.const 0))))

(assert_return (invoke "exchange8" (i32.const 0xabcd12) (i32.const 0x22)) (i32.const 0x11))
(assert_return (invoke "left") (i64.const 0x1111111111111111))
(assert_return (invoke "exchange8" (i32.const 0xabcd11) (i32.const 0x22)) (i32.const 0x11))
(assert_return (invoke "exchange32" (i64.const 0xffffffff11111111) (i64.const 0x33)) (i64.const 0x11111111))
(assert_return (invoke "left") (i64.const 0x3311111122))
