//! The third voter: V8, where it is installed.
//!
//! It runs what two others disagree about, and in batches a sample of what all of them agree about: an interpreter written
//! from the specification ([the reference](wattest_differential::DefinitionalEngine)) and a compiler of other people's share
//! no mistakes. Fuzzers of the service start no processes, so there it is not asked.
//!
//! Invariant: V8 counts as a voice only where it can have one ([`Silence`] says why not, and is counted); a difference that
//! the specification leaves open is no disagreement.
//!
//! Does not know: who wins.

use crate::case::Case;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wattest_differential::v8::{Question, Silence, V8, leeway};
use wattest_differential::{NanRule, Plan, Run, compare};

/// Cases, or bytes, of one message.
const BATCH: usize = 48;

/// What V8 said, by how often: it agrees, or why it said nothing.
pub type Counts = BTreeMap<String, u64>;

thread_local! {
    /// Looked for once per thread.
    static FOUND: RefCell<Option<Result<V8, String>>> = const { RefCell::new(None) };
}

/// What is made of V8, if there is one.
fn with<R>(ask: impl FnOnce(&mut V8) -> R) -> Option<R> {
    if cfg!(fuzzing) {
        return None;
    }
    FOUND.with_borrow_mut(|found| found.get_or_insert_with(V8::find).as_mut().ok().map(ask))
}

/// Its name, or why it is not there: for reports.
///
/// # Errors
///
/// Why it is skipped.
pub fn name() -> Result<String, String> {
    let name = with(|v8| v8.name());
    name.ok_or_else(|| {
        let why = FOUND.with_borrow(|found| found.as_ref().and_then(|found| found.as_ref().err().cloned()));
        why.unwrap_or_else(|| "no processes under a fuzzer".to_owned())
    })
}

/// Whom V8 agrees with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// The definitional interpreter.
    pub reference: bool,
    /// The runtime.
    pub subject: bool,
    /// The interpreter that went first.
    pub oracle: bool,
}

/// Whom V8 agrees with on one case; nothing where it is not there, or has no voice. `known` is the reference's run of `plan`.
pub(crate) fn voice(
    case: &Case,
    plan: &Plan,
    known: &Run,
    subject: Option<&Run>,
    oracle: Option<&Run>,
) -> Option<Result<Voice, Silence>> {
    let question = Question { program: &case.program, plan, known };
    let answer = with(|v8| v8.run(&[question]).pop())??;
    Some(answer.and_then(|run| {
        let agrees = |other: &Run| same(other, &run);
        let voice = Voice {
            reference: agrees(known),
            subject: subject.is_some_and(agrees),
            oracle: oracle.is_some_and(agrees),
        };
        match leeway(&case.program, plan) {
            Some(reason) if voice == NOBODY => Err(reason),
            _ if run.stopped.is_some() => Err(Silence::Poisoned),
            _ => Ok(voice),
        }
    }))
}

const NOBODY: Voice = Voice { reference: false, subject: false, oracle: false };

/// Whether two runs are the same, over the steps that both have: each side may choose the bits of its NaNs.
fn same(left: &Run, right: &Run) -> bool {
    let mut known = left.clone();
    known.steps.truncate(right.steps.len());
    compare(&known, right, NanRule::Any).is_ok()
}

/// A case that others agree about, kept for the next message.
struct Kept {
    case: Case,
    plan: Plan,
    known: Run,
}

impl Kept {
    fn question(&self) -> Question<'_> {
        Question { program: &self.case.program, plan: &self.plan, known: &self.known }
    }
}

/// A case that V8 sees otherwise than everybody else.
pub(crate) struct Objection {
    pub(crate) case: Case,
    pub(crate) what: String,
    pub(crate) step: usize,
}

/// Cases that wait for the next message.
#[derive(Default)]
pub(crate) struct Batch {
    kept: Vec<Kept>,
}

impl Batch {
    /// Keeps a case, of which `known` is the reference's run; asks about all that are kept once they are many.
    pub(crate) fn add(&mut self, case: &Case, plan: Plan, known: Run, counts: &mut Counts) -> Vec<Objection> {
        if name().is_err() {
            return Vec::new();
        }
        self.kept.push(Kept { case: case.clone(), plan, known });
        if self.kept.len() < BATCH { Vec::new() } else { self.ask(counts) }
    }

