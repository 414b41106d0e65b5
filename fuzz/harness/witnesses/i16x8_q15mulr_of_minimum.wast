;; Fails while the fault `i16x8_q15mulr_of_minimum` is on.
(module
  (func (export "f") (param v128 v128) (result v128)
    (i16x8.q15mulr_sat_s (local.get 0) (local.get 1))))
(assert_return (invoke "f" (v128.const i16x8 -32768 -32768 -32768 -32768 -32768 -32768 -32768 -32768) (v128.const i16x8 -32768 -32768 -32768 -32768 -32768 -32768 -32768 -32768)) (v128.const i16x8 32767 32767 32767 32767 32767 32767 32767 32767))
