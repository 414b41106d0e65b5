;; Fails while the fault `wide_add_loses_carry` is on.
(module
  (func (export "f") (param i64 i64) (result i64 i64)
    (i64.add128 (local.get 0) (i64.const 0) (local.get 1) (i64.const 0))))
(assert_return (invoke "f" (i64.const -1) (i64.const 1)) (i64.const 0) (i64.const 1))
