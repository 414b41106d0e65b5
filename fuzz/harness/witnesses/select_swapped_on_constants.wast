;; Fails while the fault `select_swapped_on_constants` is on.
(module
  (func (export "f") (param i32) (result i32)
    (select (i32.const 1) (i32.const 2) (local.get 0))))
(assert_return (invoke "f" (i32.const 1)) (i32.const 1))
