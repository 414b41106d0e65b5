;; The legacy encoding of exceptions, form by form: what each does when nested, when delegated to every kind of label, and in
;; code that cannot be reached; and what validation refuses.

(module $tags
  (tag $i (export "i") (param i32))
  (tag (export "none"))
  (func (export "throw-i") (param i32) local.get 0 throw $i)
)
(register "tags" $tags)

(module
  ;; One tag under two names.
  (import "tags" "i" (tag $i (param i32)))
  (import "tags" "i" (tag $again (param i32)))
  (import "tags" "none" (tag $none))
  (import "tags" "throw-i" (func $throw (param i32)))
  (tag $wide (param i32 i64 f32 f64))
  (tag $own (param i32))
  (global $count (mut i32) (i32.const 0))
  (func $add (param i32) global.get $count local.get 0 i32.add global.set $count)
  (func (export "count") (result i32) global.get $count i32.const 0 global.set $count)

  (func (export "one-identity") (result i32)
    try (result i32)
      i32.const 5
      call $throw
      i32.const 0
    catch $own
      i32.const 1000
      i32.add
    catch $again
      i32.const 100
      i32.add
    catch $i
      unreachable
    end)

  ;; Values below the block and its parameters.
  (func (export "parameters") (param i32) (result i32)
    i32.const 1000
    i32.const 20
    local.get 0
    try (param i32 i32) (result i32)
      i32.add
      throw $own
    catch $own
      i32.const 2
      i32.mul
    end
    i32.add)

  (func (export "many-values") (result i64)
    (local $a i32) (local $b i64) (local $c f32) (local $d f64)
    try (result i32 i64 f32 f64)
      i32.const 1
      i64.const 20
      f32.const 300
      f64.const 4000
      throw $wide
    catch $wide
    end
    local.set $d
    local.set $c
    local.set $b
    local.set $a
    local.get $b
    local.get $a
    i64.extend_i32_s
    i64.add
    local.get $c
    i64.trunc_f32_s
    i64.add
    local.get $d
    i64.trunc_f64_s
    i64.add)

  ;; What a handler throws is not caught by its own `try`.
  (func (export "handler-throws") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $throw
        i32.const 0
      catch $i
        i32.const 1
        i32.add
        throw $i
      catch_all
        unreachable
      end
    catch $i
      i32.const 10
      i32.mul
    end)

  ;; `rethrow` of each of three exceptions that are being handled.
  (func (export "rethrow-which") (param i32) (result i32)
    try (result i32)
      try (result i32)
        i32.const 1
        call $throw
        i32.const 0
      catch $i
        drop
        try (result i32)
          i32.const 2
          call $throw
          i32.const 0
        catch $i
          drop
          try (result i32)
            i32.const 3
            throw $own
          catch $own
            drop
            block
              block
                block
                  local.get 0
                  br_table 0 1 2
                end
                rethrow 2
              end
              rethrow 2
            end
            rethrow 2
          end
        end
      end
    catch $i
    catch $own
      i32.const 100
      i32.add
    end)

  ;; A loop whose body is a `try`, continued from its handlers.
  (func (export "retry") (param i32) (result i32) (local $tries i32)
    loop $more (result i32)
      try (result i32)
        local.get $tries
        i32.const 1
        i32.add
        local.tee $tries
        local.get 0
        i32.lt_s
        if
          local.get $tries
          i32.const 1
          i32.and
          if
            local.get $tries
            call $throw
          else
            throw $none
          end
        end
        local.get $tries
      catch $i
        call $add
        br $more
      catch_all
        i32.const 100
        call $add
        br $more
      end
    end)

  ;; Delegation past handlers to: a `try` two up, a block, a loop, the function.
  (func (export "delegate") (param i32) (result i32)
    try $far (result i32)
      block $block (result i32)
        loop $loop (result i32)
          try $near (result i32)
            try (result i32)
              local.get 0
              i32.const 0
              i32.eq
              if
                try
                  i32.const 10
                  call $throw
                delegate $far
              end
              local.get 0
              i32.const 1
              i32.eq
              if
                try
                  i32.const 11
                  call $throw
                delegate $block
              end
              local.get 0
              i32.const 2
              i32.eq
              if
                try
                  i32.const 12
                  call $throw
                delegate $loop
              end
              local.get 0
              i32.const 3
              i32.eq
              if
                try
                  i32.const 13
                  call $throw
                delegate $near
              end
              local.get 0
              i32.const 4
              i32.eq
              if
                try
                  i32.const 14
                  call $throw
                ;; The `if` and five more: the function's label.
                delegate 6
              end
              local.get 0
              i32.const 5
              i32.eq
              if
                try
                  i32.const 15
                  call $throw
                ;; The `if` itself: to whatever is around it.
                delegate 0
              end
              i32.const 0
            catch_all
              i32.const 1000
            end
          catch $i
            i32.const 2000
            i32.add
          end
        end
      end
    catch $i
      i32.const 3000
      i32.add
    end)

  ;; A chain, each link of which hands on.
  (func (export "delegate-chain") (result i32)
    try $a (result i32)
      try $b (result i32)
        try $c (result i32)
          try $d (result i32)
            i32.const 6
            call $throw
            i32.const 0
          delegate $c
        delegate $b
      delegate $a
    catch $i
      i32.const 1
      i32.add
    end)

  ;; A `delegate` that nothing is thrown to gives its block's values.
  (func (export "delegate-nothing") (result i32 i64)
    try (result i32 i64)
      i32.const 1
      i64.const 2
    delegate 0)

  ;; A branch to a `try` that delegates goes to its end.
  (func (export "delegate-branch") (param i32) (result i32)
    try $t (result i32)
      local.get 0
      i32.const 7
      i32.ne
      if
        i32.const 1
        br $t
      end
      i32.const 2
    delegate 0)

  ;; Locals written before, in and after a throw.
  (func (export "locals") (param i32) (result i32) (local $x i32)
    i32.const 1
    local.set $x
    try
      i32.const 2
      local.set $x
      local.get 0
      if
        throw $none
      end
      i32.const 3
      local.set $x
    catch_all
      local.get $x
      i32.const 10
      i32.add
      local.set $x
    end
    local.get $x)

  ;; Every form where it cannot be reached.
  (func (export "unreachable-forms") (param i32) (result i32)
    block $skip
      br $skip
      try
        throw $none
      catch $none
        rethrow 0
      end
      try (result i32)
        i32.const 1
      catch $i
      catch_all
        rethrow 0
      end
      drop
      try
        try
        delegate 0
      delegate 1
      try
      end
    end
    i32.const 1)
  (func (export "unreachable-after-throw") (result i32)
    try (result i32)
      i32.const 4
      throw $own
      try
        i32.const 1
        call $add
      catch_all
        rethrow 0
      end
      try (result i32)
        i32.const 1
      delegate 0
    catch $own
      br 0
      try (result i32)
        i32.const 1
      catch_all
        rethrow 0
      end
    end)
  (func (export "unreachable-handlers") (result i32)
    try (result i32)
      i32.const 8
      return
    catch $i
      drop
      try (result i32)
        rethrow 1
      catch_all
        rethrow 0
      end
    catch_all
      rethrow 0
    end)
  (func (export "unreachable-delegate") (result i32)
    try (result i32)
      unreachable
      try (result i32)
        throw $none
      delegate 1
    catch_all
      i32.const 9
    end)
)

