;; Fails while the fault `tag_by_type` is on.
(module (tag $one) (tag $two) (func $throw (throw $two))
  (func (export "f") (result i32)
    (block $b (block $a
      (try_table (catch $one $a) (catch $two $b) (call $throw)))
      (return (i32.const 1)))
    (i32.const 2)))
(assert_return (invoke "f") (i32.const 2))
