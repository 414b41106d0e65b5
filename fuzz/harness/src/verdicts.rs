//! What every engine says of one case: the definitional interpreter goes first, each of the others is held against it.
//!
//! Core modules are run by wasmi and V8 too; linked programs and components by the reference and the runtime only, since
//! no other engine that is here can look into them.
//!
//! Invariant: each line is said as soon as it is known, and each engine is named before it runs, so that one that ends the
//! process takes no other's line with it, and is known.
//!
//! Does not know: processes, targets' own properties.

use crate::campaign::PROCESS;
use crate::case::Case;
use crate::configurations::{configuration_of_case, own_rows};
use crate::diff_core::{Checker, guarded};
use crate::envelope::Envelope;
use crate::third;
use crate::vote::{consult, objection};
use crate::{panics, quarantine, targets};
use serde::{Deserialize, Serialize};
use wattest_differential::components::{ComponentEngine, ReferenceComponents, compare_components};
use wattest_differential::linked::{LinkedEngine, LinkedWattest, compare_linked};
use wattest_differential::{DefinitionalEngine, NanRule, WattestComponents, WattestEngine};

const REFERENCE: &str = "reference";

/// The engine that the reference and the runtime outvote where it ends the process.
pub const WASMI: &str = "wasmi";

/// What one engine says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The engine.
    pub engine: String,
    /// Whether it does what the reference does: how far, or where not.
    pub says: String,
    /// Whether it differs.
    pub differs: bool,
}

/// What is said, in this order for each engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// The engine of this name runs the case now.
    Asked(String),
    /// What it says.
    Said(Verdict),
}

/// The verdicts of these lines; `ending` is how the process ended, if not by itself: the engine that it ended with differs.
pub fn of_lines(lines: impl Iterator<Item = Line>, ending: Option<String>) -> Vec<Verdict> {
    let (mut verdicts, mut asked) = (Vec::new(), None);
    for line in lines {
        match line {
            Line::Asked(engine) => asked = Some(engine),
            Line::Said(verdict) => {
                asked = None;
                verdicts.push(verdict);
            }
        }
    }
    let engine = asked.unwrap_or_else(|| PROCESS.to_owned());
    verdicts.extend(ending.map(|says| Verdict { engine, says, differs: true }));
    verdicts
}

/// Operations of a step of a linked program.
const STEPS_MAX: u64 = 1_000_000;

/// Asks every engine that is there and can run cases of this target; none for those that are about something else.
pub fn verdicts(case: &Envelope, say: &mut dyn FnMut(Line)) {
    match case.target.as_str() {
        "gc_model" | "eh_model" | "diff_linked" => linked(case, say),
        "self_configs" if case.is("linked", "true") => linked(case, say),
        "component_abi" | "hostile_abi" | "resources" | "dfg" => component(case, say),
        "diff_core" | "op_matrix" | "self_configs" | "emi" | "bounds" | "tables_bulk" => {
            if let Some(one) = targets::core_case(case) {
                core(case, &one, say);
            }
        }
        _ => {}
    }
}

fn asked(engine: &str) -> Line {
    Line::Asked(engine.to_owned())
}

fn verdict(engine: impl Into<String>, objection: Option<String>) -> Line {
    let differs = objection.is_some();
    Line::Said(Verdict { engine: engine.into(), says: objection.unwrap_or_else(|| "agrees".to_owned()), differs })
}

/// Of an engine that does not differ.
fn remark(engine: impl Into<String>, says: String) -> Line {
    Line::Said(Verdict { engine: engine.into(), says, differs: false })
}

fn core(envelope: &Envelope, case: &Case, say: &mut dyn FnMut(Line)) {
    say(asked(REFERENCE));
    let (reference, plan) = match consult(case) {
        Ok(consulted) => consulted,
        Err(vote) => return say(verdict(REFERENCE, Some(vote.reference))),
    };
    say(remark(REFERENCE, format!("{} steps", reference.steps.len())));
    let mut subject = None;
    for row in own_rows(envelope).into_iter().filter_map(|row| configuration_of_case(envelope, row)) {
        let name = format!("wattest ({})", row.name);
        say(asked(&name));
        let run = guarded(&mut WattestEngine::of(row), &case.program, &plan);
        say(verdict(name, objection(&reference, &run, plan.nans, None)));
        subject = run.ok().or(subject);
    }
    say(asked(WASMI));
    let mut checker = Checker::new();
    let rewritten = quarantine::avoid_all(&case.program);
    let oracle = guarded(checker.oracle(), rewritten.as_ref().unwrap_or(&case.program), &plan);
    say(verdict(WASMI, objection(&reference, &oracle, NanRule::Exact, None)));
    let name = match third::name() {
        Ok(name) => name,
        Err(why) => return say(remark("V8", format!("skipped: {why}"))),
    };
    let said = match third::voice(case, &plan, &reference, subject.as_ref(), oracle.as_ref().ok()) {
        None => remark(name, "did not answer".to_owned()),
        Some(Err(silence)) => remark(name, format!("has no voice: the case {silence}")),
        Some(Ok(voice)) if voice.reference => verdict(name, None),
        Some(Ok(voice)) => {
            let others = [("the subject", voice.subject), ("wasmi", voice.oracle)];
            let others: Vec<&str> = others.into_iter().filter(|(_, agrees)| *agrees).map(|(name, _)| name).collect();
            let with = if others.is_empty() { "nobody".to_owned() } else { others.join(" and ") };
            verdict(name, Some(format!("differs from the reference, agrees with {with}")))
        }
    };
    say(said);
}

