;; wasmi 2.0.0 panics on a store whose address and value are one local, with a large offset or another memory.
;; check f 0 => trap out of bounds memory access
;; check g 8 => 8
(module
  (memory 1)
  (memory 1)
  (func (export "f") (param i32)
    local.get 0
    local.get 0
    i32.store16 1 offset=2147483648)
  (func (export "g") (param i32) (result i32)
    local.get 0
    local.get 0
    i32.store 1 offset=60000
    local.get 0
    i32.load 1 offset=60000))
