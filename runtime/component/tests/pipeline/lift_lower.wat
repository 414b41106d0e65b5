;; A string goes from one instance into another; the callee frees it again.
(component
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
      (func (export "shout") (param i32 i32) (result i32) i32.const 0)
      (func (export "free") (param i32)))
    (core instance $i (instantiate $m))
    (func (export "shout") (param "text" string) (result string)
      (canon lift (core func $i "shout") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
        (post-return (core func $i "free")) string-encoding=utf16)))
  (component $caller
    (import "shout" (func $shout (param "text" string) (result string)))
    (core module $memory
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 128))
    (core instance $mem (instantiate $memory))
    (core func $lowered
      (canon lower (func $shout) (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
    (core module $m
      (import "" "shout" (func $shout (param i32 i32 i32)))
      (func (export "run") (call $shout (i32.const 0) (i32.const 4) (i32.const 16))))
    (core instance $i (instantiate $m (with "" (instance (export "shout" (func $lowered))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "shout" (func $callee "shout"))))
  (export "run" (func $caller "run"))
  (export "callee" (instance $callee)))
