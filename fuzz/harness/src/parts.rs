//! Where the time of `diff_core` goes: processor time per case of each part, over the cases of a campaign.
//!
//! `cargo prove --parts CASES`. Parts are run one after the other over the same cases, so that each has warm caches of its
//! own: their sum is a little less than what the whole takes.
//!
//! Invariant: all parts see the same cases.
//!
//! Does not know: how many processes a campaign has.

use crate::case::{Case, Origin};
use crate::diff_core::{self, Checker};
use crate::envelope::Envelope;
use crate::quarantine;
use crate::source::{case_seed, expand};
use crate::targets;
use std::hint::black_box;
use wattest_differential::{
    CONFIGS, Engine, Form, NanRule, Plan, Program, ReferenceMode, Run, WasmiEngine, WattestEngine, build, compare,
};

/// Processor time of this thread, in nanoseconds.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0)
}

struct Table {
    cases: usize,
}

impl Table {
    /// Runs a part over all cases and prints its share; what it made is returned.
    fn part<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        let before = cpu_ns();
        let made = work();
        let spent = (cpu_ns() - before) as f64 / 1000.0 / self.cases as f64;
        println!("{name:<44} {spent:8.1} us a case");
        made
    }
}

fn without_calls(plan: &Plan) -> Plan {
    Plan { calls: Vec::new(), ..plan.clone() }
}

fn bytes_of(case: &Case) -> &[u8] {
    if case.recipe.plan.form == Form::Original { &case.program.wasm } else { &case.program.exposed }
}

/// Prints the table for the first so many cases of a campaign.
///
/// # Panics
///
/// Where an engine cannot be set up.
pub fn print(cases: usize) {
    let table = Table { cases };
    let seeds: Vec<u64> = (0..cases as u64).map(|index| case_seed(1, index)).collect();
    let inputs = table.part("expand seeds", || seeds.iter().map(|seed| expand(*seed)).collect::<Vec<_>>());
    let cases = table.part("generate, describe, expose, draw arguments", || {
        inputs.iter().filter_map(|bytes| Case::from_bytes(bytes)).collect::<Vec<_>>()
    });
    let is_spliced =
        |bytes: &&Vec<u8>| Case::from_bytes(bytes).is_some_and(|case| case.recipe.origin == Origin::Spliced);
    let spliced: Vec<&Vec<u8>> = inputs.iter().filter(is_spliced).collect();
    let only = Table { cases: spliced.len().max(1) };
    only.part("  of one with functions of the suites", || {
        spliced.iter().for_each(|bytes| drop(black_box(Case::from_bytes(bytes))));
    });
    table.part("  of which describe and expose", || {
        cases.iter().for_each(|case| drop(black_box(Program::new(case.program.wasm.clone()))));
    });
    let known = table.part("avoid known bugs of the oracle", || {
        cases
            .iter()
            .map(|case| quarantine::avoid_all(&case.program).unwrap_or_else(|| case.program.clone()))
            .collect::<Vec<_>>()
    });
    let mut oracle = WasmiEngine::new(ReferenceMode::Eager);
    table.part("oracle: translate and instantiate", || {
        for (program, case) in known.iter().zip(&cases) {
            drop(black_box(oracle.run(program, &without_calls(&case.recipe.plan))));
        }
    });
    let expected = table.part("oracle: the same with all calls", || {
        let run = |(program, case): (&Program, &Case)| oracle.run(program, &case.recipe.plan).unwrap_or_default();
        known.iter().zip(&cases).map(run).collect::<Vec<_>>()
    });
    // What does not even start in the oracle might never end in the subject.
    let both = cases.iter().zip(&expected).filter(|(_, run)| !run.steps.is_empty());
    let (started, expected): (Vec<Case>, Vec<Run>) = both.map(|(case, run)| (case.clone(), run.clone())).unzip();
    subject_parts(&table, &started, &expected);
    let mut checker = Checker::new();
    cases.iter().for_each(|case| drop(black_box(checker.check_knowingly(case))));
    let checks = table.part("everything but generation, as it is done", || {
        cases.iter().map(|case| checker.check_knowingly(case).checks).sum::<u64>()
    });
    let stored: Vec<_> = cases.iter().map(|case| targets::core_envelope(diff_core::NAME, case).to_bytes()).collect();
    table.part("stored cases: parse", || stored.iter().for_each(|bytes| drop(black_box(Envelope::parse(bytes)))));
    table.part("stored cases: as a fuzzer runs them", || {
        for bytes in &stored {
            black_box(targets::fuzz(diff_core::NAME, bytes));
        }
    });
    table.part("stored cases: mutate", || {
        for (seed, bytes) in stored.iter().enumerate() {
            black_box(targets::mutate_bytes(diff_core::NAME, bytes, seed as u64, 65_536));
        }
    });
    let typed: Vec<_> = cases.iter().filter(|case| case.recipe.origin == Origin::Typed).collect();
    let mean = |count: fn(&Case) -> u32| {
        typed.iter().map(|case| f64::from(count(case))).sum::<f64>() / typed.len().max(1) as f64
    };
    println!(
        "{} calls, {:.1} functions, {:.0} operations a case",
        checks / cases.len().max(1) as u64,
        mean(|case| case.functions),
        mean(|case| case.operations)
    );
}

fn subject_parts(table: &Table, cases: &[Case], expected: &[Run]) {
    let engines: Vec<_> = CONFIGS
        .iter()
        .map(|row| [NanRule::Arithmetic, NanRule::Exact].map(|nans| build(row, nans).expect("an engine")))
        .collect();
    let engine = |case: &Case| {
        &engines[case.recipe.subject % engines.len()][usize::from(case.recipe.plan.nans == NanRule::Exact)]
    };
    table.part("subject: decode and validate", || {
        cases.iter().for_each(|case| drop(black_box(wattest::Module::validate(engine(case), bytes_of(case)))));
    });
    let modules = table.part("subject: the same, compile and load", || {
        cases.iter().map(|case| wattest::Module::from_binary(engine(case), bytes_of(case))).collect::<Vec<_>>()
    });
    table.part("subject: drop modules", || drop(modules));
    let mut subjects: Vec<_> = (0..CONFIGS.len()).map(WattestEngine::new).collect();
    table.part("subject: all that and instantiate", || {
        for case in cases {
            let row = case.recipe.subject % subjects.len();
            drop(black_box(subjects[row].run(&case.program, &without_calls(&case.recipe.plan))));
        }
    });
    let mut plans: Vec<Plan> = cases.iter().map(|case| case.recipe.plan.clone()).collect();
    for (plan, run) in plans.iter_mut().zip(expected) {
        plan.calls.truncate(run.steps.len().saturating_sub(1));
    }
    let runs = table.part("subject: all that with all calls", || {
        let run = |(case, plan): (&Case, &Plan)| {
            let row = case.recipe.subject % subjects.len();
            subjects[row].run(&case.program, plan).unwrap_or_default()
        };
        cases.iter().zip(&plans).map(run).collect::<Vec<_>>()
    });
    table.part("compare", || {
        for ((case, left), right) in cases.iter().zip(expected).zip(&runs) {
            let _ = black_box(compare(left, right, case.recipe.plan.nans));
        }
    });
}
