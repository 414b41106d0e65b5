//! The property `diff_core`: the subject does what the interpreter does.
//!
//! The interpreter goes first, with a step budget and no counter injected into the module; what ends there must end in the
//! subject in the same way, host calls and state included.
//!
//! Invariant: an [`Outcome`] is a function of the case and of the engines' code.
//!
//! Does not know: seeds, processes, reports.

use crate::case::{Case, Origin, Recipe};
use crate::{panics, quarantine};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use wasmparser::{ExternalKind, Parser, Payload};
use wattest_differential::{
    DefinitionalEngine, Ending, Engine, Mismatch, Plan, Poison, Program, ReferenceMode, Refusal, Run, State,
    WasmiEngine, compare,
};

/// The property's name.
pub const NAME: &str = "diff_core";

/// Operations that make a call worth counting.
pub const USEFUL_OPERATIONS: u64 = 10;

/// What a case proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Steps compared.
    pub checks: u64,
    /// Those that ended in a trap.
    pub traps: u64,
    /// Operations that the interpreter counted in them.
    pub executed: u64,
    /// Whether at least one call ran [`USEFUL_OPERATIONS`] and ended comparably on both sides.
    pub useful: bool,
    /// Why the interpreter stopped early.
    pub oracle_poison: Option<Poison>,
    /// Why the subject stopped early.
    pub subject_poison: Option<Poison>,
    /// What went wrong, if anything did.
    pub disagreement: Option<Disagreement>,
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The subject's name.
    pub subject: String,
    /// One line.
    pub what: String,
    /// The step, where it is one.
    pub step: Option<usize>,
}

/// What the definitional interpreter makes of a case.
#[derive(Default)]
pub(crate) struct SecondOpinion {
    /// What it executes, by proposal and operator.
    pub(crate) tally: BTreeMap<String, u64>,
    /// Where it differs from the runtime.
    pub(crate) alone: Option<Disagreement>,
    /// What it did, and the part of the plan that it did.
    pub(crate) run: Option<(Plan, Run)>,
}

/// The engines, kept between cases.
pub struct Checker {
    oracle: WasmiEngine,
    subjects: Vec<Option<Box<dyn Engine>>>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker::new()
    }
}

impl Checker {
    /// Engines are built on first use.
    pub fn new() -> Checker {
        let subjects = (0..subject_count()).map(|_| None).collect();
        Checker { oracle: WasmiEngine::new(ReferenceMode::Eager), subjects }
    }

    /// Runs both sides and compares.
    pub fn check(&mut self, case: &Case) -> Outcome {
        self.check_pair(&case.program, case)
    }

    /// The same, the oracle running a module in which its known bugs do not show. A campaign must do so from the start:
    /// a wrong `select` in the oracle can end a loop that has no end, and then the subject would rightly hang.
    pub fn check_knowingly(&mut self, case: &Case) -> Outcome {
        match quarantine::avoid_all(&case.program) {
            Some(rewritten) => self.check_pair(&rewritten, case),
            None => self.check(case),
        }
    }

    /// The same, the oracle running another module of the same meaning and the same index spaces: one in which a known
    /// bug of the oracle does not show.
    pub fn check_pair(&mut self, for_oracle: &Program, case: &Case) -> Outcome {
        let mut outcome = Outcome::default();
        let oracle = match guarded(&mut self.oracle, for_oracle, &case.recipe.plan) {
            Ok(run) => run,
            // A stored case that was changed may hold what the oracle does not have.
            Err(Refusal::Module(_)) if case.recipe.origin == Origin::File => return outcome,
            Err(refusal) => {
                outcome.disagreement = Some(disagreement(&self.oracle.name(), &refusal.to_string()));
                // A panic may have left locks and pools of the engine in any state.
                self.oracle = WasmiEngine::new(ReferenceMode::Eager);
                return outcome;
            }
        };
        outcome.oracle_poison = oracle.stopped;
        if oracle.steps.is_empty() {
            return outcome;
        }
        let subject = self.subject(case);
        // A call without end is worth a try where it can be stopped; what it does is not compared.
        let endless = matches!(oracle.stopped, Some(Poison::Budget | Poison::StackOverflow)) && subject.interruptible();
        let known = oracle.steps.len() - 1 + usize::from(endless);
        let mut plan = Cow::Borrowed(&case.recipe.plan);
        if known < plan.calls.len() {
            plan.to_mut().calls.truncate(known);
        }
        let name = subject.name();
        match guarded(subject, &case.program, &plan) {
            Ok(run) => judge(case, &oracle, &run, &mut outcome, &name),
            Err(refusal) => {
                outcome.disagreement = Some(disagreement(&name, &refusal.to_string()));
                self.subjects.iter_mut().for_each(|subject| *subject = None);
            }
        }
        if let Some(found) = &mut outcome.disagreement
            && let Some(step) = found.step
            && found.what.contains("contents")
        {
            plan.to_mut().capture = Some(step);
            let captured = self.oracle.run(for_oracle, &plan).and_then(|left| {
                let right = self.subject(case).run(&case.program, &plan)?;
                Ok(first_difference(&left, &right))
            });
            found.what.push_str(&captured.unwrap_or_default());
        }
        outcome
    }

