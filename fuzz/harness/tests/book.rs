//! The commands of the book that are this crate's: `cargo prove …` and `oss-fuzz/local.sh …`.
//!
//! The transcripts of the book are run by the tests of `wattest-cli`; a campaign takes as long as it is told and a fuzzing
//! build a quarter of an hour, so that their lines are held against what the commands understand, and the module of the page
//! is given to `cargo prove repro`.
//!
//! Invariant: a page that names no such command fails.
//!
//! Does not know: what the commands print.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The lines of the page's blocks of plain text that begin with a command, without it and without remarks.
fn lines_of(page: &str, command: &str) -> Vec<String> {
    let inside = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("text\n"));
    let lines = inside.flat_map(str::lines).filter_map(|line| line.strip_prefix(command));
    lines.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned()).collect()
}

fn page() -> String {
    std::fs::read_to_string(root().join("runtime/docs/src/fuzz.md")).unwrap()
}

#[test]
fn commands_of_the_campaign_are_understood() {
    let page = page();
    let lines = lines_of(&page, "cargo prove");
    assert!(lines.len() >= 3, "{lines:?}");
    // What remarks tell of options counts, too: "--time 5m, --seed 7".
    let remarks = page.lines().filter(|line| line.starts_with("cargo prove ")).filter_map(|line| line.split_once("; "));
    let options = remarks.map(|(_, options)| options.replace(',', ""));
    for line in lines.iter().cloned().chain(options) {
        // Everything before `--help` is looked at; nothing is run.
        let output =
            Command::new(env!("CARGO_BIN_EXE_prove")).args(line.split_whitespace()).arg("--help").output().unwrap();
        assert!(output.status.success(), "cargo prove {line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn steps_of_fuzzing_are_known() {
    let script = root().join("oss-fuzz/local.sh");
    let usage = Command::new("bash").arg(&script).arg("help").output().unwrap();
    let usage = String::from_utf8(usage.stdout).unwrap();
    let lines = lines_of(&page(), "oss-fuzz/local.sh");
    assert!(lines.len() >= 3, "{lines:?}");
    for line in lines {
        let mut words = line.split_whitespace();
        let step = words.next().unwrap_or_default();
        let described =
            usage.lines().find_map(|line| line.split_once(&format!("local.sh {step} "))).map(|(_, rest)| rest);
        let operands = described.unwrap_or_else(|| panic!("{step} is not described in {usage}"));
        assert!(words.count() <= operands.split("  ").next().unwrap_or_default().split_whitespace().count(), "{line}");
    }
}

#[test]
fn the_module_of_the_page_is_reproduced() {
    let folder = tempfile::tempdir().unwrap();
    let page = page();
    let (_, text) = page.split_once("```wat\n").unwrap();
    let (module, _) = text.split_once("```").unwrap();
    let file = folder.path().join("case.wat");
    std::fs::write(&file, module).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_prove")).arg("repro").arg(&file).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && printed.lines().any(|line| line == "agreement"), "{printed}");
}
