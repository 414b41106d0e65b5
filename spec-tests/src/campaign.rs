//! Running files: one for the command line, all of them for the proof campaign and the test harness.
//!
//! Invariant: a file is read, parsed and encoded once, whatever the number of configurations.
//!
//! Does not know: how results are shown.

use crate::adapter::{WattestEngine, header_of};
use crate::expected::Presence;
use crate::features::group_of_file;
use crate::runner::unreadable_file;
use crate::script::ScriptError;
use crate::{Expectations, FeatureSet, FileReport, Script, SuiteFile, Suites, Summary, WastEngine, run_script};
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A file that is read when the first engine asks for it.
pub struct LazyFile {
    file: SuiteFile,
    script: OnceLock<Result<Script, ScriptError>>,
}

impl LazyFile {
    /// Remembers `file`.
    pub fn new(file: SuiteFile) -> LazyFile {
        LazyFile { file, script: OnceLock::new() }
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn text(&self) -> std::io::Result<String> {
        self.file.read().map(std::borrow::Cow::into_owned)
    }

    /// Runs the file; a file that is no script is a report with one failure.
    pub fn run(&self, engine: &dyn WastEngine, features: &FeatureSet) -> FileReport {
        let script = self.script.get_or_init(|| match self.file.read() {
            Ok(text) => Script::parse(&text),
            Err(error) => Err(ScriptError { line: 1, text: format!("cannot be read: {error}") }),
        });
        match script {
            Ok(script) => run_script(&self.file.name, script, engine, features),
            Err(error) => unreadable_file(&self.file.name, engine.name(), error.line, error.text.clone()),
        }
    }

    /// The engine that the file's header asks for, if it has one: to be asked beside the others.
    pub fn engine_of_header(&self) -> Option<WattestEngine> {
        header_of(&self.text().ok()?).map(WattestEngine::new)
    }

    /// Runs a suite file with the features of its folder.
    pub fn run_in_suite(&self, engine: &dyn WastEngine) -> FileReport {
        self.run(engine, &FeatureSet::of_file(&self.file.name).unwrap_or_default())
    }
}

/// Runs the file at `path` with `features`.
pub fn run_path(path: &Path, engine: &dyn WastEngine, features: &FeatureSet) -> FileReport {
    LazyFile::new(SuiteFile::at(path)).run(engine, features)
}

/// The outcome of whole suites.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Where the suites came from, one line each.
    pub sources: String,
    /// Counts.
    pub summary: Summary,
    /// Failures that are not expected, expected ones that are gone, globs that match nothing.
    pub problems: Vec<String>,
}

/// Runs every file of `suites` on every engine, and on the one that its header asks for, on `threads` threads, and compares
/// with `expectations`.
pub fn run_suites(
    suites: &Suites,
    engines: &[&dyn WastEngine],
    expectations: &Expectations,
    threads: usize,
) -> Outcome {
    let files: Vec<_> = suites.files().collect();
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let lazy = LazyFile::new((*file).clone());
                    let own = lazy.engine_of_header();
                    let own = own.iter().map(|engine| engine as &dyn WastEngine);
                    let reports: Vec<_> =
                        engines.iter().copied().chain(own).map(|engine| lazy.run_in_suite(engine)).collect();
                    rows.lock().unwrap_or_else(PoisonError::into_inner).extend(reports);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by(|a, b| (&a.file, &a.configuration).cmp(&(&b.file, &b.configuration)));
    let mut outcome = Outcome { sources: suites.sources(), ..Outcome::default() };
    for report in &rows {
        let judgement = expectations.judge(report);
        outcome.summary.add(group_of_file(&report.file), report, judgement.expected);
        outcome.problems.extend(judgement.problems);
    }
    outcome.problems.extend(stale_globs(suites, expectations));
    outcome
}

