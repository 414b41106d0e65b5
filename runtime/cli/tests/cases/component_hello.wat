;; A component that is a command: WASI 0.2.
;; RUN: run {file}
;; RUN: run --trace-wasi {file}
;; RUN: run --invoke nothing() {file}
;; RUN: run --preload a=b {file}
;; RUN: inspect {file}
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error'))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $output (sub resource)))
    (alias outer 1 $error' (type $e))
    (export "error" (type $error (eq $e)))
    (type $failed' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $failed (eq $failed')))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $failed)))))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdout@0.2.3" (instance $stdout
    (alias outer 1 $output (type $o))
    (export "output-stream" (type $o' (eq $o)))
    (export "get-stdout" (func (result (own $o'))))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 100) "hello, world\n"))
  (core instance $m (instantiate $memory))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $m "memory")))
  (core func $drop (canon resource.drop $output))
  (core module $program
    (import "host" "get" (func $get (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "memory" (memory 1))
    (func (export "run") (result i32)
      (local $stream i32)
      (local.set $stream (call $get))
      (call $write (local.get $stream) (i32.const 100) (i32.const 13) (i32.const 0))
      (call $drop (local.get $stream))
      (i32.load8_u (i32.const 0))))
  (core instance $p (instantiate $program (with "host" (instance
    (export "get" (func $get)) (export "write" (func $write)) (export "drop" (func $drop))
    (export "memory" (memory $m "memory"))))))
  (func $run (result (result)) (canon lift (core func $p "run")))
  (instance $run' (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run')))
