;; Fails while the fault `v128_bitselect_constant_mask` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (v128.bitselect (local.get 0) (local.get 1) (v128.const i64x2 -1 0))))
(assert_return (invoke "f" (v128.const i64x2 1 1) (v128.const i64x2 2 2)) (v128.const i64x2 1 2))
