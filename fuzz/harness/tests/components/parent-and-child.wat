;; A parent cannot call its child, not even to give it a resource.
(component
  (component $P
    (core module $d (func (export "d") (param i32)))
    (core instance $d (instantiate $d))
    (type $r (resource (rep i32)))
    (type $s (resource (rep i32) (dtor (core func $d "d"))))
    (core func $new-r (canon resource.new $r))
    (core func $new-s (canon resource.new $s))
    (core module $m
      (import "" "new-r" (func $new-r (param i32) (result i32)))
      (import "" "new-s" (func $new-s (param i32) (result i32)))
      (func (export "r") (result i32) (call $new-r (i32.const 7)))
      (func (export "s") (result i32) (call $new-s (i32.const 7))))
    (core instance $i (instantiate $m (with "" (instance (export "new-r" (func $new-r)) (export "new-s" (func $new-s))))))
    (component $C
      (import "r" (type $r (sub resource)))
      (core func $drop (canon resource.drop $r))
      (core module $m (import "" "drop" (func $drop (param i32))) (func (export "take") (param i32) (call $drop (local.get 0))))
      (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
      (func (export "take") (param "r" (own $r)) (canon lift (core func $i "take"))))
    (instance $c (instantiate $C (with "r" (type $r))))
    (instance $e (instantiate $C (with "r" (type $s))))
    (core func $take-r (canon lower (func $c "take")))
    (core func $take-s (canon lower (func $e "take")))
    (core module $n
      (import "" "r" (func $r (result i32))) (import "" "s" (func $s (result i32)))
      (import "" "take-r" (func $take-r (param i32))) (import "" "take-s" (func $take-s (param i32)))
      (func (export "run") (call $take-r (call $r)))
      (func (export "go") (call $take-s (call $s))))
    (core instance $j (instantiate $n (with "" (instance
      (export "r" (func $i "r")) (export "s" (func $i "s")) (export "take-r" (func $take-r)) (export "take-s" (func $take-s))))))
    (func (export "run") (canon lift (core func $j "run")))
    (func (export "go") (canon lift (core func $j "go"))))
  (instance $i (instantiate $P))
  (export "i" (instance $i)))
