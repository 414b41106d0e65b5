//! The visible shape of the repository: its top level, its packages, its licence, its fuzz targets.
//!
//! Invariant: what is not listed here does not exist at the top level, and what is listed does.
//!
//! Does not know: what is inside the files, but for the fields it names.

use wattest_tidy::packages::{Package, packages};
use wattest_tidy::report::Report;
use wattest_tidy::tree::tree;

/// What must stand at the top.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".clusterfuzzlite",
    ".clippy.toml",
    ".github",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "differential",
    "fuzz",
    "oss-fuzz",
    "runtime",
    "spec-tests",
];

/// Files that tools look for where they stand.
const FIXED_FILES: &[&str] = &[
    ".cargo/config.toml",
    ".cargo/deny.toml",
    ".ci/run",
    ".github/SECURITY.md",
    "runtime/ARCHITECTURE.md",
    "runtime/RATIONALE.md",
];

const LICENSE: &str = "Apache-2.0 WITH LLVM-exception";

#[test]
fn the_top_level_is_fixed() {
    let mut report = Report::default();
    let mut found: Vec<&str> = tree().paths().map(|path| path.split('/').next().unwrap_or(path)).collect();
    found.sort_unstable();
    found.dedup();
    for name in found.iter().filter(|name| !TOP.contains(name)) {
        report.at(name, 1, "does not belong at the top level");
    }
    for name in TOP.iter().filter(|name| !found.contains(name)) {
        report.at(name, 1, "is missing from the top level");
    }
    let paths: Vec<&str> = tree().paths().collect();
    for path in FIXED_FILES.iter().filter(|path| !paths.contains(path)) {
        report.at(path, 1, "is missing");
    }
    report.finish("code goes into a crate, notes into runtime/RATIONALE.md, what tools write into .gitignore");
}

/// Programs that measure another engine through its Rust API: built by hand, by nothing of the house.
const DRIVERS: &[&str] = &["differential/benches/peers/wasmtime_driver/Cargo.toml"];

#[test]
fn every_manifest_is_a_package_of_the_house() {
    let mut report = Report::default();
    let known: Vec<String> = packages().iter().map(|package| format!("{}/Cargo.toml", package.folder)).collect();
    for path in tree().paths().filter(|path| path.ends_with("/Cargo.toml")) {
        if !known.iter().any(|manifest| manifest == path) && !DRIVERS.contains(&path) {
            report.at(path, 1, "belongs to no workspace");
        }
    }
    for package in packages() {
        let manifest = format!("{}/Cargo.toml", package.folder);
        if package.license != LICENSE {
            report.at(&manifest, 1, format!("licence is `{}`, not `{LICENSE}`", package.license));
        }
        let text = tree().text(&manifest).unwrap_or_default();
        for field in ["edition", "rust-version", "publish"] {
            if package.folder != "fuzz" && !text.contains(&format!("{field}.workspace = true")) {
                report.at(&manifest, 1, format!("does not say `{field}.workspace = true`"));
            }
        }
    }
    let licence = tree().text("LICENSE").unwrap_or_default();
    if !licence.contains("Apache License") || !licence.contains("LLVM Exceptions to the Apache 2.0 License") {
        report.at("LICENSE", 1, format!("is not the text of {LICENSE}"));
    }
    report.finish("list the package in the root Cargo.toml and take its fields from the workspace");
}

/// A libFuzzer file is a shim: the property is library code of `fuzz/harness`.
const SHIM_CODE_LINES_MAX: usize = 15;

#[test]
fn fuzz_targets_are_registered_shims() {
    let Some(fuzz) = packages().iter().find(|package| package.folder == "fuzz") else { return };
    let mut report = Report::default();
    let manifest = tree().text("fuzz/Cargo.toml").unwrap_or_default();
    if !manifest.contains("cargo-fuzz = true") {
        report.at("fuzz/Cargo.toml", 1, "does not say `cargo-fuzz = true`");
    }
    for shim in tree().sources_under("fuzz/fuzz_targets/") {
        let name = shim.path.trim_start_matches("fuzz/fuzz_targets/").trim_end_matches(".rs");
        check_shim(&mut report, fuzz, &shim.path, name);
        if shim.code_lines() > SHIM_CODE_LINES_MAX {
            report.at(&shim.path, 1, format!("{} code lines: no shim any more", shim.code_lines()));
        }
    }
    for root in fuzz.roots.iter().filter(|root| root.kind == "bin") {
        if tree().source(&root.path).is_none() {
            report.at("fuzz/Cargo.toml", 1, format!("[[bin]] {} has no file", root.name));
        }
    }
    report.finish(
        "one file, one [[bin]] with `test = false`, one row in the harness's registry; logic goes to the harness",
    );
}

fn check_shim(report: &mut Report, fuzz: &Package, path: &str, name: &str) {
    if !fuzz.roots.iter().any(|root| root.kind == "bin" && root.name == name) {
        report.at(path, 1, "has no [[bin]] of its name in fuzz/Cargo.toml");
    }
    let quoted = format!("\"{name}\"");
    if !tree().sources_under("fuzz/harness/src/").any(|source| source.text.contains(&quoted)) {
        report.at(path, 1, format!("{quoted} is in no registry of fuzz/harness/src"));
    }
    let manifest = tree().text("fuzz/Cargo.toml").unwrap_or_default();
    let row = manifest.split("[[bin]]").find(|row| row.contains(&quoted)).unwrap_or_default();
    if !row.replace(' ', "").contains("test=false") {
        report.at(path, 1, "its [[bin]] does not say `test = false`");
    }
}
