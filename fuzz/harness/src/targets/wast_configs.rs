//! `wast_configs`: the files of the official suites in configurations that the suites' own runner does not use.
//!
//! Invariant: a file's expected failures are those of `spec-tests/expected.toml`.
//!
//! Does not know: what the files assert.

use super::{Outcome, Target};
use crate::envelope::Envelope;
use crate::source::Source;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use wattest_differential::CONFIGS;
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

/// The row of [`CONFIGS`] for a subject.
pub(super) fn row(subject: usize) -> usize {
    let rows: Vec<usize> = rows().collect();
    rows[subject % rows.len()]
}

/// The rows of [`CONFIGS`] that let every call end by itself.
fn rows() -> impl Iterator<Item = usize> {
    let ends = |key: &str| ["fuel", "epoch"].contains(&key);
    (0..CONFIGS.len()).filter(move |row| !CONFIGS[*row].options.iter().any(|(key, _)| ends(key)))
}

/// The same in the suites' form; pools are as large as ever, since a script keeps the instances of all its modules.
fn configurations() -> &'static [Configuration] {
    static ROWS: OnceLock<Vec<Configuration>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let rows = rows().map(|row| &CONFIGS[row]);
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
            _ => Outcome { checks: report.total().passed.max(1), useful: true, ..Outcome::default() },
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
}
