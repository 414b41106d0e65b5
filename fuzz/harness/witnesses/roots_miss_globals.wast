;; Fails while the fault `roots_miss_globals` is on.
;; options: gc-stress=true
(module (type $s (struct (field i32))) (global (mut (ref null $s)) (ref.null $s))
  (func (export "f") (result i32)
    (global.set 0 (struct.new $s (i32.const 7)))
    (drop (struct.new $s (i32.const 8)))
    (drop (struct.new $s (i32.const 9)))
    (struct.get $s 0 (global.get 0))))
(assert_return (invoke "f") (i32.const 7))
