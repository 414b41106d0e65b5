;; Fails while the fault `global_v128_low_half` is on.
(module (global (mut v128) (v128.const i64x2 0 0))
  (func (export "f") (param v128) (result v128)
    (global.set 0 (local.get 0))
    (global.get 0)))
(assert_return (invoke "f" (v128.const i64x2 1 2)) (v128.const i64x2 1 2))
