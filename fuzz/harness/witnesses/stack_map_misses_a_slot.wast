;; Fails while the fault `stack_map_misses_a_slot` is on.
;; options: gc-stress=true
(module (type $s (struct (field i32))) (func $allocate (result (ref $s)) (struct.new $s (i32.const 9)))
  (func (export "f") (result i32)
    (local (ref null $s) (ref null $s))
    (local.set 0 (struct.new $s (i32.const 7)))
    (local.set 1 (struct.new $s (i32.const 8)))
    (drop (call $allocate))
    (i32.add (struct.get $s 0 (local.get 0)) (i32.mul (i32.const 10) (struct.get $s 0 (local.get 1))))))
(assert_return (invoke "f") (i32.const 87))
