//! The conformance suites as the first half of `cargo prove`.
//!
//! Invariant: passes only if every failure is listed and every listed failure fails.
//!
//! Does not know: suites; they are `wattest-spec-tests`'s.

/// What the suites said.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct SuiteResult {
    /// A table, by proposal and configuration.
    pub table: String,
    /// What must be changed, one line each.
    pub problems: Vec<String>,
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
    let problems = outcome.problems.into_iter().chain(second.problems).collect();
    Ok(SuiteResult { table, problems })
}

/// Without the runtime there is nothing to run.
///
/// # Errors
///
/// None.
#[cfg(not(feature = "suites"))]
pub fn run(_threads: usize) -> Result<SuiteResult, Box<dyn std::error::Error>> {
    Ok(SuiteResult { table: "skipped: built without the runtime".into(), problems: Vec::new() })
}
