;; Exceptions in their legacy encoding, in the flat text form that the suite's own files do not use.

(module
  (tag $a (export "a") (param i32))
  (tag $b)
  (tag $wide (param i32 i64 f32 f64))
  (func $throw (param i32)
    local.get 0
    i32.const 1
    i32.eq
    if
      i32.const 10
      throw $a
    end
    local.get 0
    i32.const 2
    i32.eq
    if
      throw $b
    end
    local.get 0
    i32.const 3
    i32.eq
    if
      i32.const 1
      i64.const 2
      f32.const 3
      f64.const 4
      throw $wide
    end)

  (func (export "catch") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $throw
      i32.const 0
    catch $a
    catch $b
      i32.const 20
    catch $wide
      i32.trunc_f64_s
      local.set 0
      drop
      i32.wrap_i64
      i32.add
      local.get 0
      i32.add
    end)

  (func (export "catch-all") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $throw
      i32.const 0
    catch $a
      drop
      i32.const 1
    catch_all
      i32.const 2
    end)

  ;; A body that cannot throw: its handlers are never reached.
  (func (export "no-throw") (result i32)
    try (result i32)
      i32.const 1
    catch $a
    catch_all
      i32.const 2
    end)

  ;; A body that ends in a throw.
  (func (export "only-throw") (result i32)
    try (result i32)
      i32.const 7
      throw $a
    catch $a
      i32.const 1
      i32.add
    end)

  (func (export "bare") (param i32)
    try
      local.get 0
      call $throw
    end)

  (func (export "nested") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $throw
        i32.const 0
      catch $a
        i32.const 1
        i32.add
        throw $a
      end
    catch $a
      i32.const 100
      i32.add
    catch_all
      i32.const 50
    end)

  (func (export "rethrow") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $throw
        i32.const 0
      catch $b
        try
          i32.const 9
          throw $a
        catch $a
          drop
          rethrow 1
        end
        i32.const 1
      catch_all
        rethrow 0
      end
    catch $a
    catch $b
      i32.const 30
    end)

  ;; The innermost handler is passed over.
  (func (export "delegate") (param i32) (result i32)
    try $outer (result i32)
      try (result i32)
        try (result i32)
          local.get 0
          call $throw
          i32.const 0
        delegate $outer
      catch_all
        i32.const 1
      end
    catch $a
      i32.const 1
      i32.add
    catch_all
      i32.const 2
    end)

  (func (export "delegate-to-block") (param i32) (result i32)
    try (result i32)
      block $b (result i32)
        try (result i32)
          local.get 0
          call $throw
          i32.const 0
        delegate $b
      end
    catch_all
      i32.const 5
    end)

  (func (export "delegate-to-caller") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $throw
        i32.const 0
      delegate 1
    catch_all
      i32.const 5
    end)

  ;; Delegation out of a handler goes past the try whose handler it is.
  (func (export "delegate-from-handler") (param i32) (result i32)
    try (result i32)
      try $inner (result i32)
        i32.const 1
        throw $a
      catch $a
        drop
        try (result i32)
          local.get 0
          call $throw
          i32.const 0
        delegate $inner
      end
    catch_all
      i32.const 6
    end)

  (func (export "branch-out") (param i32) (result i32)
    block $out (result i32)
      loop
        try
          local.get 0
          call $throw
          i32.const 3
          br $out
        catch $a
          br $out
        catch_all
          i32.const 1
          local.set 0
          br 1
        end
      end
      unreachable
    end)

  (func (export "mixed") (param i32) (result i32)
    block $new (result i32)
      try_table (result i32) (catch $a $new)
        try (result i32)
          local.get 0
          call $throw
          i32.const 0
        catch $b
          i32.const 77
          throw $a
        end
      end
    end)
)

(assert_return (invoke "catch" (i32.const 0)) (i32.const 0))
(assert_return (invoke "catch" (i32.const 1)) (i32.const 10))
(assert_return (invoke "catch" (i32.const 2)) (i32.const 20))
(assert_return (invoke "catch" (i32.const 3)) (i32.const 7))
(assert_return (invoke "catch-all" (i32.const 0)) (i32.const 0))
(assert_return (invoke "catch-all" (i32.const 1)) (i32.const 1))
(assert_return (invoke "catch-all" (i32.const 3)) (i32.const 2))
(assert_return (invoke "no-throw") (i32.const 1))
(assert_return (invoke "only-throw") (i32.const 8))
(assert_return (invoke "bare" (i32.const 0)))
(assert_exception (invoke "bare" (i32.const 2)))
(assert_return (invoke "nested" (i32.const 0)) (i32.const 0))
(assert_return (invoke "nested" (i32.const 1)) (i32.const 111))
(assert_return (invoke "nested" (i32.const 2)) (i32.const 50))
(assert_return (invoke "rethrow" (i32.const 1)) (i32.const 10))
(assert_return (invoke "rethrow" (i32.const 2)) (i32.const 30))
(assert_exception (invoke "rethrow" (i32.const 3)))
(assert_return (invoke "delegate" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate" (i32.const 1)) (i32.const 11))
(assert_return (invoke "delegate" (i32.const 2)) (i32.const 2))
(assert_return (invoke "delegate-to-block" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate-to-block" (i32.const 1)) (i32.const 5))
(assert_return (invoke "delegate-to-caller" (i32.const 0)) (i32.const 0))
(assert_exception (invoke "delegate-to-caller" (i32.const 1)))
(assert_return (invoke "delegate-from-handler" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate-from-handler" (i32.const 2)) (i32.const 6))
(assert_return (invoke "branch-out" (i32.const 0)) (i32.const 3))
(assert_return (invoke "branch-out" (i32.const 2)) (i32.const 10))
(assert_return (invoke "mixed" (i32.const 0)) (i32.const 0))
(assert_return (invoke "mixed" (i32.const 1)) (i32.const 10))
(assert_return (invoke "mixed" (i32.const 2)) (i32.const 77))
(assert_exception (invoke "mixed" (i32.const 3)))
