;; Fails while the fault `br_if_of_low_byte` is on.
(module
  (func (export "f") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 0)))))
(assert_return (invoke "f" (i32.const 256)) (i32.const 1))
