;; Fails while the fault `registry_ignores_mutability` is on.
(module (type $a (struct (field i32))) (type $b (struct (field (mut i32))))
  (func (export "f") (result i32)
    (local anyref)
    (local.set 0 (struct.new $a (i32.const 1)))
    (ref.test (ref $b) (local.get 0))))
(assert_return (invoke "f") (i32.const 0))
