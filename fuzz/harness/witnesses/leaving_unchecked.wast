;; Fails while the fault `leaving_unchecked` is on.
(component
  (component $C
    (core module $m
      (memory (export "mem") 1)
      (data (i32.const 16) "\20\00\00\00\02\00\00\00hihi")
      (global $again (mut i32) (i32.const 0))
      (func (export "f") (result i32) (i32.const 16)))
    (core instance $i (instantiate $m))
    
    (func (export "f") (result string) (canon lift (core func $i "f") (memory (core memory $i "mem")))))
  (component $D
    (import "c" (instance $c  (export "f" (func (result string)))))
    (core module $libc
      (memory (export "mem") 1)
      (type $f (func (param i32)))
      (table (export "t") 1 funcref)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call_indirect (type $f) (i32.const 32) (i32.const 0)) (i32.const 64)))
    (core instance $libc (instantiate $libc))
    (core func $low (canon lower (func $c "f") (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "" "mem" (memory 1))
      (import "" "low" (func $low (param i32)))
      (import "" "t" (table 1 funcref))
      (elem (i32.const 0) func $low)
      (func (export "run") (result i32) (call $low (i32.const 8)) (i32.const 7)))
    (core instance $i (instantiate $m (with "" (instance (export "mem" (memory $libc "mem")) (export "low" (func $low)) (export "t" (table $libc "t"))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "c" (instance $c))))
  (export "run" (func $d "run")))
(assert_trap (invoke "run") "cannot leave component instance")
