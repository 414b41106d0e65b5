;; Fails while the fault `roots_miss_tables` is on.
;; options: gc-stress=true
(module (type $s (struct (field i32))) (table 1 (ref null $s))
  (func (export "f") (result i32)
    (table.set (i32.const 0) (struct.new $s (i32.const 7)))
    (drop (struct.new $s (i32.const 8)))
    (drop (struct.new $s (i32.const 9)))
    (struct.get $s 0 (table.get (i32.const 0)))))
(assert_return (invoke "f") (i32.const 7))
