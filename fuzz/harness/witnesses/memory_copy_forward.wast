;; Fails while the fault `memory_copy_forward` is on.
(module (memory 1)
  (func (export "f") (result i32)
    (i32.store (i32.const 0) (i32.const 0x04030201))
    (memory.copy (i32.const 1) (i32.const 0) (i32.const 3))
    (i32.load (i32.const 0))))
(assert_return (invoke "f") (i32.const 0x03020101))
