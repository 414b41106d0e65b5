;; Fails while the fault `i31_get_unsigned` is on.
(module
  (func (export "f") (param i32) (result i32)
    (i31.get_s (ref.i31 (local.get 0)))))
(assert_return (invoke "f" (i32.const -1)) (i32.const -1))
