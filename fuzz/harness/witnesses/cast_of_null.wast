;; Fails while the fault `cast_of_null` is on.
(module
  (type $s (struct))
  (func (export "f") (param anyref) (result i32) (ref.test (ref null $s) (local.get 0))))
(assert_return (invoke "f" (ref.null any)) (i32.const 1))
