;; Fails while the fault `global_narrow_store` is on.
(module (global (mut i64) (i64.const 0))
  (func (export "f") (param i64) (result i64)
    (global.set 0 (local.get 0))
    (global.get 0)))
(assert_return (invoke "f" (i64.const -1)) (i64.const -1))
