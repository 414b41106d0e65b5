;; Fails while the fault `packed_get_unsigned` is on.
(module (type $s (struct (field (mut i8))))
  (func (export "f") (result i32)
    (struct.get_s $s 0 (struct.new $s (i32.const -1)))))
(assert_return (invoke "f") (i32.const -1))
