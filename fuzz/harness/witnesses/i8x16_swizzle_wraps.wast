;; Fails while the fault `i8x16_swizzle_wraps` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (i8x16.swizzle (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i64x2 -1 -1) (v128.const i8x16 16 16 16 16 16 16 16 16 16 16 16 16 16 16 16 16)) (v128.const i64x2 0 0))