/// Globs of `expectations` that match no file of `suites`.
pub fn stale_globs(suites: &Suites, expectations: &Expectations) -> Vec<String> {
    let names: Vec<_> = suites.files().map(|file| file.name.as_str()).collect();
    expectations.unmatched(&names, |name| {
        let suite = suites.found.iter().find(|suite| suite.name == name)?;
        Some(if suite.embedded { Presence::Embedded } else { Presence::Full })
    })
}

/// The features that the suite folder of `path` presumes; none outside the suites.
pub fn features_of_path(path: &Path) -> Option<FeatureSet> {
    suite_name_of(path).and_then(|name| FeatureSet::of_file(&name))
}

/// The suite file name that `path` would have, going by the last of its folders that is called like a suite.
///
/// ```
/// use std::path::Path;
/// use wattest_spec_tests::campaign::suite_name_of;
/// let name = suite_name_of(Path::new("/x/suites/spec/proposals/threads/atomic.wast"));
/// assert_eq!(name.as_deref(), Some("spec/proposals/threads/atomic.wast"));
/// assert_eq!(suite_name_of(Path::new("/x/y.wast")), None);
/// ```
pub fn suite_name_of(path: &Path) -> Option<String> {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let start = parts.iter().rposition(|part| matches!(&**part, "spec" | "spec-extra" | "component-model"))?;
    Some(parts[start..].join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeEngine;

    #[test]
    fn whole_suites_are_counted_and_judged() {
        let mut suites = Suites::locate_in(None).unwrap();
        for suite in &mut suites.found {
            suite.files.retain(|file| matches!(file.name.as_str(), "spec/comments.wast" | "spec/i32.wast"));
        }
        let engine = FakeEngine { threads: false };
        let outcome = run_suites(&suites, &[&engine], &Expectations::default(), 2);
        let total = outcome.summary.total();
        assert_eq!((total.files, total.expected), (2, 0));
        assert!(total.assertions().total > 400, "{}", outcome.summary);
        assert!(outcome.problems.iter().any(|problem| problem.starts_with("spec/i32.wast:")));
    }

    /// A script that passes only with canonical NaNs, and asks for them or for what there is not.
    #[test]
    fn headers_of_scripts_are_honoured() {
        let check = |name: &str, header: &str, files: u64, problem: Option<&str>| {
            let path = std::env::temp_dir().join(format!("wattest-{}-{name}.wast", std::process::id()));
            let text = format!("{header}\n{CANONICAL}");
            std::fs::write(&path, text).unwrap();
            let mut suites = Suites::locate_in(None).unwrap();
            suites.found.truncate(1);
            suites.found[0].files = vec![SuiteFile::at(&path)];
            let outcome = run_suites(&suites, &[], &Expectations::default(), 1);
            std::fs::remove_file(&path).unwrap();
            assert_eq!(outcome.summary.total().files, files, "{header}");
            match problem {
                None => assert_eq!(outcome.problems, [""; 0], "{header}"),
                Some(problem) => assert!(outcome.problems.join("\n").contains(problem), "{:?}", outcome.problems),
            }
        };
        check("asks", ";; what it is about\n;; options: nan-canonicalization=true", 1, None);
        check("asks-for-other", ";; options: opt-level=none", 1, Some("assert_return"));
        check("asks-for-nothing", ";; nothing", 0, None);
        check("asks-for-what-there-is-not", ";; options: canonical-nans=true", 1, Some("canonical-nans"));
        check("misspelt", ";; options: nan-canonicalization=true round-trips", 1, Some("round-trips"));
    }

    const CANONICAL: &str = r#"(module (func (export "f") (param f32) (result f32) (f32.add (local.get 0) (local.get 0))))
(assert_return (invoke "f" (f32.const nan:0x600000)) (f32.const nan:0x400000))"#;

    #[test]
    fn a_file_that_cannot_be_read_is_a_failure() {
        let engine = FakeEngine { threads: false };
        let report = run_path(Path::new("/no/such.wast"), &engine, &FeatureSet::default());
        assert_eq!(report.failures.len(), 1);
        assert_eq!(report.failures[0].kind, "file");
    }
}
