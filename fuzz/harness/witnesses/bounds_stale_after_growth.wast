;; Fails while the fault `bounds_stale_after_growth` is on.
;; options: explicit-bounds=true signals-based-traps=false
(module (memory 1)
  (func (export "f") (param i32) (result i32)
    (drop (i32.load (i32.and (local.get 0) (i32.const 1))))
    (drop (memory.grow (i32.const 1)))
    (i32.load (local.get 0))))
(assert_return (invoke "f" (i32.const 65536)) (i32.const 0))
