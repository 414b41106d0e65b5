;; `if … unreachable` was reported at the `if`: Cranelift makes a branch to a block that only traps a conditional trap. The
;; text form has no offsets; what the trap is must stay, and `self_configs` compares where it is.
(module
  (func (export "f") (param i32) (result i32)
    (if (local.get 0) (then (unreachable)))
    (i32.const 1)))
(assert_return (invoke "f" (i32.const 0)) (i32.const 1))
(assert_trap (invoke "f" (i32.const 1)) "unreachable")
