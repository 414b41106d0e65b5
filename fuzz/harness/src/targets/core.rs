//! `diff_core` as a target: typed and wasm-smith modules against wasmi, the reference voting.
//!
//! Invariant: a materialized case is the generated one, field by field.
//!
//! Does not know: how modules are made.

use super::{ModuleCounts, Outcome, Target};
use crate::case::{Case, Origin, Recipe, round};
use crate::diff_core::{self, Checker, Disagreement};
use crate::envelope::{Argument, Envelope, EnvelopeCall};
use crate::generate::GENERATOR_VERSION;
use crate::stats::Judgement;
use crate::third::{self, Batch, Objection};
use crate::vote::{Suspect, Vote};
use crate::worker::judge;
use wattest_differential::{Call, Form, FuncIdentity, NanRule, Plan, Program, Value};

/// Of so many cases, one is run by the reference too.
const SAMPLE_EVERY: u64 = 25;

/// Of so many cases, one is run by V8 too, where it is installed: a multiple of the above.
const THIRD_EVERY: u64 = 100;

/// The target.
#[derive(Default)]
pub(super) struct DiffCore {
    checker: Checker,
    checked: u64,
    batch: Batch,
}

/// Calls of a plan, as envelopes have them: functions by index.
pub(super) fn to_calls(calls: &[Call]) -> Vec<EnvelopeCall> {
    let call = |call: &Call| EnvelopeCall {
        module: 0,
        func: call.func.to_string(),
        args: call.args.iter().map(|value| Argument::Value(*value)).collect(),
    };
    calls.iter().map(call).collect()
}

/// The plan's calls of an envelope: those that name an exported function and fit its parameters. Functions as arguments have
/// to be exported, too: nobody could have them otherwise.
pub(super) fn from_calls(case: &Envelope, program: &Program) -> Vec<Call> {
    let shape = &program.shape;
    let call = |call: &EnvelopeCall| {
        let func: u32 = call.func.parse().ok()?;
        let signature = shape.functions.get(func as usize)?;
        shape.export_names.get(func as usize)?.as_ref()?;
        let args: Vec<Value> = call
            .args
            .iter()
            .filter_map(|argument| if let Argument::Value(value) = argument { Some(*value) } else { None })
            .collect();
        let can_be_had = |arg: &Value| match arg {
            Value::Func(FuncIdentity::Index(index)) => {
                shape.export_names.get(*index as usize).is_some_and(Option::is_some)
            }
            _ => true,
        };
        let fits = args.iter().map(Value::ty).eq(signature.params.iter().copied());
        (fits && args.iter().all(can_be_had)).then_some(Call { func, args })
    };
    case.calls.iter().filter_map(call).collect()
}

/// The envelope of a case.
pub(super) fn envelope(target: &str, case: &Case) -> Envelope {
    let plan = &case.recipe.plan;
    let mut envelope = Envelope::new(target)
        .set("subject", case.recipe.subject)
        .set("form", if plan.form == Form::Original { "original" } else { "exposed" })
        .set("nans", if plan.nans == NanRule::Exact { "exact" } else { "arithmetic" })
        .set("host-acts", plan.acting_host)
        .set("host-seed", plan.host_seed)
        .set("steps", plan.steps_max)
        .module("main", case.program.wasm.clone());
    if let Some(donor) = &case.donor {
        // For whoever reads it.
        envelope = envelope.set("donor", donor);
    }
    envelope.calls = to_calls(&plan.calls);
    envelope
}

/// The case of an envelope; `None` where its module cannot be described.
pub(super) fn case_of(envelope: &Envelope) -> Option<Case> {
    let program = Program::new(envelope.bytes(0).to_vec()).ok()?;
    let plan = Plan {
        calls: from_calls(envelope, &program),
        form: if envelope.is("form", "exposed") { Form::Exposed } else { Form::Original },
        nans: if envelope.is("nans", "arithmetic") { NanRule::Arithmetic } else { NanRule::Exact },
        acting_host: envelope.is("host-acts", "true"),
        host_seed: envelope.number("host-seed", 0),
        steps_max: envelope.number("steps", crate::case::CALL_OPERATIONS_MAX).min(10_000_000),
        capture: None,
        state_every: 1,
    };
    let subject = envelope.number("subject", 0) as usize;
    let recipe = Recipe { seed: None, generator: GENERATOR_VERSION, origin: Origin::File, subject, plan };
    Some(Case { recipe, program, functions: 0, operations: 0, donor: None })
}

