;; pass: drop-dead
;; A lowered import and a memory that nothing uses; the module that is instantiated for nothing stays.
(component
  (import "f" (func $f))
  (core module $m (memory (export "memory") 1) (func (export "g")))
  (core instance $i (instantiate $m))
  (core func $lowered (canon lower (func $f)))
  (alias core export $i "memory" (core memory $memory))
  (func $lifted (canon lift (core func $i "g"))))
