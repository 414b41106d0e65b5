;; Fails while the fault `growth_returns_new_size` is on.
(module (memory 1)
  (func (export "f") (param i32) (result i32)
    (memory.grow (local.get 0))))
(assert_return (invoke "f" (i32.const 1)) (i32.const 1))
