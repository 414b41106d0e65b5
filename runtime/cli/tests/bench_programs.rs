//! The benchmark programs, as users run them.
//!
//! The programs are not part of the repository: they are taken from `bench/` in the folder that `WATTEST_SHARED` names,
//! else from `../shared/bench` beside the workspace; without them the test says so.
//!
//! Invariant: a program's output is compared byte by byte, run from its module and from a compiled artifact.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("WATTEST_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = named.unwrap_or_else(beside).join("bench");
    folder.is_dir().then_some(folder)
}

fn wattest(words: &[&str], folder: &Path, cache: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wattest"))
        .args(words)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", cache)
        .output()
        .unwrap()
}

/// The expected output: `<name>.<stream>.expected`, or the folder's only one.
fn expected(folder: &Path, name: &str, stream: &str) -> Option<Vec<u8>> {
    [name, "benchmark"].iter().find_map(|stem| std::fs::read(folder.join(format!("{stem}.{stream}.expected"))).ok())
}

fn check(output: &Output, folder: &Path, name: &str) {
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    for (stream, actual) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if let Some(expected) = expected(folder, name, stream) {
            assert!(*actual == expected, "{name}: another {stream}: {}", String::from_utf8_lossy(actual));
        }
    }
}

#[test]
fn stats_are_printed_in_nanoseconds() {
    let temp = tempfile::tempdir().unwrap();
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/bench.wat");
    let output = wattest(&["run", "--stats", case.to_str().unwrap()], temp.path(), temp.path());
    let text = String::from_utf8(output.stderr).unwrap();
    let numbers: Vec<(&str, u64)> = text
        .strip_prefix("stats: ")
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, number)| (name, number.parse().unwrap()))
        .collect();
    let names: Vec<&str> = numbers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["compile_ns", "instantiate_ns", "run_ns", "bench_ns"], "{text}");
    assert!(numbers[2].1 >= numbers[3].1, "{text}");
}

#[test]
fn benchmark_programs_print_what_they_should() {
    let Some(root) = programs() else {
        println!("skipped: benchmark programs (no folder: set WATTEST_SHARED)");
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap()
        .filter_map(|entry| std::fs::read_dir(entry.unwrap().path()).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (folder, wasm) = (file.parent().unwrap(), file.to_str().unwrap());
        let artifact = temp.path().join("artifact");
        let artifact = artifact.to_str().unwrap();
        // Twice: compiled, then from the cache.
        for _ in 0..2 {
            check(&wattest(&["run", "--dir", ".", wasm], folder, temp.path()), folder, name);
        }
        assert!(wattest(&["compile", wasm, "-o", artifact], folder, temp.path()).status.success(), "{name}");
        let run = wattest(&["run", "--dir", ".", "--allow-precompiled", artifact], folder, temp.path());
        check(&run, folder, name);
    }
}