(assert_return (invoke "one-identity") (i32.const 105))
(assert_return (invoke "parameters" (i32.const 1)) (i32.const 1042))
(assert_return (invoke "many-values") (i64.const 4321))
(assert_return (invoke "handler-throws" (i32.const 4)) (i32.const 50))
(assert_return (invoke "rethrow-which" (i32.const 0)) (i32.const 103))
(assert_return (invoke "rethrow-which" (i32.const 1)) (i32.const 2))
(assert_return (invoke "rethrow-which" (i32.const 2)) (i32.const 1))
(assert_return (invoke "retry" (i32.const 1)) (i32.const 1))
(assert_return (invoke "count") (i32.const 0))
(assert_return (invoke "retry" (i32.const 6)) (i32.const 6))
(assert_return (invoke "count") (i32.const 209))
(assert_return (invoke "delegate" (i32.const 0)) (i32.const 3010))
(assert_return (invoke "delegate" (i32.const 1)) (i32.const 3011))
(assert_return (invoke "delegate" (i32.const 2)) (i32.const 3012))
(assert_return (invoke "delegate" (i32.const 3)) (i32.const 2013))
(assert_exception (invoke "delegate" (i32.const 4)))
(assert_return (invoke "delegate" (i32.const 5)) (i32.const 1000))
(assert_return (invoke "delegate" (i32.const 6)) (i32.const 0))
(assert_return (invoke "delegate-chain") (i32.const 7))
(assert_return (invoke "delegate-nothing") (i32.const 1) (i64.const 2))
(assert_return (invoke "delegate-branch" (i32.const 7)) (i32.const 2))
(assert_return (invoke "delegate-branch" (i32.const 8)) (i32.const 1))
(assert_return (invoke "locals" (i32.const 0)) (i32.const 3))
(assert_return (invoke "locals" (i32.const 1)) (i32.const 12))
(assert_return (invoke "unreachable-forms" (i32.const 0)) (i32.const 1))
(assert_return (invoke "unreachable-after-throw") (i32.const 4))
(assert_return (invoke "unreachable-handlers") (i32.const 8))
(assert_trap (invoke "unreachable-delegate") "unreachable")

;; Traps pass every kind of handler.
(module
  (func (export "trap") (param i32) (result i32)
    try (result i32)
      try (result i32)
        i32.const 1
        local.get 0
        i32.div_u
      delegate 0
    catch_all
      i32.const 5
    end))
(assert_return (invoke "trap" (i32.const 1)) (i32.const 1))
(assert_trap (invoke "trap" (i32.const 0)) "integer divide by zero")

(assert_invalid (module (func rethrow 0)) "invalid rethrow label")
(assert_invalid (module (func try rethrow 0 end)) "invalid rethrow label")
(assert_invalid (module (func block try catch_all rethrow 1 end end)) "invalid rethrow label")
(assert_invalid (module (func try catch_all rethrow 9 end)) "unknown label")
(assert_invalid (module (func try delegate 1)) "unknown label")
(assert_invalid (module (func try catch 0 end)) "unknown tag")
(assert_invalid (module (func throw 0)) "unknown tag")
(assert_invalid (module (tag (param i32)) (func throw 0)) "type mismatch")
(assert_invalid (module (tag (param i32)) (func try catch 0 end)) "type mismatch")
(assert_invalid (module (tag (param i64)) (func (result i32) try (result i32) i32.const 1 catch 0 end)) "type mismatch")
(assert_invalid (module (func (result i32) try (result i32) catch_all i32.const 1 end)) "type mismatch")
(assert_invalid (module (func (result i32) try (result i32) i32.const 1 catch_all end)) "type mismatch")
(assert_invalid (module (func (result i32) try (result i32) i64.const 1 delegate 0)) "type mismatch")
(assert_invalid (module (func i32.const 1 try catch_all drop end drop)) "type mismatch")
