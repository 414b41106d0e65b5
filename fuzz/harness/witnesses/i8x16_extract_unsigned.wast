;; Fails while the fault `i8x16_extract_unsigned` is on.
(module
  (func (export "f") (param v128) (result i32)
    (i8x16.extract_lane_s 3 (local.get 0))))
(assert_return (invoke "f" (v128.const i64x2 -1 -1)) (i32.const -1))
