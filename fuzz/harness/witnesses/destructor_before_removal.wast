;; Fails while the fault `destructor_before_removal` is on.
(component
  (type $b (resource (rep i32)))
  (core func $new-b (canon resource.new $b))
  (core func $drop-b (canon resource.drop $b))
  (core module $d
    (import "" "new-b" (func $new (param i32) (result i32)))
    (import "" "drop-b" (func $drop (param i32)))
    (global $seen (mut i32) (i32.const 0))
    (func (export "dtor") (param i32)
      (global.set $seen (call $new (local.get 0))) (call $drop (global.get $seen)))
    (func (export "seen") (result i32) (global.get $seen)))
  (core instance $d (instantiate $d
    (with "" (instance (export "new-b" (func $new-b)) (export "drop-b" (func $drop-b))))))
  (type $a (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $new-a (canon resource.new $a))
  (core func $drop-a (canon resource.drop $a))
  (core module $m
    (import "" "new-a" (func $new (param i32) (result i32)))
    (import "" "drop-a" (func $drop (param i32)))
    (import "" "seen" (func $seen (result i32)))
    (func (export "run") (result i32)
      (call $drop (call $new (i32.const 42))) (call $seen)))
  (core instance $i (instantiate $m (with "" (instance
    (export "new-a" (func $new-a)) (export "drop-a" (func $drop-a)) (export "seen" (func $d "seen"))))))
  (func (export "run") (result u32) (canon lift (core func $i "run"))))
(assert_return (invoke "run") (u32.const 1))
