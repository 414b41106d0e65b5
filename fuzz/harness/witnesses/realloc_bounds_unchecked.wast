;; Fails while the fault `realloc_bounds_unchecked` is on.
(component
  (component $C
    (core module $m
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const -16))
      (func (export "f") (param i32 i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m))
    
    (func (export "f") (param "x" (list u8)) (result u32) (canon lift (core func $i "f") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
  (component $D
    (import "c" (instance $c  (export "f" (func (param "x" (list u8)) (result u32)))))
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
      (func (export "run") (result i32) (call $low (i32.const 16) (i32.const 0))))
    (core instance $i (instantiate $m (with "" (instance (export "mem" (memory $libc "mem")) (export "low" (func $low))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "c" (instance $c))))
  (export "run" (func $d "run")))
(assert_trap (invoke "run") "list content out-of-bounds")
