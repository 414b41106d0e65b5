;; Casts by descriptor in modules that declare a type twice, so that positions in the type section and distinct types differ.

(module
  (type $s (struct))
  (type $s2 (struct))
  (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct)))
  (func (export "f") (param anyref (ref $b)) (result (ref $a))
    (ref.cast_desc_eq (ref $a) (local.get 0) (local.get 1)))
)
(assert_invalid
  (module
    (type $s (struct))
    (type $s2 (struct))
    (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct)))
    (func (export "f") (param anyref (ref $a)) (result (ref $a))
      (ref.cast_desc_eq (ref $a) (local.get 0) (local.get 1)))
  )
  "type mismatch"
)
;; The position of the descriptor among the distinct types is that of a function type in the type section.
(assert_invalid
  (module
    (type $s (struct))
    (type $s2 (struct))
    (type $s3 (struct))
    (type $f (func))
    (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct)))
    (func (export "f") (param anyref (ref $f)) (result (ref $a))
      (ref.cast_desc_eq (ref $a) (local.get 0) (local.get 1)))
  )
  "type mismatch"
)
