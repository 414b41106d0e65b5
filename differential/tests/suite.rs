//! The suites through the definitional interpreter under `cargo test`: one trial per file.
//!
//! Invariant: a trial fails for any difference from the interpreter's own list of expected failures, in either direction.
//!
//! Does not know: how scripts run.

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use wattest_differential::{DefinitionalEngine, suite};
use wattest_spec_tests::campaign::{LazyFile, stale_globs};
use wattest_spec_tests::features::group_of_file;
use wattest_spec_tests::{Expectations, Suites, Summary};

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let (mut suites, expectations) = match (Suites::locate(), Expectations::parse(suite::EXPECTED)) {
        (Ok(suites), Ok(expectations)) => (suites, Arc::new(expectations)),
        (Err(error), _) => return refuse(&error.to_string()),
        (_, Err(error)) => return refuse(&format!("expected.toml: {error}")),
    };
    suites.found.retain(|found| suite::covers(found.name));
    let stale = stale_globs(&suites, &expectations);
    let list =
        Trial::test(
            "expected.toml",
            move || {
                if stale.is_empty() { Ok(()) } else { Err(Failed::from(stale.join("\n"))) }
            },
        );
    let summary = Arc::new(Mutex::new(Summary::default()));
    let mut trials = vec![list];
    trials.extend(suites.files().map(|file| trial(&summary, &expectations, LazyFile::new(file.clone()))));
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list {
        let summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{summary}\n{}", suites.sources());
    }
    conclusion.exit_code()
}

fn refuse(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}

fn trial(summary: &Arc<Mutex<Summary>>, expectations: &Arc<Expectations>, file: LazyFile) -> Trial {
    let (summary, expectations) = (Arc::clone(summary), Arc::clone(expectations));
    Trial::test(file.name().to_owned(), move || {
        let report = file.run_in_suite(&DefinitionalEngine);
        let judgement = expectations.judge(&report);
        let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.add(group_of_file(&report.file), &report, judgement.expected);
        if judgement.problems.is_empty() { Ok(()) } else { Err(Failed::from(judgement.problems.join("\n"))) }
    })
}
