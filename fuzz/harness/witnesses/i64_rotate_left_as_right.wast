;; Fails while the fault `i64_rotate_left_as_right` is on.
(module
  (func (export "f") (param i64 i64) (result i64)
    (i64.rotl (local.get 0) (local.get 1))))
(assert_return (invoke "f" (i64.const 1) (i64.const 4)) (i64.const 16))
