;; Fails while the fault `memory_copy_memories_swapped` is on.
(module (memory $a 1) (memory $b 1)
  (func (export "f") (result i32)
    (i32.store8 $a (i32.const 0) (i32.const 7))
    (memory.copy $b $a (i32.const 0) (i32.const 0) (i32.const 1))
    (i32.load8_u $b (i32.const 0))))
(assert_return (invoke "f") (i32.const 7))
