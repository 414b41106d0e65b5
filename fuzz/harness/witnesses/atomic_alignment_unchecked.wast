;; Fails while the fault `atomic_alignment_unchecked` is on.
(module (memory 1 1 shared)
  (func (export "f") (param i32) (result i32)
    (i32.atomic.load (local.get 0))))
(assert_trap (invoke "f" (i32.const 1)) "unaligned atomic")
