;; A resource type of each of two instances of one component, and one of the host, imported after.
(component
  (component $counter
    (core module $m
      (func (export "drop") (param i32))
      (func (export "new") (result i32) i32.const 7))
    (core instance $i (instantiate $m))
    (type $r (resource (rep i32) (dtor (func $i "drop"))))
    (core func $new (canon resource.new $r))
    (core module $n
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 7)))
      (func (export "get") (param i32) (result i32) (local.get 0)))
    (core instance $j (instantiate $n (with "" (instance (export "new" (func $new))))))
    (export $e "counter" (type $r))
    (func (export "make") (result (own $e)) (canon lift (core func $j "make")))
    (func (export "get") (param "self" (borrow $e)) (result u32) (canon lift (core func $j "get"))))
  (instance $a (instantiate $counter))
  (instance $b (instantiate $counter))
  (import "host" (instance $host
    (export "stream" (type $s (sub resource)))
    (export "open" (func (result (own $s))))))
  (alias export $host "open" (func $open))
  (core func $opened (canon lower (func $open)))
  (core func $make (canon lower (func $a "make")))
  (alias export $b "counter" (type $br))
  (core func $drop (canon resource.drop $br))
  (core module $m
    (import "" "open" (func (result i32)))
    (import "" "make" (func (result i32)))
    (import "" "drop" (func (param i32))))
  (core instance (instantiate $m (with "" (instance
    (export "open" (func $opened)) (export "make" (func $make)) (export "drop" (func $drop))))))
  (export "a" (instance $a))
  (export "b" (instance $b))
  (export "host-again" (instance $host)))
