;; Fails while the fault `poison_forgotten` is on.
(component
  (core module $m (func (export "trap") unreachable) (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "trap") (canon lift (core func $i "trap")))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
(assert_return (invoke "f") (u32.const 7))
(assert_trap (invoke "trap") "unreachable")
(assert_trap (invoke "f") "cannot enter component instance")
