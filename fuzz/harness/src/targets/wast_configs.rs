//! `wast_configs`: the files of the official suites in configurations that the suites' own runner does not use: every row of
//! [`CONFIGS`], with more fuel and a later deadline than any file needs, and those that collect garbage wherever they may.
//!
//! Invariant: a file's expected failures are those of `spec-tests/expected.toml`.
//!
//! Does not know: what the files assert.

use super::{Outcome, Target};
use crate::envelope::Envelope;
use crate::source::Source;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use wattest_differential::{CONFIGS, WattestConfig, effective, linked};
use wattest_spec_tests::adapter::{Configuration, WattestEngine};
use wattest_spec_tests::campaign::LazyFile;
use wattest_spec_tests::{Expectations, Suites};

/// Files that take longer than a case may.
const BYTES_MAX: usize = 200_000;

/// The target.
#[derive(Default)]
pub(super) struct WastConfigs {
    engines: BTreeMap<usize, WattestEngine>,
}

struct Files {
    files: Vec<LazyFile>,
    expectations: Expectations,
}

/// The suites, found once.
fn files() -> Option<&'static Files> {
    static FILES: OnceLock<Option<Files>> = OnceLock::new();
    let find = || {
        let suites = Suites::locate().ok()?;
        let short = |file: &&wattest_spec_tests::SuiteFile| file.read().is_ok_and(|text| text.len() <= BYTES_MAX);
        let files = suites.files().filter(short).map(|file| LazyFile::new(file.clone())).collect();
        let expectations = Expectations::parse(include_str!("../../../../spec-tests/expected.toml")).ok()?;
        Some(Files { files, expectations })
    };
    FILES.get_or_init(find).as_ref()
}

/// The text of the file that a case runs.
pub(super) fn text(case: &Envelope) -> Option<String> {
    case.get("file").filter(|_| case.target == "wast_configs")?;
    files()?.files.iter().find(|file| case.is("file", file.name()))?.text().ok()
}

/// Rows that collect garbage wherever they may, behind those of [`CONFIGS`].
const STRESSED: usize = 5;

/// How many subjects there are.
pub(super) fn row_count() -> usize {
    CONFIGS.len() + STRESSED
}

/// The configuration for a subject.
pub(super) fn row(subject: usize) -> &'static WattestConfig {
    let subject = subject % row_count();
    CONFIGS.get(subject).unwrap_or_else(|| linked::configuration(linked::row(subject - CONFIGS.len(), true)))
}

/// The same in the suites' form; pools are as large as ever, since a script keeps the instances of all its modules.
fn configurations() -> &'static [Configuration] {
    static ROWS: OnceLock<Vec<Configuration>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let rows = (0..row_count()).map(|subject| effective(row(subject)));
        rows.map(|row| {
            let options: Vec<_> = row.options.iter().copied().filter(|(key, _)| *key != "pooling-memories").collect();
            Configuration { name: row.name, options: options.leak(), round_trip: row.round_trip }
        })
        .collect()
    })
}

impl Target for WastConfigs {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let row = source.below(configurations().len());
        let files = files()?;
        let file = &files.files[usize::from(source.u32() as u16) % files.files.len().max(1)];
        Some(Envelope::new("wast_configs").set("subject", row).set("file", file.name()))
    }

    fn mutate(&mut self, case: &Envelope, source: &mut Source<'_>) -> Envelope {
        let Some(files) = files() else { return case.clone() };
        match source.percent(50) {
            true => case.clone().set("subject", source.below(configurations().len())),
            false => case.clone().set("file", files.files[source.below(files.files.len())].name()),
        }
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let row = case.number("subject", 0) as usize % configurations().len();
        let Some(files) = files() else { return Outcome::default() };
        let Some(file) = files.files.iter().find(|file| case.is("file", file.name())) else {
            return Outcome::default();
        };
        let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(&configurations()[row]));
        let report = file.run_in_suite(engine);
        let problems = files.expectations.judge(&report).problems;
        match problems.first() {
            // A failure that is expected in the usual configurations may pass in others: only new failures count.
            Some(problem) if !report.passed() => Outcome::failed("wattest", format!("{}: {problem}", file.name())),
            _ => {
                let checks = report.total().passed;
                Outcome { checks, useful: checks > 0, ..Outcome::default() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_have_pools_of_the_usual_size() {
        let limited = |row: &&Configuration| row.options.iter().any(|(key, _)| *key == "pooling-memories");
        assert!(configurations().iter().any(|row| row.options.contains(&("allocation", "pooling"))));
        assert_eq!(configurations().iter().filter(limited).count(), 0);
    }

    #[test]
    fn every_configuration_runs_a_file() {
        let mut target = WastConfigs::default();
        let case = target.generate(&[0; 8]).expect("a case").set("file", "spec/call.wast");
        assert!(text(&case).is_some());
        for subject in 0..configurations().len() {
            let outcome = target.run(&case.clone().set("subject", subject));
            assert_eq!(outcome.disagreement, None, "{}", row(subject).name);
            assert!(outcome.checks > 50, "{}: {} checks", row(subject).name, outcome.checks);
        }
        // A script's threads have stores of their own.
        for subject in 0..configurations().len() {
            let outcome = target.run(&case.clone().set("subject", subject).set("file", "own/threads.wast"));
            assert_eq!(outcome.disagreement, None, "{}", row(subject).name);
        }
        let has = |key: &str| configurations().iter().any(|row| row.options.contains(&(key, "true")));
        assert!(has("fuel") && has("epoch") && has("gc-stress"));
    }

    #[test]
    fn mutation_leads_to_other_files_and_rows() {
        let case = Envelope::new("wast_configs").set("subject", 0).set("file", "spec/call.wast");
        let near = |seed| WastConfigs::default().mutate(&case, &mut Source::new(&crate::source::expand(seed)));
        let all: Vec<Envelope> = (0..20).map(near).collect();
        assert!(all.iter().any(|near| near.get("file") != case.get("file")));
        assert!(all.iter().any(|near| near.get("subject") != case.get("subject")));
        assert!(all.iter().all(|near| text(near).is_some()));
    }
}
