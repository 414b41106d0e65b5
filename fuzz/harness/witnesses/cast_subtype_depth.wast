;; Fails while the fault `cast_subtype_depth` is on.
(module (type $a (sub (struct))) (type $b (sub $a (struct))) (type $c (sub $b (struct))) (type $d (sub $c (struct)))
  (func (export "f") (result i32)
    (local anyref)
    (local.set 0 (struct.new $d))
    (ref.test (ref $c) (local.get 0))))
(assert_return (invoke "f") (i32.const 1))
