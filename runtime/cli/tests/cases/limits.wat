;; Fuel and epochs can be counted; a status that no process can have is a failure.
;; RUN: run --opt fuel=true --opt epoch=true --invoke sum {file} 100000
;; RUN: run --opt explicit-bounds=true --opt signals-based-traps=false --invoke sum {file} 100000
;; RUN: run {file}
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "sum") (param $n i64) (result i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (local.get $n)))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $next (i64.ne (local.get $n) (i64.const 0))))
    (local.get $sum))
  (func (export "_start")
    (call $proc_exit (i32.const 256))))
