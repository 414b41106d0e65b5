;; Where objects hold their descriptors, and what collections do to them: more than the official files ask.

;; A descriptor below a supertype that has none lies after that one's fields, in a type without supertype first; wide and
;; packed fields around it keep their places.
(module
  (rec
    (type $plain (sub (struct (field (mut i32)) (field i8))))
    (type $below (sub $plain (descriptor $below.desc) (struct (field (mut i32)) (field i8) (field i64))))
    (type $below.desc (sub (describes $below) (struct (field i32))))
    (type $last (sub $below (descriptor $last.desc)
      (struct (field (mut i32)) (field i8) (field i64) (field i16) (field f64) (field anyref))))
    (type $last.desc (sub $below.desc (describes $last) (struct (field i32) (field i64))))
  )
  (func $new (result (ref $last))
    (struct.new_desc $last
      (i32.const 1) (i32.const -2) (i64.const 3) (i32.const -4) (f64.const 5) (ref.i31 (i32.const 6))
      (struct.new $last.desc (i32.const 7) (i64.const 8))))
  (func (export "fields") (result i32 i32 i64 i32 f64 i32 i32 i64) (local $o (ref null $last))
    (local.set $o (call $new))
    (struct.get $plain 0 (local.get $o))
    (struct.get_s $plain 1 (local.get $o))
    (struct.get $below 2 (local.get $o))
    (struct.get_s $last 3 (local.get $o))
    (struct.get $last 4 (local.get $o))
    (i31.get_s (ref.cast (ref i31) (struct.get $last 5 (local.get $o))))
    (struct.get $below.desc 0 (ref.get_desc $below (local.get $o)))
    (struct.get $last.desc 1 (ref.get_desc $last (local.get $o))))
  (func (export "set-does-not-touch-it") (result i32) (local $o (ref null $last))
    (local.set $o (call $new))
    (struct.set $plain 0 (local.get $o) (i32.const -1))
    (struct.get $below.desc 0 (ref.get_desc $below (local.get $o))))
  (func (export "defaults") (result i64 i32) (local $o (ref null $below))
    (local.set $o (struct.new_default_desc $below (struct.new $below.desc (i32.const 9))))
    (struct.get $below 2 (local.get $o))
    (struct.get $below.desc 0 (ref.get_desc $below (local.get $o))))
  ;; The type decides before the descriptor does: an object without one is no match.
  (func (export "plain-is-no-match") (result i32)
    (block $yes (result (ref $below))
      (br_on_cast_desc_eq $yes (ref $plain) (ref $below)
        (struct.new $plain (i32.const 0) (i32.const 0)) (struct.new $below.desc (i32.const 0)))
      (return (i32.const 0)))
    (drop)
    (i32.const 1))
)
(assert_return (invoke "fields")
  (i32.const 1) (i32.const -2) (i64.const 3) (i32.const -4) (f64.const 5) (i32.const 6) (i32.const 7) (i64.const 8))
(assert_return (invoke "set-does-not-touch-it") (i32.const 7))
(assert_return (invoke "defaults") (i64.const 0) (i32.const 9))
(assert_return (invoke "plain-is-no-match") (i32.const 0))

;; A large struct is zeroed as a whole before it gets its descriptor.
(module
  (type $f (func))
  (rec
    (type $big (descriptor $big.desc) (struct
      (field i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
      (field i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)))
    (type $big.desc (describes $big) (struct (field i32)))
  )
  (func (export "big") (result i64 i32) (local $o (ref null $big))
    (local.set $o (struct.new_default_desc $big (struct.new $big.desc (i32.const 7))))
    (struct.get $big 39 (local.get $o))
    (struct.get $big.desc 0 (ref.get_desc $big (local.get $o))))
)
(assert_return (invoke "big") (i64.const 0) (i32.const 7))

;; A descriptor lives as long as what it describes, through chains, and keeps its identity when both are moved.
(module
  (rec
    (type $node (descriptor $class) (struct (field $next (ref null $node))))
    (type $class (describes $node) (descriptor $meta) (struct (field $id i32)))
    (type $meta (describes $class) (struct (field $id i64)))
  )
  (type $array (array (mut i32)))
  (func $garbage (drop (array.new $array (i32.const -1) (i32.const 300))))
  (func (export "list") (param $n i32) (result i32)
    (local $list (ref null $node)) (local $class (ref null (exact $class))) (local $sum i32)
    (local.set $class (struct.new_desc $class (i32.const 5) (struct.new $meta (i64.const 6))))
    (loop $more
      (local.set $list (struct.new_desc $node (local.get $list) (local.get $class)))
      (call $garbage)
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.set $class (ref.null none))
    (call $garbage)
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (i32.add (struct.get $class $id (ref.get_desc $node (local.get $list)))
          (i32.wrap_i64 (struct.get $meta $id (ref.get_desc $class (ref.get_desc $node (local.get $list))))))))
      ;; Every node has the same one.
      (drop (ref.cast_desc_eq (ref (exact $node)) (local.get $list)
        (ref.cast (ref (exact $class)) (ref.get_desc $node (local.get $list)))))
      (br_if $next (i32.eqz (ref.is_null (local.tee $list (struct.get $node $next (local.get $list)))))))
    (local.get $sum))
  ;; Operands are evaluated before the object exists, and a descriptor among them is moved like any.
  (func (export "operands") (result i32) (local $o (ref null $node))
    (local.set $o (struct.new_desc $node
      (struct.new_desc $node (ref.null $node) (struct.new_desc $class (i32.const 1) (struct.new $meta (i64.const 2))))
      (struct.new_desc $class (i32.const 3) (struct.new $meta (i64.const 4)))))
    (i32.add
      (i32.mul (i32.const 10) (struct.get $class $id (ref.get_desc $node (local.get $o))))
      (struct.get $class $id (ref.get_desc $node (struct.get $node $next (local.get $o))))))
)
(assert_return (invoke "list" (i32.const 60)) (i32.const 660))
(assert_return (invoke "operands") (i32.const 31))

