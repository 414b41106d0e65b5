;; Fails while the fault `memory_fill_one_less` is on.
(module (memory 1)
  (func (export "f") (result i32)
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 4))
    (i32.load (i32.const 0))))
(assert_return (invoke "f") (i32.const 0x01010101))
