//! The component targets: every evaluator of a scenario must see the same.
//!
//! The reference evaluator runs a [`Scenario`] first; what its calls return or trap with is what every other evaluator must
//! return or trap with. The contents of linear memories, where allocators and functions keep their logs, are part of it:
//! each component of a scenario exports a digest of its own.
//!
//! Invariant: an [`Outcome`] is a function of the scenario and of the evaluators' code.
//!
//! Does not know: seeds, processes.

use crate::generate_component::{Scenario, Theme};
use crate::panics;
use wattest_reference::component::{Component, Evaluator, Limits, NoHost, Val};
use wattest_reference::{Failure, TrapClass};

/// How instantiation or a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// In a value, or in none.
    Value(Option<Val>),
    /// In a trap.
    Trap(TrapClass),
    /// In something that proves nothing: a budget.
    Nothing(String),
}

/// What one evaluator did: instantiation, then the calls.
pub type Record = Vec<Ending>;

/// What a scenario proved.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Endings compared.
    pub checks: u64,
    /// Traps among them.
    pub traps: u64,
    /// What went wrong, if anything did.
    pub disagreement: Option<String>,
}

/// Runs a scenario in the reference.
///
/// # Errors
/// When it does not take the component: a mistake of the generator or of the reference.
pub fn run_reference(scenario: &Scenario) -> Result<Record, String> {
    let component = Component::decode(&scenario.wasm).map_err(|error| error.to_string())?;
    let mut evaluator = Evaluator::new(Limits::default(), Box::new(NoHost));
    let mut record = Record::new();
    let root = match evaluator.instantiate(&component) {
        Ok(root) => root,
        Err(failure) => return Ok(vec![ending(failure)?]),
    };
    record.push(Ending::Value(None));
    for call in &scenario.calls {
        let func = root.func(&[&call.instance, &call.func]).ok_or_else(|| format!("no export {call:?}"))?;
        record.push(match evaluator.call(&func, &call.args) {
            Ok(value) => Ending::Value(value),
            Err(failure) => ending(failure)?,
        });
    }
    Ok(record)
}

fn ending(failure: Failure) -> Result<Ending, String> {
    match failure {
        Failure::Trap(trap) if matches!(trap.class, TrapClass::OutOfFuel | TrapClass::StackExhausted) => {
            Ok(Ending::Nothing(trap.class.text().to_owned()))
        }
        Failure::Trap(trap) => Ok(Ending::Trap(trap.class)),
        Failure::Limit(text) => Ok(Ending::Nothing(text)),
        other => Err(other.to_string()),
    }
}

/// Checks the scenario of some bytes.
pub fn check(theme: Theme, bytes: &[u8]) -> Outcome {
    let scenario = match Scenario::from_bytes(theme, bytes) {
        Ok(scenario) => scenario,
        Err(error) => return Outcome { disagreement: Some(format!("generator: {error}")), ..Outcome::default() },
    };
    check_scenario(&scenario)
}

/// Checks a scenario.
pub fn check_scenario(scenario: &Scenario) -> Outcome {
    let mut outcome = Outcome::default();
    let reference = panics::record(|| run_reference(scenario)).unwrap_or_else(|text| Err(format!("panic: {text}")));
    match reference {
        Ok(record) => {
            outcome.checks = record.len() as u64;
            outcome.traps = record.iter().filter(|ending| matches!(ending, Ending::Trap(_))).count() as u64;
        }
        Err(error) => outcome.disagreement = Some(format!("reference: {error}")),
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};
    use std::collections::BTreeMap;

    /// A fixed number of scenarios: all of them are valid, most calls end in values, and these classes of traps occur.
    fn check_theme(theme: Theme, count: u64, values_min: u64, classes: &[TrapClass]) {
        let (mut checks, mut seen) = (0, BTreeMap::new());
        let mut values = 0;
        for index in 0..count {
            let seed = case_seed(3, index);
            let scenario = Scenario::from_seed(theme, seed).unwrap_or_else(|error| panic!("{seed:#x}: {error}"));
            let outcome = check(theme, &expand(seed));
            assert_eq!(outcome.disagreement, None, "{theme:?} {seed:#x}");
            for ending in run_reference(&scenario).unwrap_or_default() {
                checks += 1;
                match ending {
                    Ending::Value(_) => values += 1,
                    Ending::Trap(class) => *seen.entry(class).or_insert(0) += 1,
                    Ending::Nothing(text) => panic!("{theme:?} {seed:#x}: {text}"),
                }
            }
        }
        println!("{theme:?}: {values} values in {checks} endings, {seen:?}");
        // As many as that, or all.
        assert!(values >= values_min.min(checks), "{theme:?}: {values} values in {checks} endings");
        for class in classes {
            assert!(seen.contains_key(class), "{theme:?}: no {class:?} in {seen:?}");
        }
    }

    #[test]
    fn values_cross_without_traps() {
        check_theme(Theme::Values, 40, u64::MAX, &[]);
    }

    #[test]
    fn hostile_guests_trap_in_every_way() {
        use TrapClass as T;
        let classes =
            [T::UnalignedPointer, T::PointerOutOfBounds, T::CannotLeave, T::InvalidDiscriminant, T::CannotEnter];
        check_theme(Theme::Hostile, 60, 100, &classes);
    }

    #[test]
    fn resources_are_made_lent_and_dropped() {
        use TrapClass as T;
        check_theme(Theme::Resources, 80, 200, &[T::UnknownHandle, T::HandleType, T::HandleLent, T::BorrowsRemain]);
    }
}
