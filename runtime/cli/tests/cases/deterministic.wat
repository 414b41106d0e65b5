;; The same run every time.
;; RUN: run --deterministic --invoke random {file}
;; RUN: run --deterministic --invoke random {file}
;; RUN: run --deterministic --seed 7 --invoke random {file}
;; RUN: run --deterministic --invoke time {file}
;; RUN: run --deterministic --invoke nan {file}
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "random") (result i64) (drop (call $random (i32.const 0) (i32.const 8))) (i64.load (i32.const 0)))
  (func (export "time") (result i64)
    (drop (call $time (i32.const 0) (i64.const 0) (i32.const 0)))
    (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))
    (i64.load (i32.const 0)))
  (func (export "nan") (result f32) (f32.add (f32.const nan:0x200001) (f32.const 1))))
