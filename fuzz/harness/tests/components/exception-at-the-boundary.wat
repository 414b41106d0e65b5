;; An exception that leaves a lifted function is a trap for its caller, which cannot catch it.
(component
  (component $C
    (core module $m (tag $t) (func (export "f") (throw $t)))
    (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f"))))
  (component $D
    (import "f" (func $f))
    (core func $low (canon lower (func $f)))
    (core module $m (import "" "low" (func $low))
      (func (export "run") (block $h (try_table (catch_all $h) (call $low)))))
    (core instance $i (instantiate $m (with "" (instance (export "low" (func $low))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "f" (func $c "f"))))
  (export "i" (instance $d)))
