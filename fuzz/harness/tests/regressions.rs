//! The regressions: modules that an engine once got wrong, in every configuration, and the findings that are still open.
//!
//! A file of `regressions/` starts with what was wrong; a line `;; check f 1 -2 => 3` is a call of an export with integer
//! arguments (of the parameters' types) and its results, or `=> trap TEXT`. The expected values come from the
//! specification, not from an engine.
//!
//! Invariant: every file has at least one check.
//!
//! Does not know: how the file was found.

use std::path::Path;
use wattest_differential::{
    CONFIGS, Call, Ending, Engine, Form, NanRule, Plan, Program, Value, ValueType, WattestEngine,
};
use wattest_harness::case::Case;
use wattest_harness::diff_core::Checker;
use wattest_harness::envelope::Envelope;
use wattest_harness::quarantine;
use wattest_harness::targets::{TARGETS, Targets};

struct Check {
    call: Call,
    expected: String,
}

fn value(text: &str, ty: ValueType) -> Value {
    let number: i128 = text.parse().unwrap_or_else(|_| panic!("{text} is no integer"));
    match ty {
        ValueType::I32 => Value::I32(number as u32),
        ValueType::I64 => Value::I64(number as u64),
        ValueType::F32 => Value::F32(number as u32),
        ValueType::F64 => Value::F64(number as u64),
        ValueType::V128 => Value::V128(number as u128),
        other => panic!("{other:?} cannot be written in a check"),
    }
}

fn print(ending: &Ending) -> String {
    match ending {
        Ending::Trap(class) => format!("trap {class}"),
        Ending::Values(values) => {
            let one = |value: &Value| match value {
                Value::I32(bits) | Value::F32(bits) => (*bits as i32).to_string(),
                Value::I64(bits) | Value::F64(bits) => (*bits as i64).to_string(),
                other => format!("{other:x?}"),
            };
            values.iter().map(one).collect::<Vec<_>>().join(" ")
        }
    }
}

fn parse(text: &str, program: &Program) -> Vec<Check> {
    let mut checks = Vec::new();
    for line in text.lines() {
        let Some(check) = line.strip_prefix(";; check ") else { continue };
        let (call, expected) = check.split_once("=>").expect("a check has a result");
        let mut words = call.split_whitespace();
        let name = words.next().expect("a check names an export");
        let names = &program.shape.export_names;
        let func = names.iter().position(|known| known.as_deref() == Some(name)).expect("the export exists");
        let args = words.zip(&program.shape.functions[func].params).map(|(word, ty)| value(word, *ty)).collect();
        checks.push(Check { call: Call { func: func as u32, args }, expected: expected.trim().to_owned() });
    }
    checks
}

fn check(path: &Path) {
    let text = std::fs::read_to_string(path).expect("the file can be read");
    let program = Program::new(wat::parse_str(&text).expect("valid text")).expect("a module that can be described");
    let checks = parse(&text, &program);
    assert!(!checks.is_empty(), "{}: no check", path.display());
    for row in 0..CONFIGS.len() {
        for form in [Form::Original, Form::Exposed] {
            let calls = checks.iter().map(|check| check.call.clone()).collect();
            let plan = Plan {
                calls,
                form,
                nans: NanRule::Exact,
                acting_host: false,
                host_seed: 0,
                steps_max: 10_000,
                capture: None,
                state_every: 1,
            };
            let mut engine = WattestEngine::new(row);
            let run = engine.run(&program, &plan).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for (check, step) in checks.iter().zip(&run.steps[1..]) {
                let place = format!("{}: {} on the {form:?} form", path.display(), engine.name());
                assert_eq!(print(&step.ending), check.expected, "{place}: {:?}", check.call);
            }
            assert_eq!(run.steps.len(), checks.len() + 1);
        }
    }
}

#[test]
fn regressions_stay_fixed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .for_each(|path| check(path));
}

/// Scripts that `cargo prove repro` wrote, in the configuration that their header names.
#[test]
fn scripts_stay_fixed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "wast") {
            wattest_harness::witness::run_file(&path).unwrap_or_else(|what| panic!("{what}"));
        }
    }
}

/// A stored case: it is one of a target that there is, checks something, and nothing disagrees in it.
fn check_case(targets: &mut Targets, path: &Path) -> Envelope {
    let bytes = std::fs::read(path).expect("the file can be read");
    let case = Envelope::parse(&bytes).unwrap_or_else(|| panic!("{} is no case", path.display()));
    let outcome = targets.run(&case).unwrap_or_else(|| panic!("{}: no target {}", path.display(), case.target));
    assert_eq!(outcome.disagreement, None, "{}", path.display());
    assert!(outcome.checks > 0, "{} checks nothing: {:?}", path.display(), outcome.poison);
    case
}

/// What no script could show: the cases that `cargo prove repro` reduced.
#[test]
fn cases_stay_fixed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut targets = Targets::default();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "case") {
            check_case(&mut targets, &path);
        }
    }
}

/// The seeds of fuzzing are cases of their targets, whatever became of the generators, and nothing disagrees in them.
#[test]
fn seeds_are_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds");
    let mut targets = Targets::default();
    for row in TARGETS {
        let files = std::fs::read_dir(folder.join(row.name)).unwrap_or_else(|error| panic!("{}: {error}", row.name));
        for entry in files {
            let path = entry.expect("an entry").path();
            assert_eq!(check_case(&mut targets, &path).target, row.name);
        }
    }
}

/// A finding whose module shows nothing any more must go, and its row with it.
#[test]
fn findings_still_show() {
    let text = include_str!("../../../differential/FINDINGS.md");
    let mut checker = Checker::new();
    for section in text.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap_or_default();
        let module = section.split("```wat\n").nth(1).and_then(|rest| rest.split("```").next());
        let module = module.unwrap_or_else(|| panic!("{name}: no module"));
        if section.contains("debug builds only") && !cfg!(debug_assertions) {
            continue;
        }
        let wasm = wat::parse_str(module).unwrap_or_else(|error| panic!("{name}: {error}"));
        let case =
            Case::from_module(wasm, 0, Form::Original, NanRule::Exact, 1).expect("a module that can be described");
        let outcome = checker.check(&case);
        let found = outcome.disagreement.unwrap_or_else(|| panic!("{name}: no disagreement any more"));
        assert_eq!(quarantine::explain(&mut checker, &case, &found), Some(name));
    }
}
