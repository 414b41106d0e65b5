;; Modules of the host, bags of exports, aliases of what is further out, one module instantiated twice.
(component
  (import "libc" (core module $libc
    (import "env" "log" (func (param i32)))
    (export "memory" (memory 1))
    (export "malloc" (func (param i32) (result i32)))))
  (import "log" (func $log (param "code" u32)))
  (core func $log (canon lower (func $log)))
  (core instance $c1 (instantiate $libc (with "env" (instance (export "log" (func $log))))))
  (component $inner
    (alias outer 1 $libc (core module $libc))
    (import "log" (func $log (param "code" u32)))
    (core func $log (canon lower (func $log)))
    (core instance $c2 (instantiate $libc (with "env" (instance (export "log" (func $log))))))
    (component $deeper
      (alias outer 2 $libc (core module $again))
      (export "libc" (core module $again)))
    (instance $d (instantiate $deeper))
    (core module $user
      (import "c" "memory" (memory 1))
      (import "c" "malloc" (func $malloc (param i32) (result i32)))
      (export "memory" (memory 0))
      (func (export "len") (param i32 i32) (result i32) local.get 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $malloc (local.get 3))))
    (core instance $u (instantiate $user (with "c" (instance $c2))))
    (func (export "len") (param "s" (list u8)) (result u32)
      (canon lift (core func $u "len") (memory (core memory $u "memory")) (realloc (core func $u "realloc"))))
    (export "d" (instance $d)))
  (instance $x (instantiate $inner (with "log" (func $log))))
  (instance $y (instantiate $inner (with "log" (func $log))))
  (instance $bag (export "len" (func $x "len")) (export "other" (func $y "len")))
  (export "bag" (instance $bag))
  (export "d" (instance $x "d")))
