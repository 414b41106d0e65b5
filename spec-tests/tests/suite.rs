//! The suites under `cargo test`: one trial per file and configuration.
//!
//! Trial names are `FILE::CONFIGURATION`, so that `cargo test --test suite simd` or `… ::unoptimized` filters. The trial
//! `expected.toml` checks the list of expected failures itself. At the end the harness prints what ran and where the
//! suites came from.
//!
//! Invariant: a trial fails for any difference from the list, in either direction.
//!
//! Does not know: how scripts run.

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use wattest_spec_tests::adapter::WattestEngine;
use wattest_spec_tests::campaign::{LazyFile, stale_globs};
use wattest_spec_tests::expected::EXPECTED;
use wattest_spec_tests::features::group_of_file;
use wattest_spec_tests::{Expectations, Suites, Summary};

/// What trials share.
struct Shared {
    expectations: Expectations,
    summary: Mutex<Summary>,
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let (suites, expectations) = match (Suites::locate(), Expectations::parse(EXPECTED)) {
        (Ok(suites), Ok(expectations)) => (suites, expectations),
        (Err(error), _) => return refuse(&error.to_string()),
        (_, Err(error)) => return refuse(&format!("expected.toml: {error}")),
    };
    let stale = stale_globs(&suites, &expectations);
    let list =
        Trial::test(
            "expected.toml",
            move || {
                if stale.is_empty() { Ok(()) } else { Err(Failed::from(stale.join("\n"))) }
            },
        );
    let shared = Arc::new(Shared { expectations, summary: Mutex::default() });
    let engines: Vec<_> = WattestEngine::all().into_iter().map(Arc::new).collect();
    let mut trials = vec![list];
    for file in suites.files() {
        let file = Arc::new(LazyFile::new(file.clone()));
        trials.extend(engines.iter().map(|engine| trial(&shared, &file, engine)));
        // A script that shows something in one configuration only says which one.
        trials.extend(file.engine_of_header().map(|engine| trial(&shared, &file, &Arc::new(engine))));
    }
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list {
        let summary = shared.summary.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{summary}\n{}", suites.sources());
    }
    conclusion.exit_code()
}

fn refuse(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}

fn trial(shared: &Arc<Shared>, file: &Arc<LazyFile>, engine: &Arc<WattestEngine>) -> Trial {
    let (shared, file, engine) = (Arc::clone(shared), Arc::clone(file), Arc::clone(engine));
    let name = format!("{}::{}", file.name(), wattest_spec_tests::WastEngine::name(&*engine));
    Trial::test(name, move || {
        let report = file.run_in_suite(&*engine);
        let judgement = shared.expectations.judge(&report);
        let mut summary = shared.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.add(group_of_file(&report.file), &report, judgement.expected);
        if judgement.problems.is_empty() { Ok(()) } else { Err(Failed::from(judgement.problems.join("\n"))) }
    })
}
