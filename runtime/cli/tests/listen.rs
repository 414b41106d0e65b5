//! `wattest run --listen`: a module lets a client in, and sends back what it says.
//!
//! Invariant: the command tells the port that the system chose, so that tests need none of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};

/// Lets one client in by the first socket after a directory, if there is one, and sends back what it says until it ends.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $check (param i32) (if (local.get 0) (then unreachable)))
    (func (export "_start") (local $fd i32)
        (local.set $fd (i32.const 3))
        (block $socket
            (loop $next
                (br_if $socket (call $prestat (local.get $fd) (i32.const 0)))
                (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
                (br $next)))
        (call $check (call $accept (local.get $fd) (i32.const 0) (i32.const 0)))
        (local.set $fd (i32.load (i32.const 0)))
        (i32.store (i32.const 16) (i32.const 1024))
        (block $end
            (loop $next
                (i32.store (i32.const 20) (i32.const 100))
                (call $check (call $read (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 0)))
                (br_if $end (i32.eqz (i32.load (i32.const 0))))
                (i32.store (i32.const 20) (i32.load (i32.const 0)))
                (call $check (call $write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 0)))
                (br $next)))
        (call $check (call $shutdown (local.get $fd) (i32.const 2)))))"#;

#[test]
fn a_module_lets_others_in() {
    fn check(options: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("echo.wat"), ECHO).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wattest"))
            .arg("run")
            .args(options)
            .arg("echo.wat")
            .current_dir(dir.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        errors.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("Listening on ").unwrap_or_else(|| panic!("{line}"));
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        errors.read_to_string(&mut line).unwrap();
        assert_eq!(
            (answer.as_str(), child.wait().unwrap().code(), line.lines().count()),
            ("hello", Some(0), 1),
            "{line}"
        );
    }
    check(&["--listen", "127.0.0.1:0"]);
    check(&["-S", "tcplisten=127.0.0.1:0", "--dir", "."]);
}
