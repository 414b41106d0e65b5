;; Fails while the fault `i32_sub_of_itself` is on.
(module
  (func (export "f") (param i32) (result i32)
    (i32.sub (local.get 0) (local.get 0))))
(assert_return (invoke "f" (i32.const 5)) (i32.const 0))
