;; wasmi 2.0.0 takes the wrong operand of a `select` whose condition is an `i32.eqz`, also where the result is used at
;; once; with the operand under test as the condition, a division by zero appears or vanishes.
;; check f 128 => 6
;; check f 0 => 5
;; check h 5 => 7
;; check h 0 => 9
;; check i 1 => 9
;; check g 0 => 12
;; check g 4 => 3
(module
  (func (export "f") (param i32) (result i32)
    i32.const 5
    i32.const 6
    local.get 0
    i32.eqz
    select)
  (func (export "h") (param i32) (result i64)
    i64.const 9
    i64.const 7
    i32.const 0
    local.get 0
    i32.eq
    select)
  (func (export "i") (param i32) (result i32)
    (local externref)
    i32.const 9
    i32.const 7
    local.get 1
    ref.is_null
    select)
  (func (export "g") (param i32) (result i32)
    i32.const 12
    i32.const 1
    local.get 0
    local.get 0
    i32.eqz
    select
    i32.div_s))
