;; An exception that nothing catches.
;; RUN: run {file}
;; RUN: run --invoke caught {file}
(module $cli
  (tag $t (param i32))
  (func $throw (throw $t (i32.const 7)))
  (func (export "caught") (result i32)
    (block $t (result i32)
      (try_table (catch $t $t) (call $throw))
      (unreachable)))
  (func (export "_start") (call $throw)))
