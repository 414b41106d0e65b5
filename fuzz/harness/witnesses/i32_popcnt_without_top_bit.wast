;; Fails while the fault `i32_popcnt_without_top_bit` is on.
(module
  (func (export "f") (param i32) (result i32)
    (i32.popcnt (local.get 0))))
(assert_return (invoke "f" (i32.const 0x80000000)) (i32.const 1))
