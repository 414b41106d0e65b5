;; Fails while the fault `tail_call_keeps_arguments` is on.
(module
  (func $f (export "f") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $f (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 0) (local.get 1)))))
(assert_return (invoke "f" (i32.const 3) (i32.const 0)) (i32.const 6))
