//! The conformance suites as the first half of `cargo prove`.
//!
//! Invariant: passes only if every failure is listed and every listed failure fails.
//!
//! Does not know: suites; they are `wattest-spec-tests`'s.

/// What the suites said.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct SuiteResult {
    /// A table, by proposal and configuration, as text.
    pub table: String,
    /// The same in numbers; the second implementation is one of the configurations.
    pub rows: Vec<Conformance>,
    /// What must be changed, one line each.
    pub problems: Vec<String>,
}

/// How one configuration fared in the suites of one proposal.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Conformance {
    /// The proposal, or the group of files.
    pub proposal: String,
    /// The configuration, or the other implementation.
    pub configuration: String,
    /// Files run.
    pub files: u64,
    /// Files without a failure, and those whose failures are all listed as expected.
    pub files_as_expected: u64,
    /// Assertions that hold.
    pub assertions_passed: u64,
    /// All assertions.
    pub assertions: u64,
}

/// Runs every suite that is there, in every configuration, and the core suites once more by the definitional interpreter.
///
/// # Errors
///
/// When a suite folder is named but unusable, or the list of expected failures cannot be read.
#[cfg(feature = "suites")]
pub fn run(threads: usize) -> Result<SuiteResult, Box<dyn std::error::Error>> {
    use wattest_differential::{DefinitionalEngine, suite};
    use wattest_spec_tests::adapter::WattestEngine;
    use wattest_spec_tests::{Expectations, Suites, WastEngine, campaign};
    let suites = Suites::locate()?;
    let expectations = Expectations::parse(include_str!("../../../spec-tests/expected.toml"))?;
    let engines = WattestEngine::all();
    let engines: Vec<&dyn WastEngine> = engines.iter().map(|engine| engine as &dyn WastEngine).collect();
    let outcome = campaign::run_suites(&suites, &engines, &expectations, threads);
    let expectations = Expectations::parse(suite::EXPECTED)?;
    let mut core = Suites::locate()?;
    core.found.retain(|found| suite::covers(found.name));
    let second = campaign::run_suites(&core, &[&DefinitionalEngine], &expectations, threads);
    let table = format!("{}\n{}\nThe second implementation\n{}", outcome.sources, outcome.summary, second.summary);
    let groups = outcome.summary.groups.iter().chain(&second.summary.groups);
    let rows = groups.flat_map(|(proposal, configurations)| {
        configurations.iter().map(move |(configuration, row)| Conformance {
            proposal: proposal.clone(),
            configuration: configuration.clone(),
            files: row.files,
            files_as_expected: row.files_passed + row.files_expected,
            assertions_passed: row.assertions().passed,
            assertions: row.assertions().total,
        })
    });
    let rows = rows.collect();
    let problems = outcome.problems.into_iter().chain(second.problems).collect();
    Ok(SuiteResult { table, rows, problems })
}

/// Without the runtime there is nothing to run.
///
/// # Errors
///
/// None.
#[cfg(not(feature = "suites"))]
pub fn run(_threads: usize) -> Result<SuiteResult, Box<dyn std::error::Error>> {
    let table = "skipped: built without the runtime".into();
    Ok(SuiteResult { table, rows: Vec::new(), problems: Vec::new() })
}