impl Outcome {
    /// Notes that V8 sees a case otherwise than everybody else does: a bug of V8, as far as the majority goes.
    fn objected(&mut self, objections: Vec<Objection>) {
        for Objection { case, what, step } in objections {
            *self.third.entry("differs from all others".to_owned()).or_default() += 1;
            if self.disagreement.is_none() {
                let subject = third::name().unwrap_or_default();
                let vote = Vote { suspect: Suspect::Third, reference: "agrees with all others".to_owned() };
                self.case = Some(envelope(diff_core::NAME, &case).to_bytes());
                self.disagreement = Some((Disagreement { subject, what, step: Some(step) }, vote));
            }
        }
    }
}

impl DiffCore {
    fn check_case(&mut self, case: &Case) -> Outcome {
        let mut outcome = Outcome::default();
        let (mut alone, mut known) = (None, None);
        if self.checked.is_multiple_of(SAMPLE_EVERY) {
            let opinion = self.checker.second_opinion(case);
            (outcome.tally, alone) = (opinion.tally, opinion.alone);
            known = opinion.run.filter(|_| self.checked.is_multiple_of(THIRD_EVERY));
        }
        self.checked += 1;
        let mut found = self.checker.check_knowingly(case);
        let mut closer = None;
        if found.disagreement.is_some() && case.recipe.plan.state_every > 1 {
            // The state after every call, so that the first one that differs is named.
            let mut near = case.clone();
            near.recipe.plan.state_every = 1;
            let again = self.checker.check_knowingly(&near);
            if again.disagreement.is_some() {
                found = again;
                closer = Some(near);
            }
        }
        outcome.checks = found.checks;
        outcome.useful = found.useful;
        outcome.module = Some(ModuleCounts {
            functions: case.functions,
            operations: case.operations,
            executed: found.executed,
            traps: found.traps,
        });
        outcome.poison.extend(found.oracle_poison.map(|poison| format!("oracle: {poison}")));
        outcome.poison.extend(found.subject_poison.map(|poison| format!("subject: {poison}")));
        if let Some(disagreement) = found.disagreement {
            let vote = match judge(&mut self.checker, closer.as_ref().unwrap_or(case), &disagreement) {
                Judgement::Explained(finding) => {
                    outcome.explained = Some(finding.to_owned());
                    return outcome;
                }
                Judgement::Voted(vote) => vote,
            };
            outcome.disagreement = Some((disagreement, vote));
        } else if let Some(alone) = alone {
            // The runtime and the oracle agree: two against one.
            let vote = Vote { suspect: Suspect::Reference, reference: "stands alone".to_owned() };
            outcome.disagreement = Some((alone, vote));
        } else if let Some((plan, known)) = known {
            let objections = self.batch.add(case, plan, known, &mut outcome.third);
            outcome.objected(objections);
        }
        outcome
    }
}

impl Target for DiffCore {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        Some(envelope(diff_core::NAME, &Case::from_bytes(bytes)?))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        // A stored case has one outcome, and all opinions are asked.
        self.checked = 0;
        self.batch = Batch::default();
        let Some(case) = case_of(case) else { return Outcome::default() };
        let mut outcome = self.check_case(&case);
        let objections = self.batch.ask(&mut outcome.third);
        outcome.objected(objections);
        outcome
    }

    fn run_of_many(&mut self, case: &Envelope) -> Outcome {
        let Some(mut case) = case_of(case) else { return Outcome::default() };
        case.recipe.plan.state_every = round(&case.program);
        self.check_case(&case)
    }

    fn check(&mut self, bytes: &[u8]) -> Option<Outcome> {
        if let Some(case) = Envelope::parse(bytes) {
            return Some(self.run(&case));
        }
        let case = Case::from_bytes(bytes)?;
        Some(self.check_case(&case))
    }
}
