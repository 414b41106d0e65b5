;; Who may call a function of an `async` type without `async`: only a task whose own function type is `async`, and the callee
;; does not run otherwise.

(component definition $Tester
  (component $Callee
    (core module $M
      (global $calls (mut i32) (i32.const 0))
      (func (export "count") (param i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.add (local.get 0) (i32.const 1)))
      (func (export "calls") (result i32) (global.get $calls)))
    (core instance $m (instantiate $M))
    (func (export "count") async (param "n" u32) (result u32) (canon lift (core func $m "count")))
    (func (export "narrow") async (param "n" u8) (result u8) (canon lift (core func $m "count")))
    (func (export "calls") (result u32) (canon lift (core func $m "calls"))))
  (component $Caller
    (import "callee" (instance $callee
      (export "count" (func async (param "n" u32) (result u32)))
      (export "narrow" (func async (param "n" u8) (result u8)))))
    (canon lower (func $callee "count") (core func $count))
    (canon lower (func $callee "narrow") (core func $narrow))
    (core module $M
      (import "" "count" (func $count (param i32) (result i32)))
      (import "" "narrow" (func $narrow (param i32) (result i32)))
      (export "count" (func $count))
      (func (export "narrow") (param i32) (result i32) (call $narrow (local.get 0)))
      (func (export "twice") (param i32) (result i32) (call $count (call $count (local.get 0)))))
    (core instance $m (instantiate $M (with "" (instance
      (export "count" (func $count)) (export "narrow" (func $narrow))))))
    (func (export "sync-count") (param "n" u32) (result u32) (canon lift (core func $m "count")))
    (func (export "sync-narrow") (param "n" u8) (result u8) (canon lift (core func $m "narrow")))
    (func (export "async-count") async (param "n" u32) (result u32) (canon lift (core func $m "count")))
    (func (export "async-twice") async (param "n" u32) (result u32) (canon lift (core func $m "twice"))))
  ;; Calls both, so that the task of the one in the middle is not the host's.
  (component $Outer
    (import "caller" (instance $caller
      (export "sync-count" (func (param "n" u32) (result u32)))
      (export "async-twice" (func async (param "n" u32) (result u32)))))
    (canon lower (func $caller "sync-count") (core func $sync))
    (canon lower (func $caller "async-twice") (core func $async))
    (core module $M
      (import "" "sync" (func $sync (param i32) (result i32)))
      (import "" "async" (func $async (param i32) (result i32)))
      (func (export "sync") (param i32) (result i32) (call $sync (local.get 0)))
      (func (export "async") (param i32) (result i32) (call $async (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance
      (export "sync" (func $sync)) (export "async" (func $async))))))
    (func (export "outer-sync") async (param "n" u32) (result u32) (canon lift (core func $m "sync")))
    (func (export "outer-async") async (param "n" u32) (result u32) (canon lift (core func $m "async"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "callee" (instance $callee))))
  (instance $outer (instantiate $Outer (with "caller" (instance $caller))))
  (func (export "sync-count") (alias export $caller "sync-count"))
  (func (export "sync-narrow") (alias export $caller "sync-narrow"))
  (func (export "async-count") (alias export $caller "async-count"))
  (func (export "async-twice") (alias export $caller "async-twice"))
  (func (export "outer-sync") (alias export $outer "outer-sync"))
  (func (export "outer-async") (alias export $outer "outer-async"))
  (func (export "calls") (alias export $callee "calls")))

(component instance $i $Tester)
(assert_return (invoke "async-count" (u32.const 5)) (u32.const 6))
(assert_return (invoke "async-twice" (u32.const 5)) (u32.const 7))
(assert_return (invoke "outer-async" (u32.const 5)) (u32.const 7))
(assert_return (invoke "calls") (u32.const 5))
(assert_trap (invoke "sync-count" (u32.const 5)) "cannot block a synchronous task before returning")
(component instance $i $Tester)
(assert_trap (invoke "sync-narrow" (u8.const 5)) "cannot block a synchronous task before returning")
;; The task in the middle decides, not the one outside.
(component instance $i $Tester)
(assert_trap (invoke "outer-sync" (u32.const 5)) "cannot block a synchronous task before returning")

;; A start function runs in no task.
(assert_trap
  (component
    (component $C
      (core module $M (func (export "f")))
      (core instance $m (instantiate $M))
      (func (export "f") async (canon lift (core func $m "f"))))
    (component $D
      (import "f" (func $f async))
      (core module $M (import "" "f" (func $f)) (start $f))
      (canon lower (func $f) (core func $f'))
      (core instance $m (instantiate $M (with "" (instance (export "f" (func $f')))))))
    (instance $c (instantiate $C))
    (instance $d (instantiate $D (with "f" (func $c "f")))))
  "cannot block a synchronous task before returning")

;; What would be recursive is asked last: first whether the instance may be left, then whether the task may block.
(component definition $Nested
  (core module $Callee (func (export "f") (result i32) (i32.const 1)))
  (core instance $callee (instantiate $Callee))
  (func $f async (result u32) (canon lift (core func $callee "f")))
  (canon lower (func $f) (core func $lowered))
  (core module $M
    (import "" "f" (func $f (result i32)))
    (func (export "run") (result i32) (call $f)))
  (core instance $m (instantiate $M (with "" (instance (export "f" (func $lowered))))))
  (func (export "sync") (result u32) (canon lift (core func $m "run")))
  (func (export "async") async (result u32) (canon lift (core func $m "run")))
  (core module $Leaves
    (import "" "f" (func $f (result i32)))
    (func (export "run") (result i32) (i32.const 1))
    (func (export "post") (param i32) (drop (call $f))))
  (core instance $leaves (instantiate $Leaves (with "" (instance (export "f" (func $lowered))))))
  (func (export "leaves") (result u32)
    (canon lift (core func $leaves "run") (post-return (core func $leaves "post")))))
(component instance $n $Nested)
(assert_trap (invoke "sync") "cannot block a synchronous task before returning")
(component instance $n $Nested)
(assert_trap (invoke "async") "cannot enter component instance")
(component instance $n $Nested)
(assert_trap (invoke "leaves") "cannot leave component instance")
