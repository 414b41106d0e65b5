;; Fails while the fault `memory_init_source_unchecked` is on.
(module (memory 1) (data "abc")
  (func (export "f") 
    (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 10))))
(assert_trap (invoke "f") "out of bounds memory access")
