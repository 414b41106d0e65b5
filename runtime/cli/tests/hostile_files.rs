//! Files that are damaged: always an error with status 1, never a crash.
//!
//! Invariant: the damage is the same in every run.

use std::path::Path;
use std::process::Command;

fn status(words: &[&str], folder: &Path) -> Option<i32> {
    let output = Command::new(env!("CARGO_BIN_EXE_wattest")).args(words).current_dir(folder).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{words:?}: {output:?}");
    output.status.code()
}

/// A module with one function that returns 0.
const MODULE: &[u8] =
    b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x06\x01\x04\0\x41\0\x0b";

#[test]
fn cut_and_changed_modules_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let run = |bytes: &[u8]| {
        std::fs::write(temp.path().join("x.wasm"), bytes).unwrap();
        status(&["run", "--invoke", "f", "x.wasm"], temp.path())
    };
    assert_eq!(run(MODULE), Some(0));
    for length in 0..MODULE.len() {
        assert_eq!(run(&MODULE[..length]), Some(1), "cut to {length}");
    }
    for at in 8..MODULE.len() {
        let mut bytes = MODULE.to_vec();
        bytes[at] = 0xff;
        assert!(run(&bytes).is_some_and(|status| status <= 2), "byte {at}");
    }
}

/// A component with the same function, as text.
const COMPONENT: &[u8] = br#"(component
    (core module $m (func (export "f") (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;

#[test]
fn damaged_artifacts_are_refused() {
    check_artifact(MODULE);
    check_artifact(COMPONENT);
}

fn check_artifact(source: &[u8]) {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("x.wasm"), source).unwrap();
    assert_eq!(status(&["compile", "x.wasm", "-o", "x.cwasm"], temp.path()), Some(0));
    let artifact = std::fs::read(temp.path().join("x.cwasm")).unwrap();
    let run = |bytes: &[u8]| {
        std::fs::write(temp.path().join("y.cwasm"), bytes).unwrap();
        status(&["run", "--allow-precompiled", "--invoke", "f", "y.cwasm"], temp.path())
    };
    assert_eq!(run(&artifact), Some(0));
    for length in [0, 8, 16, 64, artifact.len() / 2, artifact.len() - 1] {
        assert_eq!(run(&artifact[..length]), Some(1), "cut to {length}");
    }
    for at in (0..artifact.len()).step_by(artifact.len() / 40) {
        let mut bytes = artifact.clone();
        bytes[at] ^= 0x10;
        assert_eq!(run(&bytes), Some(1), "byte {at}");
    }
}
