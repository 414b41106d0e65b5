;; pass: fold-traps
;; The callee is a lowered function of its own instance's, which only traps.
(component
  (component $callee
    (core module $m (func (export "f") (param i32)))
    (core instance $i (instantiate $m))
    (func $f (param "n" u32) (canon lift (core func $i "f")))
    (core func $self (canon lower (func $f)))
    (func (export "f") (param "n" u32) (canon lift (core func $self)))
    (func (export "c") (param "n" char) (canon lift (core func $self))))
  (component $caller
    (import "f" (func $f (param "n" u32)))
    (import "c" (func $c (param "n" char)))
    (core func $f (canon lower (func $f)))
    (core func $c (canon lower (func $c)))
    (core module $m (import "" "f" (func (param i32))) (import "" "c" (func (param i32))))
    (core instance (instantiate $m (with "" (instance (export "f" (func $f)) (export "c" (func $c)))))))
  (instance $callee (instantiate $callee))
  (instance (instantiate $caller (with "f" (func $callee "f")) (with "c" (func $callee "c")))))
