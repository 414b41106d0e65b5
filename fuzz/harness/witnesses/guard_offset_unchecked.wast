;; Fails while the fault `guard_offset_unchecked` is on.
;; options: allocation=pooling pooling-memories=8
(module (memory 1) (memory 1)
  (func (export "f") (param i32) (result i32)
    (i32.load8_u offset=0xffffffff (local.get 0))))
(assert_trap (invoke "f" (i32.const 0x2000001)) "out of bounds memory access")
