//! The properties `gc_model`, `eh_model` and `diff_linked`: the runtime does what a script predicts.
//!
//! The definitional interpreter runs every case too: it must agree with the prediction, it counts what was executed, and for
//! modules of wasm-smith, which predict nothing, it is the oracle. A quarter of the cases of `gc_model` collect at every
//! point where that may happen ([`wattest_differential::linked`]).
//!
//! Invariant: a case is a function of its bytes. A proposal that the runtime does not implement is left to the interpreter
//! alone, by the runtime's own table of features.
//!
//! Does not know: seeds, processes.

use crate::corpus;
use crate::diff_core::Disagreement;
use crate::mutate::is_valid;
use crate::panics;
use crate::script::{self, Mix};
use crate::smith;
use crate::source::{Source, expand};
use crate::vote::{Suspect, Vote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, ValType};
use wattest_differential::linked::{LinkedCall, LinkedEngine, LinkedModule, LinkedProgram, LinkedRun, compare_linked};
use wattest_differential::{DefinitionalEngine, Refusal, ValueType};

/// Operations of one step.
const STEPS_MAX: u64 = 200_000;

/// What scripts without objects and typed references take.
const PLAIN: &[&str] = &["exceptions", "tail-call"];

/// One of the properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name, as in replay lines.
    pub name: &'static str,
    mix: Mix,
    /// Percentage of modules that wasm-smith makes.
    smith: u32,
    /// Percentage of cases with collections forced.
    stress: u32,
    /// What the runtime must implement.
    features: &'static [&'static str],
}

/// The table.
pub const MODELS: &[Model] = &[
    Model {
        name: "gc_model",
        mix: Mix::Heap,
        smith: 0,
        stress: 25,
        features: &["gc", "function-references", "custom-descriptors"],
    },
    Model {
        name: "eh_model",
        mix: Mix::Exceptions,
        smith: 0,
        stress: 10,
        features: &["gc", "function-references", "exceptions", "custom-descriptors"],
    },
    Model {
        name: "diff_linked",
        mix: Mix::Linked,
        // A third of these programs end no call, or exhaust what the interpreter may take: more of them would prove less.
        smith: 12,
        stress: 15,
        features: &["gc", "function-references", "exceptions", "custom-descriptors"],
    },
];

impl Model {
    /// The row of that name.
    pub fn named(name: &str) -> Option<&'static Model> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// What the runtime must implement for cases of this property.
    pub fn features(&self) -> &'static [&'static str] {
        self.features
    }

    /// Whether the runtime has what at least some of the cases take.
    pub fn is_implemented(&self) -> bool {
        let plain = self.mix != Mix::Heap && PLAIN.iter().all(|feature| implements(feature));
        plain || self.features.iter().all(|feature| implements(feature))
    }

    /// The case of these bytes; `None` where they give no module.
    pub fn case(&self, bytes: &[u8]) -> Option<ModelCase> {
        let mut source = Source::new(bytes);
        let (choice, stressed) = (usize::from(source.byte()), source.percent(self.stress));
        let subject = subject_row(choice, stressed);
        if source.percent(self.smith) {
            let program = smith_program(&mut source)?;
            return Some(ModelCase { program, expected: None, subject, features: self.features });
        }
        let script = script::generate(&mut source, self.mix);
        let features = if script.plain { PLAIN } else { self.features };
        Some(ModelCase { program: script.program, expected: Some(script.expected), subject, features })
    }

    /// The case of a seed.
    pub fn case_of_seed(&self, seed: u64) -> Option<ModelCase> {
        self.case(&expand(seed))
    }
}

/// A case.
#[derive(Clone, Debug)]
pub struct ModelCase {
    /// What is run.
    pub program: LinkedProgram,
    /// What it does, where the generator knows.
    pub expected: Option<LinkedRun>,
    /// Row of the subject's configurations.
    pub subject: usize,
    /// What the runtime must implement.
    pub features: &'static [&'static str],
}

/// What a case proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOutcome {
    /// Steps compared with the runtime's.
    pub checks: u64,
    /// Steps compared with the interpreter's.
    pub reference_checks: u64,
    /// Operations executed, by proposal.
    pub tally: BTreeMap<String, u64>,
    /// Why something stopped early, by side.
    pub poison: Vec<String>,
    /// What went wrong, and who is suspected.
    pub disagreement: Option<(Disagreement, Vote)>,
}

