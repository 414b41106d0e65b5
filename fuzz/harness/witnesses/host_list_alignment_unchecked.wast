;; Fails while the fault `host_list_alignment_unchecked` is on.
(component
  (core module $m (memory (export "mem") 1) (data (i32.const 16) "\42\00\00\00\01\00\00\00")
    (func (export "run") (result i32) (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "run") (result (list u32)) (canon lift (core func $i "run") (memory (core memory $i "mem")))))
(assert_trap (invoke "run") "unaligned pointer")
