;; Fails while the fault `memory_init_ignores_drop` is on.
(module (memory 1) (data "abc")
  (func (export "f") 
    (data.drop 0)
    (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))
(assert_trap (invoke "f") "out of bounds memory access")
