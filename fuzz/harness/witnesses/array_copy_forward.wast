;; Fails while the fault `array_copy_forward` is on.
(module (type $a (array (mut i32)))
  (func (export "f") (result i32)
    (local (ref null $a))
    (local.set 0 (array.new_fixed $a 4 (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)))
    (array.copy $a $a (local.get 0) (i32.const 1) (local.get 0) (i32.const 0) (i32.const 3))
    (array.get $a (local.get 0) (i32.const 3))))
(assert_return (invoke "f") (i32.const 3))
