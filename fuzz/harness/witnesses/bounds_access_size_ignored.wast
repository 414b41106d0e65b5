;; Fails while the fault `bounds_access_size_ignored` is on.
;; options: explicit-bounds=true signals-based-traps=false
(module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "f") (param i32) (result i32)
    (i32.load (local.get 0))))
(assert_trap (invoke "f" (i32.const 65533)) "out of bounds memory access")
