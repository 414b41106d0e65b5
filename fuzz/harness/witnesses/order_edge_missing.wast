;; Fails while the fault `order_edge_missing` is on.
(component
  (component $A
    (core module $m
      (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
    (core instance $i (instantiate $m))
    (func (export "f") (param "x" u8) (result u8) (canon lift (core func $i "f"))))
  (component $B
    (import "f" (func $f (param "x" u8) (result u8)))
    (core func $low (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (i32.mul (call $f (local.get 0)) (i32.const 3))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $low))))))
    (func (export "f") (param "x" u8) (result u8) (canon lift (core func $i "f"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "f" (func $a "f"))))
  (instance $c (instantiate $B (with "f" (func $b "f"))))
  (func (export "f") (alias export $c "f")))
(assert_return (invoke "f" (u8.const 4)) (u8.const 45))
