;; Fails while the fault `global_get_as_constant` is on.
(module (global (mut i32) (i32.const 0))
  (func (export "f") (param i32) (result i32)
    (drop (global.get 0))
    (global.set 0 (i32.add (global.get 0) (local.get 0)))
    (global.get 0)))
(assert_return (invoke "f" (i32.const 2)) (i32.const 2))