;; Constant expressions: fields and descriptors, and a trap that leaves nothing behind.
(module
  (rec
    (type $a (sub (descriptor $a.desc) (struct (field i64) (field anyref))))
    (type $a.desc (sub (describes $a) (struct (field f32))))
  )
  (global $d (ref (exact $a.desc)) (struct.new $a.desc (f32.const 1.5)))
  (global $x (ref (exact $a)) (struct.new_desc $a (i64.const 4) (ref.i31 (i32.const 3)) (global.get $d)))
  (table $t 2 (ref null (exact $a)) (struct.new_default_desc $a (struct.new $a.desc (f32.const 3.5))))
  (elem $e (ref $a) (global.get $x) (struct.new_desc $a (i64.const 9) (ref.null any) (struct.new $a.desc (f32.const 2.5))))
  (type $arr (array (mut (ref null $a))))
  (func (export "global") (result i64 f32 i32)
    (struct.get $a 0 (global.get $x))
    (struct.get $a.desc 0 (ref.get_desc $a (global.get $x)))
    (i31.get_s (ref.cast (ref i31) (struct.get $a 1 (global.get $x)))))
  (func (export "table") (result f32 i32)
    (struct.get $a.desc 0 (ref.get_desc $a (table.get $t (i32.const 1))))
    (ref.eq (table.get $t (i32.const 0)) (table.get $t (i32.const 1))))
  (func (export "segment") (result f32)
    (struct.get $a.desc 0
      (ref.get_desc $a (array.get $arr (array.new_elem $arr $e (i32.const 0) (i32.const 2)) (i32.const 1)))))
)
(assert_return (invoke "global") (i64.const 4) (f32.const 1.5) (i32.const 3))
(assert_return (invoke "table") (f32.const 3.5) (i32.const 1))
(assert_return (invoke "segment") (f32.const 2.5))

;; Exact and other references to one type are different types, but the same objects; types that differ only in
;; exactness, or in their descriptors, are not the same types.
(module
  (rec (type $s (sub (struct))))
  (rec (type $s2 (sub (struct))) (type $pad (struct)))
  (type $in (array (ref $s)))
  (type $ex (array (ref (exact $s))))
  (func (export "arrays-differ") (result i32)
    (ref.test (ref $in) (array.new_fixed $ex 1 (struct.new $s))))
  (func (export "a-test-for-a-function") (result i32)
    (ref.test (ref (exact $f)) (ref.func $g)))
  (type $f (sub (func)))
  (type $f2 (sub $f (func)))
  (elem declare func $g)
  (func $g (type $f2))
)
(assert_return (invoke "arrays-differ") (i32.const 0))
(assert_return (invoke "a-test-for-a-function") (i32.const 0))

(module $M
  (rec
    (type $a (descriptor $a.desc) (struct))
    (type $a.desc (describes $a) (struct))
  )
  (global (export "a") (ref (exact $a)) (struct.new_desc $a (struct.new $a.desc)))
)
(register "M" $M)
(assert_unlinkable
  (module
    (type $a (struct))
    (import "M" "a" (global (ref $a)))
  )
  "incompatible import type"
)
;; The other type of a pair with the same fields is another type.
(assert_unlinkable
  (module
    (rec (type $a (descriptor $a.desc) (struct)) (type $a.desc (describes $a) (struct)))
    (import "M" "a" (global (ref $a.desc)))
  )
  "incompatible import type"
)
(module
  (type (func))
  (rec (type $a (descriptor $a.desc) (struct)) (type $a.desc (describes $a) (struct)))
  (import "M" "a" (global (ref (exact $a))))
)