    /// The first difference in what is exported, in the first configuration: what the usual harness looks at.
    pub(crate) fn check_exported(&mut self, program: &Program, plan: &Plan) -> Option<Disagreement> {
        let recipe = Recipe { seed: None, generator: 0, origin: Origin::Smith, subject: 0, plan: plan.clone() };
        let case = Case { recipe, program: program.clone(), functions: 0, operations: 0, donor: None };
        let rewritten = quarantine::avoid_all(program);
        let mut oracle = guarded(&mut self.oracle, rewritten.as_ref().unwrap_or(program), plan).ok()?;
        let mut plan = plan.clone();
        plan.calls.truncate(oracle.steps.len().checked_sub(1)?);
        let subject = self.subject(&case);
        let name = subject.name();
        let mut run = match guarded(subject, &case.program, &plan) {
            Ok(run) => run,
            Err(refusal) => return Some(disagreement(&name, &refusal.to_string())),
        };
        let exports = exported(&program.wasm);
        for run in [&mut oracle, &mut run] {
            run.steps.iter_mut().for_each(|step| keep_exported(&mut step.state, &exports));
        }
        compare(&oracle, &run, plan.nans).err().map(|mismatch| disagreement(&name, &mismatch.to_string()))
    }

    /// What the definitional interpreter executes, and whether it does as the runtime does. Where it stands alone against
    /// the runtime and the oracle, the fault is its own.
    pub(crate) fn second_opinion(&mut self, case: &Case) -> SecondOpinion {
        let mut opinion = SecondOpinion::default();
        let tallied = panics::record(|| DefinitionalEngine.run_with_tally(&case.program, &case.recipe.plan));
        let (run, tally) = match tallied {
            Ok(Ok(ran)) => ran,
            // A stored case that was changed may hold what the interpreter does not have.
            Ok(Err(Refusal::Module(_))) if case.recipe.origin == Origin::File => return opinion,
            Ok(Err(refusal)) => {
                opinion.alone = Some(disagreement("reference", &refusal.to_string()));
                return opinion;
            }
            Err(text) => {
                opinion.alone = Some(disagreement("reference", &format!("panic: {text}")));
                return opinion;
            }
        };
        opinion.tally = tally;
        let Some(last) = run.steps.len().checked_sub(1) else { return opinion };
        let mut plan = case.recipe.plan.clone();
        plan.calls.truncate(last);
        let Ok(subject) = guarded(self.subject(case), &case.program, &plan) else { return opinion };
        let mut known = run;
        known.steps.truncate(subject.steps.len());
        plan.calls.truncate(known.steps.len().saturating_sub(1));
        opinion.alone = compare(&known, &subject, case.recipe.plan.nans).err().map(|mismatch| Disagreement {
            subject: "reference".to_owned(),
            what: mismatch.to_string(),
            step: Some(mismatch.step),
        });
        opinion.run = (!known.steps.is_empty()).then_some((plan, known));
        opinion
    }

    /// What the definitional interpreter executes of a case, by proposal.
    pub fn tally(&self, case: &Case) -> BTreeMap<String, u64> {
        let tally = panics::record(|| DefinitionalEngine.tally(&case.program, &case.recipe.plan));
        tally.unwrap_or_default()
    }

    /// The oracle.
    pub(crate) fn oracle(&mut self) -> &mut dyn Engine {
        &mut self.oracle
    }

    /// The subject of a case.
    pub(crate) fn subject(&mut self, case: &Case) -> &mut dyn Engine {
        let row = case.recipe.subject % self.subjects.len();
        let slot = &mut self.subjects[row];
        let engine = slot.get_or_insert_with(|| build_subject(row));
        engine.as_mut()
    }
}

/// Runs a plan; a panic of the engine is a refusal with its message and place.
pub(crate) fn guarded(engine: &mut dyn Engine, program: &Program, plan: &Plan) -> Result<Run, Refusal> {
    panics::record(|| engine.run(program, plan)).unwrap_or_else(|text| Err(Refusal::Broken(format!("panic: {text}"))))
}