fn linked(case: &Envelope, say: &mut dyn FnMut(Line)) {
    say(asked(REFERENCE));
    let program = targets::linked_program(case);
    let run = panics::record(|| LinkedEngine::run(&mut DefinitionalEngine, &program, STEPS_MAX));
    let reference = match run.map_err(|text| format!("panic: {text}")) {
        Ok(Ok(run)) => run,
        Ok(Err(refusal)) => return say(verdict(REFERENCE, Some(refusal.to_string()))),
        Err(text) => return say(verdict(REFERENCE, Some(text))),
    };
    say(remark(REFERENCE, format!("{} steps", reference.steps.len())));
    for (row, configuration) in
        own_rows(case).into_iter().filter_map(|row| Some((row, configuration_of_case(case, row)?)))
    {
        let name = format!("wattest ({})", configuration.name);
        say(asked(&name));
        let run = panics::record(|| LinkedWattest::new(row).run(&program, STEPS_MAX));
        let objection = match run.map_err(|text| format!("panic: {text}")) {
            Ok(Ok(run)) => compare_linked(&reference, &run).err(),
            Ok(Err(refusal)) => Some(refusal.to_string()),
            Err(text) => Some(text),
        };
        say(verdict(name, objection));
    }
}

fn component(case: &Envelope, say: &mut dyn FnMut(Line)) {
    let Some(own) = targets::component_case(case) else { return };
    say(asked(REFERENCE));
    let run = panics::record(|| ReferenceComponents.run(&own));
    let reference = match run.unwrap_or_else(|text| Err(format!("panic: {text}"))) {
        Ok(record) => record,
        Err(text) => return say(verdict(REFERENCE, Some(text))),
    };
    say(remark(REFERENCE, format!("{} endings", reference.len())));
    for row in own_rows(case) {
        let Some(configuration) = configuration_of_case(case, row) else { continue };
        let place = wattest_differential::CONFIGS.iter().position(|other| other.name == configuration.name);
        let name = format!("wattest ({})", configuration.name);
        say(asked(&name));
        let run = panics::record(|| WattestComponents::new(place.unwrap_or(0)).run(&own));
        let objection = match run.unwrap_or_else(|text| Err(format!("panic: {text}"))) {
            Ok(record) => compare_components(&reference, &record),
            Err(text) => Some(text),
        };
        say(verdict(name, objection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};
    use crate::targets::Targets;

    #[test]
    fn every_engine_is_asked() {
        let check = |target: &str, engines: usize| {
            let mut targets = Targets::default();
            let target = targets.get(target).expect("a target");
            let case = (0..20).find_map(|index| target.generate(&expand(case_seed(5, index)))).expect("a case");
            let mut said = Vec::new();
            verdicts(&case, &mut |line| said.push(line));
            let said = of_lines(said.into_iter(), None);
            assert_eq!(said.len(), engines, "{said:?}");
            assert!(said.iter().all(|verdict| !verdict.differs), "{said:?}");
        };
        check("diff_core", 4);
        check("gc_model", 2);
        check("component_abi", 2);
        check("bytes", 0);
    }

    #[test]
    fn who_ends_the_process_is_known() {
        let said = |lines: &[Line]| {
            let last = of_lines(lines.iter().cloned(), Some("died of signal 11".to_owned())).pop();
            last.map(|verdict| (verdict.engine, verdict.differs))
        };
        let before = [asked(REFERENCE), remark(REFERENCE, "1 steps".to_owned())];
        assert_eq!(said(&before), Some((PROCESS.to_owned(), true)));
        let then = [before.to_vec(), vec![asked(WASMI)]].concat();
        assert_eq!(said(&then), Some((WASMI.to_owned(), true)));
    }

    #[test]
    fn who_differs_is_said() {
        let wasm = wat::parse_str("(module (func (export \"f\") (result i32) i32.const 1))").expect("valid text");
        let case = Case::from_module(wasm, 0, wattest_differential::Form::Original, NanRule::Exact, 1).expect("a case");
        let (reference, plan) = consult(&case).expect("the reference runs it");
        let mut other = reference.clone();
        other.steps[1].ending = wattest_differential::Ending::Values(vec![wattest_differential::Value::I32(2)]);
        let Line::Said(said) = verdict("x", objection(&reference, &Ok(other), plan.nans, None)) else {
            panic!("no verdict");
        };
        assert!(said.differs && said.says.contains("result 0"), "{said:?}");
    }
}
