;; Fails while the fault `artifact_last_trap_lost` is on: by a signal that nobody expects.
;; options: round-trip
(module (func (export "f") (param i32) (result i32) (i32.div_s (i32.const 6) (local.get 0))))
(assert_return (invoke "f" (i32.const 2)) (i32.const 3))
(assert_trap (invoke "f" (i32.const 0)) "integer divide by zero")
