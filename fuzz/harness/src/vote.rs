//! The vote: when the subject and the oracle disagree, the definitional interpreter runs the case too.
//!
//! It is written from the reduction rules of the [specification](https://webassembly.github.io/spec/core/exec/index.html),
//! shares no code with either side but the byte reader, and is too slow to go first; so it is asked only where the others
//! differ and no known finding explains it.
//!
//! Where V8 is installed it is asked too ([`crate::third`]): it can make a majority where there is none, and undo one.
//!
//! Invariant: the oracle is suspected only where the reference ran the step in question and the subject agrees with it on
//! every value that both of them showed; in doubt nobody is suspected, and the campaign fails.
//!
//! Does not know: findings, seeds, processes.

use crate::case::Case;
use crate::diff_core::{Checker, guarded};
use crate::quarantine;
use crate::third::{self, Voice};
use serde::{Deserialize, Serialize};
use wattest_differential::{DefinitionalEngine, NanRule, Plan, Refusal, Run, compare};

/// The reference counts every instruction, the oracle about one unit for several: it gets that many times its budget.
const STEPS_FACTOR: u64 = 8;

/// Whom the majority suspects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Suspect {
    /// The runtime under test: the reference sides with the oracle.
    Subject,
    /// The oracle: the reference sides with the subject on every observed value.
    Oracle,
    /// V8: it differs from all others.
    Third,
    /// The definitional interpreter: the subject and the oracle, or the prediction, agree against it.
    Reference,
    /// Nobody: three opinions, a reference that could not say, or a disagreement that did not come again.
    Nobody,
}

impl Suspect {
    /// Whether it is an engine of other people.
    pub fn is_oracle(self) -> bool {
        matches!(self, Suspect::Oracle | Suspect::Third)
    }
}

/// An outcome of a vote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// Whom the majority suspects.
    pub suspect: Suspect,
    /// What the reference said, in a few words.
    pub reference: String,
}

impl Vote {
    fn new(suspect: Suspect, reference: impl Into<String>) -> Vote {
        Vote { suspect, reference: reference.into() }
    }
}

/// Asks all three. `step` is the step of the disagreement, where it is one.
pub fn vote(checker: &mut Checker, case: &Case, step: Option<usize>) -> Vote {
    let (reference, plan) = match consult(case) {
        Ok(consulted) => consulted,
        Err(vote) => return vote,
    };
    if let Some(step) = step
        && reference.steps.len() <= step
    {
        return Vote::new(
            Suspect::Nobody,
            format!("the reference stopped before step {step}: {:?}", reference.stopped),
        );
    }
    let subject = guarded(checker.subject(case), &case.program, &plan);
    let rewritten = quarantine::avoid_all(&case.program);
    let oracle = guarded(checker.oracle(), rewritten.as_ref().unwrap_or(&case.program), &plan);
    let rule = case.recipe.plan.nans;
    let with_subject = objection(&reference, &subject, rule, step);
    let with_oracle = objection(&reference, &oracle, NanRule::Exact, step);
    let mut vote = match (&with_subject, &with_oracle) {
        (None, Some(what)) => Vote::new(Suspect::Oracle, format!("sides with the subject; the oracle: {what}")),
        (Some(what), None) => Vote::new(Suspect::Subject, format!("sides with the oracle; the subject: {what}")),
        (None, None) => Vote::new(Suspect::Nobody, "agrees with both: not seen again"),
        (Some(what), Some(_)) => Vote::new(Suspect::Nobody, format!("agrees with neither; the subject: {what}")),
    };
    match third::voice(case, &plan, &reference, subject.as_ref().ok(), oracle.as_ref().ok()) {
        None => {}
        Some(Err(silence)) => vote.reference.push_str(&format!("; the case {silence}")),
        Some(Ok(voice)) => {
            vote.suspect = with_voice(vote.suspect, with_subject.is_none(), with_oracle.is_none(), voice);
            vote.reference.push_str(&format!("; V8 {}", sides(voice)));
        }
    }
    vote
}

/// Whom V8 agrees with, in words.
fn sides(voice: Voice) -> String {
    let rows = [("the reference", voice.reference), ("the subject", voice.subject), ("the oracle", voice.oracle)];
    let names: Vec<&str> = rows.into_iter().filter(|(_, agrees)| *agrees).map(|(name, _)| name).collect();
    if names.is_empty() { "agrees with nobody".to_owned() } else { format!("agrees with {}", names.join(" and ")) }
}

/// Whom four suspect, of whom three suspected `suspect`; `subject` and `oracle` say whether the reference agrees with each.
fn with_voice(suspect: Suspect, subject: bool, oracle: bool, voice: Voice) -> Suspect {
    match suspect {
        // Two against two.
        Suspect::Oracle if voice.oracle && !voice.reference => Suspect::Nobody,
        Suspect::Subject if voice.subject && !voice.reference => Suspect::Nobody,
        Suspect::Nobody if !subject && !oracle => match (voice.reference, voice.subject, voice.oracle) {
            // The subject and the oracle may still agree with each other: then V8 agrees with both or with neither.
            (false, true, _) => Suspect::Reference,
            (true, false, false) | (false, false, true) => Suspect::Subject,
            _ => Suspect::Nobody,
        },
        other => other,
    }
}

