;; Fails while the fault `growth_keeps_old_bytes` is on.
(module (memory 1)
  (func (export "f") (param i32) (result i32)
    (drop (memory.grow (i32.const 1)))
    (i32.load8_u (local.get 0))))
(assert_return (invoke "f" (i32.const 65536)) (i32.const 0))
