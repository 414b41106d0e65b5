;; Fails while the fault `v128_select_swapped` is on.
(module
  (func (export "f") (param i32) (result v128)
    (select (v128.const i64x2 1 1) (v128.const i64x2 2 2) (local.get 0))))
(assert_return (invoke "f" (i32.const 1)) (v128.const i64x2 1 1))
