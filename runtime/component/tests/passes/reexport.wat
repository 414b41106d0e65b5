;; pass: reexport
;; A memory and a function that two modules pass on.
(component
  (core module $a (memory (export "m") 1) (func (export "f") (param i32)) (func (export "g") (param i32 i32)))
  (core instance $a (instantiate $a))
  (core module $b
    (import "" "m" (memory 1))
    (import "" "f" (func (param i32)))
    (func (export "own") (param i32 i32))
    (export "m2" (memory 0))
    (export "f2" (func 0)))
  (core instance $b (instantiate $b (with "" (instance $a))))
  (core module $c (import "b" "m2" (memory 1)) (export "m3" (memory 0)))
  (core instance $c (instantiate $c (with "b" (instance $b))))
  (import "host" (func $host (param "s" string)))
  (core func $lowered (canon lower (func $host) (memory (core memory $c "m3"))))
  (core module $d (import "" "lowered" (func (param i32 i32))))
  (core instance (instantiate $d (with "" (instance (export "lowered" (func $lowered))))))
  (func (export "f") (param "n" u32) (canon lift (core func $b "f2"))))
