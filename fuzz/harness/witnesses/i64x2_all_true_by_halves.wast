;; Fails while the fault `i64x2_all_true_by_halves` is on.
(module
  (func (export "f") (param v128) (result i32)
    (i64x2.all_true (local.get 0))))
(assert_return (invoke "f" (v128.const i64x2 1 1)) (i32.const 1))
