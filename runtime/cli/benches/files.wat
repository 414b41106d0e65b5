;; Writes and reads a file of 256 MiB in the first preopened directory, by blocks of 64 KiB or 4 KiB, and writes as much
;; to standard output. Each function returns the number of bytes that it moved.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (data (i32.const 64) "bench.bin")
  (global $total i64 (i64.const 0x10000000))

  ;; Opens the file, anew if it is to be written.
  (func $open (param $oflags i32) (param $rights i64) (result i32)
    (if (call $path_open
          (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 9) (local.get $oflags)
          (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 32))
      (then unreachable))
    (i32.load (i32.const 32)))

  ;; The vector at 16: a block at 65536.
  (func $block (param $bytes i32)
    (i32.store (i32.const 16) (i32.const 65536))
    (i32.store (i32.const 20) (local.get $bytes)))

  (func $put (param $fd i32) (param $bytes i32) (result i64)
    (local $done i64)
    (call $block (local.get $bytes))
    (memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 65536))
    (loop $next
      (if (call $fd_write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))
      (local.set $done (i64.add (local.get $done) (i64.load32_u (i32.const 24))))
      (br_if $next (i64.lt_u (local.get $done) (global.get $total))))
    (local.get $done))

  (func $get (param $bytes i32) (result i64)
    (local $done i64) (local $fd i32)
    ;; The right to read.
    (local.set $fd (call $open (i32.const 0) (i64.const 2)))
    (call $block (local.get $bytes))
    (loop $next
      (if (call $fd_read (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))
      (local.set $done (i64.add (local.get $done) (i64.load32_u (i32.const 24))))
      (br_if $next (i32.load (i32.const 24))))
    (local.get $done))

  ;; Create and truncate; the right to write.
  (func (export "write-64k") (result i64)
    (call $put (call $open (i32.const 9) (i64.const 64)) (i32.const 65536)))
  (func (export "write-4k") (result i64)
    (call $put (call $open (i32.const 9) (i64.const 64)) (i32.const 4096)))
  (func (export "read-64k") (result i64) (call $get (i32.const 65536)))
  (func (export "read-4k") (result i64) (call $get (i32.const 4096)))
  (func (export "stdout-64k") (result i64) (call $put (i32.const 1) (i32.const 65536)))
  (func (export "stdout-4k") (result i64) (call $put (i32.const 1) (i32.const 4096))))
