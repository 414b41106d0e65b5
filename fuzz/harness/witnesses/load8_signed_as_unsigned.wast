;; Fails while the fault `load8_signed_as_unsigned` is on.
(module (memory 1) (data (i32.const 0) "\ff")
  (func (export "f") (param i32) (result i32)
    (i32.load8_s (local.get 0))))
(assert_return (invoke "f" (i32.const 0)) (i32.const -1))