/// The engines, kept between cases.
#[derive(Default)]
pub struct ModelChecker {
    subjects: BTreeMap<usize, Box<dyn LinkedEngine>>,
}

impl ModelChecker {
    /// Runs both sides and compares; the runtime only where it implements what the case takes.
    pub fn check(&mut self, case: &ModelCase) -> ModelOutcome {
        let implemented = case.features.iter().all(|feature| implements(feature));
        let mut outcome = ModelOutcome::default();
        let reference = match guarded(&mut DefinitionalEngine, &case.program) {
            Ok(run) => run,
            Err(refusal) => {
                outcome.disagreement = Some(found("reference", &refusal.to_string(), Suspect::Nobody, "refuses"));
                return outcome;
            }
        };
        outcome.tally.clone_from(&reference.tally);
        outcome.poison.extend(reference.stopped.map(|poison| format!("reference: {poison}")));
        outcome.reference_checks = reference.steps.len() as u64;
        let expected = case.expected.as_ref().unwrap_or(&reference);
        if let Err(what) = compare_linked(expected, &reference) {
            outcome.disagreement = Some(found("reference", &what, Suspect::Reference, "contradicts the prediction"));
            return outcome;
        }
        if !implemented || reference.steps.is_empty() {
            return outcome;
        }
        // What the interpreter did not end need not end in the runtime.
        let mut program = case.program.clone();
        program.calls.truncate(reference.steps.len().saturating_sub(program.modules.len()));
        let subject = self.subjects.entry(case.subject).or_insert_with(|| build_subject(case.subject));
        let name = subject.name();
        match guarded(subject.as_mut(), &program) {
            Ok(run) => {
                outcome.checks = run.steps.len().min(expected.steps.len()) as u64;
                outcome.poison.extend(run.stopped.map(|poison| format!("subject: {poison}")));
                let compared = LinkedRun {
                    steps: expected.steps.iter().take(reference.steps.len()).cloned().collect(),
                    ..LinkedRun::default()
                };
                if let Err(what) = compare_linked(&compared, &run) {
                    // Without a prediction there are two opinions, and no majority.
                    let suspect = if case.expected.is_some() { Suspect::Subject } else { Suspect::Nobody };
                    outcome.disagreement = Some(found(&name, &what, suspect, "does as expected"));
                } else if let Err(what) = compare_linked(&finished(&reference, &run), &run) {
                    // Predictions do not say what is reachable: two opinions.
                    outcome.disagreement = Some(found(&name, &what, Suspect::Nobody, "is the other side"));
                }
            }
            Err(refusal) => {
                outcome.disagreement = Some(found(&name, &refusal.to_string(), Suspect::Subject, "runs it"));
                self.subjects.clear();
            }
        }
        outcome
    }
}

/// The steps of the reference that the runtime has too.
fn finished(reference: &LinkedRun, subject: &LinkedRun) -> LinkedRun {
    let steps = reference.steps.iter().take(subject.steps.len()).cloned().collect();
    LinkedRun { steps, ..LinkedRun::default() }
}

fn found(subject: &str, what: &str, suspect: Suspect, reference: &str) -> (Disagreement, Vote) {
    let disagreement = Disagreement { subject: subject.to_owned(), what: what.to_owned(), step: None };
    (disagreement, Vote { suspect, reference: reference.to_owned() })
}

fn guarded(engine: &mut dyn LinkedEngine, program: &LinkedProgram) -> Result<LinkedRun, Refusal> {
    panics::record(|| engine.run(program, STEPS_MAX))
        .unwrap_or_else(|text| Err(Refusal::Broken(format!("panic: {text}"))))
}

/// A module of wasm-smith with garbage collection and exceptions, every function of numbers called.
fn smith_program(source: &mut Source<'_>) -> Option<LinkedProgram> {
    // A rare one is not valid (FINDINGS), which is for `bytes` to look at.
    let wasm = smith::generate_later(source).filter(|wasm| is_valid(wasm))?;
    let mut calls = Vec::new();
    for (export, params) in numeric_exports(&wasm)? {
        for _ in 0..3 {
            let args = params.iter().map(|ty| corpus::argument(source, *ty, &[])).collect();
            calls.push(LinkedCall { module: 0, export: export.clone(), args });
        }
    }
    Some(LinkedProgram { modules: vec![LinkedModule { name: "smith".into(), wasm }], calls })
}

