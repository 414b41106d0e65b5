;; Fails while the fault `exception_payload_swapped` is on.
(module (tag $t (param i32 i32)) (func $throw (throw $t (i32.const 1) (i32.const 2)))
  (func (export "f") (result i32 i32)
    (block $b (result i32 i32)
      (try_table (catch $t $b) (call $throw))
      (unreachable))))
(assert_return (invoke "f") (i32.const 1) (i32.const 2))
