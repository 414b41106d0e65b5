;; Fails while the fault `f32_trunc_without_trap` is on.
(module
  (func (export "f") (param f32) (result i32)
    (i32.trunc_f32_s (local.get 0))))
(assert_trap (invoke "f" (f32.const 3e9)) "integer overflow")
