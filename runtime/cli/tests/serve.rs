//! `wattest serve`, driven by a client that speaks HTTP byte by byte.
//!
//! Invariant: the server tells its address itself, so that tests need no port of their own; each test stops what it started.
#![cfg(feature = "http")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The guest whose paths say what it does.
fn handler() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasi/tests/http/handler.wat")
}

struct Server {
    child: Child,
    errors: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Server {
    fn start(options: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wattest"))
            .args(["serve", "--addr", "127.0.0.1:0"])
            .args(options)
            .arg(handler())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Serving HTTP on http://").unwrap().trim_end_matches('/').to_owned();
        Server { child, errors, address }
    }

    /// The answer to a request, until the server closes.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        // A body that breaks off may end in a reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// Tells the server to stop; its status, and what it wrote.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let mut written = String::new();
        self.errors.read_to_string(&mut written).unwrap();
        (self.child.wait().unwrap().code(), written)
    }
}

#[test]
fn requests_are_answered_until_it_is_told_to_stop() {
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(&[]);
        for _ in 0..3 {
            let answer = server.get("/hello");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("Hello, world!\n"), "{answer}");
        }
        assert_eq!(server.stop(signal), (Some(0), String::new()));
    }
}

#[test]
fn guests_that_fail_leave_a_line() {
    let server = Server::start(&["--timeout", "500ms", "--max-memory", "1MiB"]);
    for (path, status) in [("/trap", 500), ("/nothing", 500), ("/spin", 504), ("/wait", 504), ("/hello", 200)] {
        let answer = server.get(path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    let (status, lines) = server.stop("-TERM");
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!((status, lines.len()), (Some(0), 4), "{lines:?}");
    let expected = [
        "error: GET /trap: wasm trap: unreachable",
        "error: GET /nothing: the component returned without an answer",
        "error: GET /spin: it took longer than --timeout",
        "error: GET /wait: it took longer than --timeout",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn fuel_is_for_each_request() {
    let server = Server::start(&["--fuel", "100000"]);
    for (path, status) in [("/spin", 500), ("/hello", 200), ("/spin", 500), ("/hello", 200)] {
        assert!(server.get(path).starts_with(&format!("HTTP/1.1 {status} ")), "{path}");
    }
    let (status, lines) = server.stop("-TERM");
    assert_eq!((status, lines.matches("fuel").count() >= 2), (Some(0), true), "{lines}");
}

#[test]
fn what_guests_were_denied_is_told_at_the_end() {
    let server = Server::start(&["--deny-report"]);
    assert!(server.get("/proxy?127.0.0.1:1").ends_with("15"));
    let (status, lines) = server.stop("-TERM");
    assert_eq!(status, Some(0));
    assert!(lines.contains("--net tcp://127.0.0.1:1"), "{lines}");
}

#[test]
fn what_is_no_handler_is_told_so() {
    fn check(file: &Path, options: &[&str], expected: &str) {
        let output = Command::new(env!("CARGO_BIN_EXE_wattest")).arg("serve").args(options).arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(expected), "{text}");
    }
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    check(&cases.join("hello.wat"), &[], "a core module");
    check(&cases.join("component_hello.wat"), &[], "does not export wasi:http/incoming-handler");
    check(&cases.join("component_hello.wat"), &[], "`wattest run` runs it");
    check(&handler(), &["--addr", "nowhere"], "--addr nowhere: cannot listen there");
    check(&handler(), &["--max-requests", "none"], "this is no number");
    check(&handler(), &["--timeout", "0"], "this is no time");
    // And `run` says what it is.
    let output = Command::new(env!("CARGO_BIN_EXE_wattest")).arg("run").arg(handler()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("`wattest serve` runs it"));
}