fn judge(case: &Case, oracle: &Run, subject: &Run, outcome: &mut Outcome, name: &str) {
    outcome.subject_poison = subject.stopped;
    let common = oracle.steps.len().min(subject.steps.len());
    outcome.checks = common as u64;
    // Step 0 counts as well: a start function is a call.
    let steps = oracle.steps.get(..common).unwrap_or_default();
    outcome.traps = steps.iter().filter(|step| matches!(step.ending, Ending::Trap(_))).count() as u64;
    outcome.executed = steps.iter().map(|step| step.operations).sum();
    outcome.useful = steps.iter().any(|step| step.operations >= USEFUL_OPERATIONS);
    if let Err(Mismatch { step, what }) = compare(oracle, subject, case.recipe.plan.nans) {
        let call = step.checked_sub(1).and_then(|index| case.recipe.plan.calls.get(index));
        let place = match call {
            Some(call) => format!("call {step} (function {}, {:x?}): {what}", call.func, call.args),
            None => format!("instantiation: {what}"),
        };
        outcome.disagreement = Some(Disagreement { subject: name.to_owned(), what: place, step: Some(step) });
    }
}

/// Kinds and indices of exports.
fn exported(wasm: &[u8]) -> Vec<(ExternalKind, usize)> {
    let payloads = Parser::new(0).parse_all(wasm).filter_map(Result::ok);
    let sections =
        payloads.filter_map(|payload| if let Payload::ExportSection(reader) = payload { Some(reader) } else { None });
    let exports = sections.flat_map(|reader| reader.into_iter().filter_map(Result::ok));
    exports.map(|export| (export.kind, export.index as usize)).collect()
}

/// Leaves what a harness without inspection sees: exported globals and memories.
fn keep_exported(state: &mut State, exports: &[(ExternalKind, usize)]) {
    let globals = state.globals.iter().enumerate();
    state.globals = globals
        .filter(|(index, _)| exports.contains(&(ExternalKind::Global, *index)))
        .map(|(_, value)| *value)
        .collect();
    let memories = state.memories.iter().enumerate();
    state.memories = memories
        .filter(|(index, _)| exports.contains(&(ExternalKind::Memory, *index)))
        .map(|(_, memory)| memory.clone())
        .collect();
    state.tables.clear();
}

fn disagreement(subject: &str, what: &str) -> Disagreement {
    Disagreement { subject: subject.to_owned(), what: what.to_owned(), step: None }
}

fn first_difference(left: &Run, right: &Run) -> String {
    for (index, (left, right)) in left.captured.iter().zip(&right.captured).enumerate() {
        if let Some(offset) = left.iter().zip(right).position(|(left, right)| left != right) {
            return format!("; memory {index} at {offset:#x}: {:#04x} against {:#04x}", left[offset], right[offset]);
        }
    }
    String::new()
}

#[cfg(not(feature = "wattest"))]
/// Number of the subject's configurations.
pub fn subject_count() -> usize {
    1
}

#[cfg(not(feature = "wattest"))]
fn build_subject(_row: usize) -> Box<dyn Engine> {
    Box::new(WasmiEngine::new(ReferenceMode::Lazy))
}

#[cfg(feature = "wattest")]
/// Number of the subject's configurations.
pub fn subject_count() -> usize {
    wattest_differential::CONFIGS.len()
}

#[cfg(not(feature = "wattest"))]
/// The configuration that a random byte stands for.
pub(crate) fn drawn_subject(_byte: u8) -> usize {
    0
}

#[cfg(feature = "wattest")]
/// The configuration that a random byte stands for.
pub(crate) fn drawn_subject(byte: u8) -> usize {
    wattest_differential::config_of(byte)
}

#[cfg(feature = "wattest")]
fn build_subject(row: usize) -> Box<dyn Engine> {
    Box::new(wattest_differential::WattestEngine::new(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine;
    use crate::source::case_seed;

    /// About a second of cases, the same every time.
    #[test]
    fn seeded_cases_agree() {
        let mut checker = Checker::new();
        let mut useful = 0;
        for index in 0..60 {
            let seed = case_seed(1, index);
            let Some(case) = Case::from_seed(seed) else { continue };
            let outcome = checker.check_knowingly(&case);
            if let Some(found) = &outcome.disagreement {
                let explained = quarantine::explain(&mut checker, &case, found);
                assert!(explained.is_some(), "{found:?}: {}", case.replay_line());
            }
            useful += u32::from(outcome.useful);
        }
        assert!(useful > 50, "only {useful} of 60 cases were useful");
    }

    #[test]
    fn a_seed_is_a_case() {
        let first = Case::from_seed(7).map(|case| (case.program.wasm, case.recipe.plan));
        let second = Case::from_seed(7).map(|case| (case.program.wasm, case.recipe.plan));
        assert!(first.is_some() && first == second);
    }
}
