;; Fails while the fault `i32x4_replace_next_lane` is on.
(module
  (func (export "f") (param v128 i32) (result v128)
    (i32x4.replace_lane 1 (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i32x4 0 0 0 0) (i32.const 7)) (v128.const i32x4 0 7 0 0))
