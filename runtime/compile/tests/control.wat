;; Structured control in all shapes: parameters, several results, dead code, branches of every kind.
(module
  (func (export "unreachable") unreachable)
  (func (export "nop") nop)
  (func (export "block") (result i32) (block (result i32) (i32.const 1)))
  (func (export "block-params") (param i32 i64) (result i64 i32)
    local.get 0 local.get 1
    (block (param i32 i64) (result i64 i32)
      i64.const 2 i64.add
      local.set 1
      local.get 1 i32.wrap_i64 i32.add
      local.set 0
      local.get 1 local.get 0))
  (func (export "loop") (param i32) (result i32) (local i32)
    (loop $top
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if $top (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    local.get 1)
  (func (export "loop-params") (param i32) (result i32)
    i32.const 1 local.get 0
    (loop $top (param i32 i32) (result i32)
      local.set 0
      local.get 0 i32.mul
      local.get 0 i32.const 1 i32.sub
      local.tee 0
      local.get 0
      br_if $top
      drop))
  (func (export "nested-loops") (param i32) (result i32) (local i32 i32)
    (block $out
      (loop $a
        (local.set 1 (local.get 0))
        (loop $b
          (local.set 2 (i32.add (local.get 2) (local.get 1)))
          (br_if $out (i32.gt_u (local.get 2) (i32.const 1000)))
          (if (i32.and (local.get 2) (i32.const 1)) (then (call 0)))
          (br_if $b (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
        (br_if $a (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    local.get 2)
  (func (export "if") (param i32) (if (local.get 0) (then nop)))
  (func (export "if-else") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2))))
  (func (export "if-params") (param i32 i32) (result i32)
    local.get 0 local.get 1
    (if (param i32) (result i32) (then i32.const 1 i32.add) (else i32.const 2 i32.mul)))
  (func (export "if-params-no-else") (param i32 i32) (result i32)
    local.get 0 local.get 1
    (if (param i32) (result i32) (then i32.const 1 i32.add)))
  (func (export "if-else-empty") (param i32) (if (local.get 0) (then (call 1)) (else (call 0))))
  (func (export "if-then-unreachable") (param i32) (result i32)
    (if (result i32) (local.get 0) (then unreachable) (else (i32.const 2))))
  (func (export "if-both-unreachable") (param i32) (result i32)
    (if (result i32) (local.get 0) (then unreachable) (else (return (i32.const 2)))))
  (func (export "if-br") (param i32) (result i32)
    (block $out (result i32)
      (if (local.get 0) (then (br $out (i32.const 4))) (else (nop)))
      (i32.const 5)))
  (func (export "br-value") (result i32 i64) (block (result i32 i64) (br 0 (i32.const 1) (i64.const 2))))
  (func (export "br-outermost") (param i32) (result i32)
    (br_if 0 (i32.const 3) (local.get 0)) drop (br 0 (i32.const 4)))
  (func (export "br_table") (param i32) (result i32)
    (block $a (block $b (block $c
      (br_table $a $b $c $a $b (local.get 0)))
      (return (i32.const 1)))
      (return (i32.const 2)))
    i32.const 3)
  (func (export "br_table-values") (param i32) (result i32)
    (block $a (result i32) (block $b (result i32) (block $c (result i32)
      (br_table $a $b $c (i32.const 7) (local.get 0)))
      i32.const 1 i32.add)
      i32.const 2 i32.add)
    i32.const 3 i32.add)
  (func (export "br_table-loop") (param i32) (result i32) (local i32)
    (loop $again
      (block $out
        (block $more
          (br_table $out $again $more $again (local.get 0)))
        (local.set 0 (i32.const 1))
        (br $again))
      (local.set 1 (i32.const 9)))
    local.get 1)
  (func (export "br_table-default-only") (param i32) (br_table 0 (local.get 0)))
  (func (export "return-in-loop") (param i32) (result i32)
    (loop (result i32)
      (if (local.get 0) (then (return (i32.const 1))))
      (local.set 0 (i32.const 1))
      (br 0)))
  (func (export "dead-code") (result i32)
    i32.const 1
    return
    (block (loop (if (i32.const 1) (then (br 1)) (else unreachable))))
    i32.add
    (block (result f32) unreachable)
    drop
    unreachable
    i64.add
    drop
    i32.const 1)
  (func (export "dead-else") (param i32) (result i32)
    (block $out (result i32)
      (br $out (i32.const 1))
      (if (result i32) (then (i32.const 1)) (else (i32.const 2)))))
  (func (export "dead-loop") (loop (br 0)) unreachable)
  (func (export "select") (param i32 i64 i64 f32 f32) (result i64 f32)
    (select (local.get 1) (local.get 2) (local.get 0))
    (select (result f32) (local.get 3) (local.get 4) (local.get 0)))
  (func (export "select-vector") (param i32 v128 v128) (result v128)
    (select (i32x4.add (local.get 1) (local.get 2)) (f32x4.add (local.get 1) (local.get 2)) (local.get 0)))
  (func (export "vector-block") (param i32 v128 v128) (result v128)
    (block (result v128)
      (br_if 0 (i64x2.add (local.get 1) (local.get 2)) (local.get 0))
      (f64x2.add (local.get 2))
      ))
  (func (export "early-exit") (param i32) (result i32)
    (if (i32.lt_u (local.get 0) (i32.const 2)) (then (return (local.get 0))))
    (i32.add
      (call 28 (i32.sub (local.get 0) (i32.const 1)))
      (call 28 (i32.sub (local.get 0) (i32.const 2)))))
)
