//! `wattest wast`: runs test scripts of the official suite.
//!
//! A script is run in the configuration that its header asks for, as the regressions of the harness do.
//!
//! Invariant: succeeds only if every directive of every file passes; expected failures are not applied.
//!
//! Does not know: how directives are run (`spec-tests`).

use crate::command_line::{Command, Parsed};
use crate::engine;
use crate::failure::Failure;
use crate::output;
use std::path::Path;
use wattest_spec_tests::adapter::{CONFIGURATIONS, WattestEngine, header_of};
use wattest_spec_tests::{FeatureSet, Script, SuiteFile, run_script};

/// The command.
pub static COMMAND: Command = Command {
    name: "wast",
    operands: "FILE…",
    help: "run test scripts, as their `;; options:` say; a suite's folder decides which proposals are on",
    flags: &[&[engine::FEATURES]],
    passes_arguments: false,
    run,
};

/// Folders that suites are kept in.
const SUITES: &[&str] = &["spec-extra", "component-model", "spec"];

/// The file's name in its suite, when it lies in one: `spec/proposals/threads/memory.wast`.
fn suite_name(path: &Path) -> Option<String> {
    let parts: Vec<_> = path.components().filter_map(|part| part.as_os_str().to_str()).collect();
    let from = |at: usize, prefix: &str| format!("{prefix}{}", parts[at..].join("/"));
    if let Some(at) = parts.iter().rposition(|part| SUITES.contains(part)) {
        return Some(from(at, ""));
    }
    // A plain clone of the suite.
    parts.iter().rposition(|part| *part == "proposals").map(|at| from(at, "spec/"))
}

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    if parsed.operands.is_empty() {
        return Err(Failure::usage("no script to run\nusage: wattest wast [--features LIST] FILE…"));
    }
    let asked: Option<FeatureSet> =
        engine::features(parsed)?.map(|features| features.iter().map(|feature| feature.name()).collect());
    let usual = WattestEngine::new(&CONFIGURATIONS[0]);
    let (mut directives, mut failed) = (0, 0);
    for path in &parsed.operands {
        let path = Path::new(path);
        let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let by_folder = || suite_name(&absolute).and_then(|name| FeatureSet::of_file(&name));
        let features = asked.clone().or_else(by_folder).unwrap_or_else(WattestEngine::everything);
        let text = SuiteFile::at(path)
            .read()
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        let script = Script::parse(&text)
            .map_err(|error| Failure::new(format!("{}:{}: {}", path.display(), error.line, error.text)))?;
        let own = header_of(&text).map(WattestEngine::new);
        let wattest = own.as_ref().unwrap_or(&usual);
        let report = run_script(&path.display().to_string(), &script, wattest, &features);
        let file = path.display();
        let lines = report.failures.iter().map(|row| format!("{file}:{}: {}: {}\n", row.line, row.kind, row.text));
        output::print(&lines.collect::<String>())?;
        directives += report.total().total;
        failed += report.total().failed + report.total().blocked;
    }
    output::print(&format!("{} file(s), {directives} directives, {failed} failed\n", parsed.operands.len()))?;
    Ok(u8::from(failed != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script that passes only with canonical NaNs, and asks for them or for something else.
    #[test]
    fn headers_are_honoured() {
        static COMMANDS: &[&Command] = &[&COMMAND];
        let folder = tempfile::tempdir().unwrap();
        let check = |header: &str, expected: u8| {
            let file = folder.path().join("x.wast");
            let text = r#"(module (func (export "f") (param f32) (result f32) (f32.add (local.get 0) (local.get 0))))
                (assert_return (invoke "f" (f32.const nan:0x600000)) (f32.const nan:0x400000))"#;
            std::fs::write(&file, format!("{header}\n{text}")).unwrap();
            let (_, parsed) = crate::command_line::parse(COMMANDS, vec!["wast".into(), file.into_os_string()]).unwrap();
            assert_eq!(run(&parsed).unwrap(), expected, "{header}");
        };
        check(";; options: nan-canonicalization=true", 0);
        check(";; options: nan-canonicalization=false", 1);
        check(";; options: nan-canonicalization=true no-such", 1);
        check("", 1);
    }

    #[test]
    fn suites_are_recognized_by_their_folder() {
        fn check(path: &str, expected: Option<&str>) {
            assert_eq!(suite_name(Path::new(path)).as_deref(), expected);
        }
        check("/suites/spec/i32.wast", Some("spec/i32.wast"));
        check("/x/testsuite/proposals/threads/atomic.wast", Some("spec/proposals/threads/atomic.wast"));
        check("/x/spec-extra/memory_grow.wast", Some("spec-extra/memory_grow.wast"));
        check("/tmp/mine.wast", None);
    }
}
