;; Fails while the fault `growth_stops_before_maximum` is on.
(module (memory 1 2)
  (func (export "f") (param i32) (result i32)
    (memory.grow (local.get 0))))
(assert_return (invoke "f" (i32.const 1)) (i32.const 1))