/// Asks the reference and the subject only: for a case that ends the process as soon as the oracle runs it.
pub fn vote_without_oracle(checker: &mut Checker, case: &Case) -> Vote {
    let (reference, plan) = match consult(case) {
        Ok(consulted) => consulted,
        Err(vote) => return vote,
    };
    let subject = guarded(checker.subject(case), &case.program, &plan);
    match objection(&reference, &subject, case.recipe.plan.nans, None) {
        None => Vote::new(Suspect::Oracle, "sides with the subject, which goes on where the oracle does not run"),
        Some(what) => Vote::new(Suspect::Nobody, format!("the subject: {what}")),
    }
}

/// Runs the reference; gives its run and the plan of what it finished, for the others.
pub(crate) fn consult(case: &Case) -> Result<(Run, Plan), Vote> {
    let mut plan = case.recipe.plan.clone();
    plan.steps_max = plan.steps_max.saturating_mul(STEPS_FACTOR);
    let reference = guarded(&mut DefinitionalEngine, &case.program, &plan)
        .map_err(|refusal| Vote::new(Suspect::Nobody, format!("the reference would not run it: {refusal}")))?;
    if reference.steps.is_empty() {
        return Err(Vote::new(Suspect::Nobody, format!("the reference proves nothing: {:?}", reference.stopped)));
    }
    plan.calls.truncate(reference.steps.len() - 1);
    Ok((reference, plan))
}

/// What the reference holds against another run, if anything. A run that stopped for a reason that proves nothing is judged
/// by what came before, which must include `step`.
pub(crate) fn objection(
    reference: &Run,
    other: &Result<Run, Refusal>,
    rule: NanRule,
    step: Option<usize>,
) -> Option<String> {
    let other = match other {
        Ok(run) => run,
        Err(refusal) => return Some(refusal.to_string()),
    };
    if let (Some(step), Some(stopped)) = (step, other.stopped)
        && other.steps.len() <= step
    {
        return Some(format!("stopped before step {step}: {stopped}"));
    }
    let mut known = reference.clone();
    if other.stopped.is_some() {
        known.steps.truncate(other.steps.len());
    }
    compare(&known, other, rule).err().map(|mismatch| mismatch.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattest_differential::Form;

    /// The module of a finding, without its row: the reference must find the culprit alone.
    const LOOP_PARAMETER: &str = r#"(module
        (func (export "f") (param i32) (result i32) (local i32)
            local.get 0
            i32.const 2
            loop (param i32)
                local.set 1
                i32.const 99
                local.set 0
                local.get 1
                i32.const 1
                i32.sub
                local.tee 1
                local.get 1
                br_if 0
                drop
            end))"#;

    fn case_of(text: &str) -> Case {
        let wasm = wat::parse_str(text).expect("valid text");
        Case::from_module(wasm, 0, Form::Original, NanRule::Exact, 1).expect("a module that can be described")
    }

    #[test]
    fn the_right_side_is_suspected() {
        let case = case_of(LOOP_PARAMETER);
        let mut checker = Checker::new();
        let (reference, plan) = consult(&case).expect("the reference runs it");
        let subject = guarded(checker.subject(&case), &case.program, &plan);
        let oracle = guarded(checker.oracle(), &case.program, &plan);
        assert_eq!(objection(&reference, &subject, NanRule::Exact, Some(1)), None);
        assert!(objection(&reference, &oracle, NanRule::Exact, Some(1)).is_some());
        assert_eq!(vote_without_oracle(&mut checker, &case).suspect, Suspect::Oracle);
        // With the row, the oracle runs another module, and nobody disagrees any more.
        assert_eq!(vote(&mut checker, &case, Some(1)).suspect, Suspect::Nobody);
    }

    #[test]
    fn a_fourth_voice_makes_and_undoes_majorities() {
        let check = |suspect, (subject, oracle), voice: [bool; 3], expected| {
            let [reference_agrees, subject_agrees, oracle_agrees] = voice;
            let voice = Voice { reference: reference_agrees, subject: subject_agrees, oracle: oracle_agrees };
            assert_eq!(with_voice(suspect, subject, oracle, voice), expected, "{suspect:?} {voice:?}");
        };
        check(Suspect::Oracle, (true, false), [true, true, false], Suspect::Oracle);
        check(Suspect::Oracle, (true, false), [false, false, true], Suspect::Nobody);
        check(Suspect::Oracle, (true, false), [false, false, false], Suspect::Oracle);
        check(Suspect::Subject, (false, true), [true, false, true], Suspect::Subject);
        check(Suspect::Subject, (false, true), [false, true, false], Suspect::Nobody);
        check(Suspect::Nobody, (false, false), [true, false, false], Suspect::Subject);
        check(Suspect::Nobody, (false, false), [false, true, true], Suspect::Reference);
        check(Suspect::Nobody, (false, false), [false, false, true], Suspect::Subject);
        check(Suspect::Nobody, (false, false), [false, false, false], Suspect::Nobody);
        check(Suspect::Nobody, (true, true), [true, true, true], Suspect::Nobody);
    }

    #[test]
    fn a_wrong_subject_is_suspected() {
        let case =
            case_of("(module (func (export \"f\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))");
        let other =
            case_of("(module (func (export \"f\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 2))))");
        let (reference, plan) = consult(&case).expect("the reference runs it");
        let wrong = guarded(Checker::new().subject(&other), &other.program, &plan);
        let said = objection(&reference, &wrong, NanRule::Exact, Some(1)).expect("an objection");
        assert!(said.starts_with("at call 1: result 0"), "{said}");
        let refused = Err(Refusal::Broken("panic".into()));
        assert_eq!(objection(&reference, &refused, NanRule::Exact, None), Some("unexpected error: panic".into()));
    }
}
