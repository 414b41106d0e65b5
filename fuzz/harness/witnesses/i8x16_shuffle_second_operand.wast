;; Fails while the fault `i8x16_shuffle_second_operand` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (i8x16.shuffle 0 1 2 3 4 5 6 23 8 9 10 11 12 13 14 15 (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i64x2 0 0) (v128.const i64x2 -1 -1)) (v128.const i8x16 0 0 0 0 0 0 0 -1 0 0 0 0 0 0 0 0))
