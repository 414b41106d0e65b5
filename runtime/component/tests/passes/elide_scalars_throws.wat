;; pass: elide-scalars
;; The callee may throw an exception, which becomes a trap on the way: the adapter stays.
(component
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
      (tag $t)
      (func (export "f") (param i32 f64) (result i64) throw $t)
      (func (export "done")))
    (core instance $i (instantiate $m))
    (func (export "f") (param "a" u32) (param "b" f64) (result s64) (canon lift (core func $i "f"))))
  (component $caller
    (import "f" (func $f (param "a" u32) (param "b" f64) (result s64)))
    (core module $memory
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $mem (instantiate $memory))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func (param i32 f64) (result i64))))
    (core instance (instantiate $m (with "" (instance (export "f" (func $f)))))))
  (instance $callee (instantiate $callee))
  (instance (instantiate $caller (with "f" (func $callee "f")))))