    /// Asks about all that are kept.
    pub(crate) fn ask(&mut self, counts: &mut Counts) -> Vec<Objection> {
        let kept = std::mem::take(&mut self.kept);
        let questions: Vec<Question<'_>> = kept.iter().map(Kept::question).collect();
        let Some(answers) = with(|v8| v8.run(&questions)) else { return Vec::new() };
        let mut objections = Vec::new();
        for (kept, answer) in kept.iter().zip(answers) {
            let silence = match answer {
                Err(silence) => Some(silence),
                Ok(run) => {
                    let mut known = kept.known.clone();
                    known.steps.truncate(run.steps.len());
                    match (compare(&known, &run, NanRule::Any), leeway(&kept.case.program, &kept.plan)) {
                        (Ok(()), _) if run.stopped.is_some() => Some(Silence::Poisoned),
                        (Ok(()), _) => None,
                        (Err(_), Some(reason)) => Some(reason),
                        (Err(mismatch), None) => {
                            let (step, what) = (mismatch.step, mismatch.to_string());
                            objections.push(Objection { case: kept.case.clone(), what, step });
                            continue;
                        }
                    }
                }
            };
            *counts.entry(said(silence)).or_default() += 1;
        }
        objections
    }
}

/// The key under which an answer is counted.
pub(crate) fn said(silence: Option<Silence>) -> String {
    silence.map_or_else(|| "agrees".to_owned(), |silence| silence.to_string())
}

/// What V8 says of each of these bytes: whether they are a module.
pub(crate) fn judge(modules: &[&[u8]]) -> Option<Vec<Result<Result<(), String>, Silence>>> {
    with(|v8| v8.judge(modules))
}

/// The proposals that another validator must know to be compared with V8.
pub(crate) fn features() -> Option<wattest_reference::Features> {
    with(|v8| v8.features())
}

/// How many bytes are judged at once.
pub(crate) const fn batch() -> usize {
    BATCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::case_seed;
    use wattest_differential::{DefinitionalEngine, Engine};

    /// V8 agrees with the reference on generated cases, and objects to a run that is not the reference's.
    #[test]
    fn generated_cases_agree() {
        if let Err(why) = name() {
            println!("generated_cases_agree: V8 is skipped: {why}");
            return;
        }
        let (mut batch, mut counts, mut objections) = (Batch::default(), Counts::new(), Vec::new());
        for index in 0..40 {
            let Some(case) = Case::from_seed(case_seed(21, index)) else { continue };
            let Ok(known) = DefinitionalEngine.run(&case.program, &case.recipe.plan) else { continue };
            let Some(last) = known.steps.len().checked_sub(1) else { continue };
            let mut plan = case.recipe.plan.clone();
            plan.calls.truncate(last);
            objections.extend(batch.add(&case, plan, known, &mut counts));
        }
        objections.extend(batch.ask(&mut counts));
        let texts: Vec<&str> = objections.iter().map(|objection| objection.what.as_str()).collect();
        assert!(texts.is_empty(), "{texts:?}");
        assert!(counts.get("agrees").copied().unwrap_or(0) >= 15, "{counts:?}");
    }

    #[test]
    fn a_wrong_run_is_objected_to() {
        let text = |number: u32| {
            format!(
                "(module (func (export \"f\") (param i32) (result i32) (i32.xor (local.get 0) (i32.const {number}))))"
            )
        };
        let case = |text: String| {
            let wasm = wat::parse_str(text).expect("valid text");
            let form = wattest_differential::Form::Original;
            Case::from_module(wasm, 0, form, NanRule::Arithmetic, 1).expect("a module that can be described")
        };
        let (right, wrong) = (case(text(5)), case(text(6)));
        let plan = right.recipe.plan.clone();
        let known = DefinitionalEngine.run(&right.program, &plan).expect("the reference runs it");
        let false_run = DefinitionalEngine.run(&wrong.program, &plan).expect("the reference runs it");
        let Some(voice) = voice(&right, &plan, &known, Some(&known), Some(&false_run)) else {
            println!("a_wrong_run_is_objected_to: V8 is skipped: {:?}", name());
            return;
        };
        assert_eq!(voice, Ok(Voice { reference: true, subject: true, oracle: false }));
        let (mut batch, mut counts) = (Batch::default(), Counts::new());
        batch.kept.push(Kept { case: right, plan, known: false_run });
        assert_eq!(batch.ask(&mut counts).len(), 1);
    }
}
