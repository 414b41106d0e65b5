;; Fails while the fault `list_allocated_by_source` is on.
(component
  (component $C
    (core module $m
      (memory (export "mem") i64 1)
      (global $first (mut i64) (i64.const 0))
      (global $next (mut i64) (i64.const 1024))
      (func (export "realloc") (param i64 i64 i64 i64) (result i64)
        (local $at i64)
        (if (i64.eqz (global.get $first)) (then (global.set $first (local.get 3))))
        (local.set $at (i64.and (i64.add (global.get $next) (i64.const 7)) (i64.const -8)))
        (global.set $next (i64.add (local.get $at) (local.get 3)))
        (if (i64.ne (local.get 0) (i64.const 0)) (then (memory.copy (local.get $at) (local.get 0)
          (select (local.get 1) (local.get 3) (i64.lt_u (local.get 1) (local.get 3))))))
        (local.get $at))
      (func (export "f") (param i64 i64) (result i32) (i32.wrap_i64 (global.get $first))))
    (core instance $i (instantiate $m))
    
    (func (export "f") (param "x" (list string)) (result u32) (canon lift (core func $i "f") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
  (component $D
    (import "c" (instance $c  (export "f" (func (param "x" (list string)) (result u32)))))
    (core module $libc
      (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (if (i32.ne (local.get 0) (i32.const 0)) (then (memory.copy (local.get $at) (local.get 0)
          (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))))
        (local.get $at)))
    (core instance $libc (instantiate $libc))
    (core func $low (canon lower (func $c "f") (memory (core memory $libc "mem"))))
    (core module $m
      (import "" "mem" (memory 1))
      (import "" "low" (func $low (param i32 i32) (result i32)))
      (func (export "run") (result i32) (call $low (i32.const 256) (i32.const 2))))
    (core instance $i (instantiate $m (with "" (instance (export "mem" (memory $libc "mem")) (export "low" (func $low))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "c" (instance $c))))
  (export "run" (func $d "run")))
(assert_return (invoke "run") (u32.const 32))
