;; Fails while the fault `exception_clause_order` is on.
(module (tag $t) (func $throw (throw $t))
  (func (export "f") (result i32)
    (block $b (block $a
      (try_table (catch_all $a) (catch $t $b) (call $throw)))
      (return (i32.const 1)))
    (i32.const 2)))
(assert_return (invoke "f") (i32.const 1))
