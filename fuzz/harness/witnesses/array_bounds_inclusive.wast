;; Fails while the fault `array_bounds_inclusive` is on.
(module (type $a (array i32))
  (func (export "f") (param i32) (result i32)
    (array.get $a (array.new_default $a (i32.const 3)) (local.get 0))))
(assert_trap (invoke "f" (i32.const 3)) "out of bounds array access")
