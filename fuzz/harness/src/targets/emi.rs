//! `emi`: a program and its equivalents do the same.
//!
//! A generated module is run by the definitional interpreter, which counts what it executes, and rewritten by that profile so
//! that with the same calls it means the same ([`crate::emi`]). The rewritten module runs in the same configuration as the
//! original, and must do what that did, step by step; what differs is the code generator's fault, since both went through
//! it. A stored case may have been changed: it is one only where the interpreter finds the two alike.
//!
//! Invariant: what is added to index spaces is added at their ends, and not compared.
//!
//! Does not know: what the module computes.

use super::core::{case_of, envelope};
use super::subject::endless_row;
use super::{Outcome, Target};
use crate::case::Case;
use crate::diff_core::Disagreement;
use crate::emi::{Profile, rewrite};
use crate::envelope::Envelope;
use crate::panics;
use crate::source::{Source, expand};
use crate::vote::{Suspect, Vote};
use std::collections::BTreeMap;
use wattest_differential::{
    CONFIGS, DefinitionalEngine, Engine, Mismatch, NanRule, Plan, Poison, Program, Run, WattestEngine, compare,
};

/// Operations of one call of the original: those of a case are for the interpreter, which counts every one.
const STEPS_MAX: u64 = 10_000;

/// Calls of a case: the first sixteen of each of eight functions.
const CALLS_MAX: usize = 128;

/// How many more operations a rewritten call may take.
const STEPS_FACTOR: u64 = 100;

/// Functions that do not end, and are therefore not called.
const ENDLESS_MAX: usize = 4;

/// The target.
#[derive(Default)]
pub(super) struct Emi {
    engines: BTreeMap<usize, WattestEngine>,
}

/// The profile of a case, and its plan without the calls that did not end.
fn profile(case: &Case) -> Option<(Profile, Plan)> {
    let mut plan = case.recipe.plan.clone();
    plan.steps_max = STEPS_MAX;
    plan.calls.truncate(CALLS_MAX);
    for _ in 0..ENDLESS_MAX {
        let ran = panics::record(|| DefinitionalEngine.run_with_profile(&case.program, &plan)).ok()?;
        let (run, profile) = ran.ok()?;
        let finished = run.steps.len().checked_sub(1)?;
        if run.stopped == Some(Poison::Budget)
            && let Some(endless) = plan.calls.get(finished).map(|call| call.func)
        {
            plan.calls.retain(|call| call.func != endless);
            continue;
        }
        plan.calls.truncate(finished);
        return Some((profile, plan));
    }
    None
}

/// The run as one of the original's index spaces, without places: the same instruction lies elsewhere.
fn seen_from(original: &Program, mut run: Run) -> Run {
    let shape = &original.shape;
    for step in &mut run.steps {
        step.offset = None;
        // Rewritten functions have more locals.
        step.frames = None;
        step.state.globals.truncate(shape.globals.len());
        step.state.memories.truncate(shape.memories.len());
        step.state.tables.truncate(shape.tables.len());
        step.state.empty_elements.truncate(shape.element_segments.len());
    }
    run
}

/// The first difference between two programs in the interpreter; `None` where it has none, or cannot say.
fn difference(original: &Program, equivalent: &Program, plan: &Plan) -> Option<Mismatch> {
    let mut plan = plan.clone();
    plan.steps_max = plan.steps_max.saturating_mul(STEPS_FACTOR);
    let run = |program: &Program| {
        let ran = panics::record(|| DefinitionalEngine.run(program, &plan)).ok()?.ok()?;
        Some(seen_from(original, ran))
    };
    let (left, right) = (run(original)?, run(equivalent)?);
    compare(&left, &right, NanRule::Exact).err()
}

impl Emi {
    /// Runs both modules in the case's configuration.
    fn check_pair(&mut self, case: &Case, equivalent: &Program) -> Outcome {
        let row = case.recipe.subject % CONFIGS.len();
        let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(row));
        let (name, plan) = (engine.name(), &case.recipe.plan);
        let (original, other) = match (engine.run(&case.program, plan), engine.run(equivalent, plan)) {
            (Ok(original), Ok(other)) => (seen_from(&case.program, original), seen_from(&case.program, other)),
            (Err(refusal), _) | (_, Err(refusal)) => return Outcome::failed(&name, refusal.to_string()),
        };
        let mut outcome = Outcome { checks: original.steps.len() as u64, useful: true, ..Outcome::default() };
        outcome.poison.extend(original.stopped.map(|poison| format!("subject: {poison}")));
        outcome.poison.extend(other.stopped.map(|poison| format!("subject, rewritten: {poison}")));
        if let Err(mismatch) = compare(&original, &other, NanRule::Exact) {
            return Outcome::failed(&name, format!("the equivalent module: {mismatch}"));
        }
        outcome
    }
}

impl Target for Emi {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = endless_row(&mut source);
        let seed = source.u64();
        let mut case = Case::from_bytes(bytes.get(16..).unwrap_or_default())?;
        let (profile, plan) = profile(&case)?;
        let choices = expand(seed);
        let rewritten = rewrite(&case.program.wasm, &profile, &mut Source::new(&choices))?;
        case.recipe.plan = plan;
        let case = envelope("emi", &case).set("form", "original").set("nans", "exact").set("subject", subject);
        Some(case.module("equivalent", rewritten))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let (Some(mut core), Ok(equivalent)) = (case_of(case), Program::new(case.bytes(1).to_vec())) else {
            return Outcome::default();
        };
        core.recipe.plan.steps_max = core.recipe.plan.steps_max.min(STEPS_MAX);
        let finished = panics::record(|| DefinitionalEngine.run(&core.program, &core.recipe.plan));
        // What the interpreter does not end need not end anywhere.
        let Some(last) = finished.ok().and_then(Result::ok).and_then(|run| run.steps.len().checked_sub(1)) else {
            return Outcome::default();
        };
        core.recipe.plan.calls.truncate(last);
        match difference(&core.program, &equivalent, &core.recipe.plan) {
            Some(_) => Outcome::default(),
            None => self.check_pair(&core, &equivalent),
        }
    }

    fn check(&mut self, bytes: &[u8]) -> Option<Outcome> {
        if let Some(case) = Envelope::parse(bytes) {
            return Some(self.run(&case));
        }
        let case = self.generate(bytes)?;
        let (core, equivalent) = (case_of(&case)?, Program::new(case.bytes(1).to_vec()).ok()?);
        let mut outcome = self.check_pair(&core, &equivalent);
        if outcome.disagreement.is_some()
            && let Some(mismatch) = difference(&core.program, &equivalent, &core.recipe.plan)
        {
            // The rewriting is wrong, not the runtime.
            let what = format!("a rewriting changes what the module does: {mismatch}");
            let vote = Vote { suspect: Suspect::Reference, reference: "sees the difference too".to_owned() };
            outcome.disagreement = Some((Disagreement { subject: "emi".to_owned(), what, step: None }, vote));
        }
        Some(outcome)
    }
}