/// A module with three calls of each function of numbers, as a case of `diff_linked`.
pub fn envelope_of_module(wasm: &[u8]) -> Option<crate::envelope::Envelope> {
    use crate::envelope::{Argument, Envelope, EnvelopeCall};
    let bytes = expand(1);
    let mut source = Source::new(&bytes);
    let mut case = Envelope::new("diff_linked").set("subject", 0).module("main", wasm.to_vec());
    for (func, params) in numeric_exports(wasm)? {
        for _ in 0..3 {
            let args = params.iter().map(|ty| Argument::Value(corpus::argument(&mut source, *ty, &[]))).collect();
            case.calls.push(EnvelopeCall { module: 0, func: func.clone(), args });
        }
    }
    Some(case)
}

/// Exported functions that take only numbers.
fn numeric_exports(wasm: &[u8]) -> Option<Vec<(String, Vec<ValueType>)>> {
    let (mut types, mut functions, mut exports) = (Vec::new(), Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::TypeSection(reader) => {
                for group in reader {
                    types.extend(group.ok()?.types().map(|ty| match &ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => ty.params().iter().map(numeric).collect::<Option<Vec<_>>>(),
                        _ => None,
                    }));
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    functions.push(types.get(ty.ok()? as usize).cloned().flatten());
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.ok()?;
                    if export.kind == ExternalKind::Func
                        && let Some(Some(params)) = functions.get(export.index as usize)
                    {
                        exports.push((export.name.to_owned(), params.clone()));
                    }
                }
            }
            _ => {}
        }
    }
    Some(exports)
}

fn numeric(ty: &ValType) -> Option<ValueType> {
    Some(match ty {
        ValType::I32 => ValueType::I32,
        ValType::I64 => ValueType::I64,
        ValType::F32 => ValueType::F32,
        ValType::F64 => ValueType::F64,
        ValType::V128 => ValueType::V128,
        ValType::Ref(_) => return None,
    })
}

#[cfg(feature = "wattest")]
fn implements(feature: &str) -> bool {
    wattest_differential::linked::implements(feature)
}

#[cfg(feature = "wattest")]
fn subject_row(choice: usize, stressed: bool) -> usize {
    wattest_differential::linked::row(choice, stressed)
}

#[cfg(feature = "wattest")]
fn build_subject(row: usize) -> Box<dyn LinkedEngine> {
    Box::new(wattest_differential::linked::LinkedWattest::new(row))
}

#[cfg(not(feature = "wattest"))]
fn implements(_feature: &str) -> bool {
    false
}

#[cfg(not(feature = "wattest"))]
fn subject_row(choice: usize, _stressed: bool) -> usize {
    choice
}

#[cfg(not(feature = "wattest"))]
fn build_subject(_row: usize) -> Box<dyn LinkedEngine> {
    Box::new(DefinitionalEngine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::case_seed;

    /// About a second of cases of one property, the same every time.
    fn check(name: &str, cases: u64) {
        let model = Model::named(name).expect("a property of that name");
        let mut checker = ModelChecker::default();
        let (mut steps, mut poisoned) = (0, 0);
        for index in 0..cases {
            let seed = case_seed(7, index);
            let Some(case) = model.case_of_seed(seed) else { continue };
            let outcome = checker.check(&case);
            assert_eq!(outcome.disagreement, None, "cargo prove --replay {name}:{seed:#x}");
            steps += outcome.reference_checks;
            poisoned += u64::from(!outcome.poison.is_empty());
        }
        assert!(steps > cases && poisoned * 4 < cases, "{steps} steps, {poisoned} of {cases} poisoned");
    }

    /// In this one a branch gives any reference for an exact one.
    #[test]
    fn modules_that_are_not_valid_are_no_programs() {
        let bytes = expand(0x6a74_2e06_4e68_31b6);
        let mut source = Source::new(&bytes);
        let _ = [source.byte(), source.byte(), source.byte()];
        let wasm = smith::generate_later(&mut source).expect("a module");
        assert!(!is_valid(&wasm), "wasm-smith has mended it: look for another");
        assert!(Model::named("diff_linked").and_then(|model| model.case(&bytes)).is_none());
    }

    #[test]
    fn objects_do_as_predicted() {
        check("gc_model", 60);
    }

    #[test]
    fn exceptions_do_as_predicted() {
        check("eh_model", 60);
    }

    #[test]
    fn linked_programs_do_as_predicted() {
        check("diff_linked", 60);
    }
}
