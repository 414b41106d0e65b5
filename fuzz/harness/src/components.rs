//! The component targets: every engine must see the same in a scenario.
//!
//! The reference's evaluator runs a [`Scenario`] first; what its calls return or trap with is what the runtime must return
//! or trap with. The contents of linear memories, where allocators and functions keep their logs, are part of it: each
//! component of a scenario exports a digest of its own.
//!
//! Invariant: an [`Outcome`] is a function of the scenario and of the engines' code.
//!
//! Does not know: processes, reports.

use crate::generate_component::{Scenario, Theme};
use crate::panics;
use wattest_differential::components::{
    ComponentEnding, ComponentEngine, ComponentRecord, ReferenceComponents, compare_components,
};

/// What a scenario proved.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Endings of the reference.
    pub record: ComponentRecord,
    /// What went wrong, if anything did: the engine, and what it did otherwise.
    pub disagreement: Option<String>,
}

impl Outcome {
    /// Whether at least one call ended in a value.
    pub fn useful(&self) -> bool {
        self.record.iter().skip(1).any(|ending| matches!(ending, ComponentEnding::Value(_)))
    }
}

/// The engines, kept between scenarios.
pub struct ComponentChecker {
    subjects: Vec<Box<dyn ComponentEngine>>,
}

impl Default for ComponentChecker {
    fn default() -> Self {
        ComponentChecker::new()
    }
}

fn guarded(engine: &mut dyn ComponentEngine, scenario: &Scenario) -> Result<ComponentRecord, String> {
    panics::record(|| engine.run(&scenario.wasm, &scenario.calls)).unwrap_or_else(|text| Err(format!("panic: {text}")))
}

impl ComponentChecker {
    /// Engines are built on first use.
    pub fn new() -> ComponentChecker {
        ComponentChecker { subjects: subjects() }
    }

    /// Checks the scenario of some bytes, of which the first chooses the subject's configuration.
    pub fn check_bytes(&mut self, theme: Theme, bytes: &[u8]) -> Outcome {
        match Scenario::from_bytes(theme, bytes) {
            Ok(scenario) => self.check(&scenario),
            Err(error) => Outcome { disagreement: Some(format!("generator: {error}")), ..Outcome::default() },
        }
    }

    /// Checks a scenario.
    pub fn check(&mut self, scenario: &Scenario) -> Outcome {
        let record = match guarded(&mut ReferenceComponents, scenario) {
            Ok(record) => record,
            Err(error) => {
                return Outcome { disagreement: Some(format!("reference: {error}")), ..Outcome::default() };
            }
        };
        let disagreement = match self.subjects.len() {
            0 => None,
            count => {
                let subject = &mut self.subjects[usize::from(scenario.subject) % count];
                let name = subject.name();
                let found = match guarded(subject.as_mut(), scenario) {
                    Ok(other) => compare_components(&record, &other),
                    Err(error) => Some(error),
                };
                found.map(|what| format!("{name}: {what}"))
            }
        };
        Outcome { record, disagreement }
    }
}

/// None yet: the runtime joins as soon as it runs components.
fn subjects() -> Vec<Box<dyn ComponentEngine>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};
    use std::collections::BTreeMap;
    use wattest_reference::TrapClass;

    /// A fixed number of scenarios: the engines agree, as many calls as that end in values or all, and these classes of
    /// traps occur.
    fn check_theme(theme: Theme, count: u64, values_min: u64, classes: &[TrapClass]) {
        let mut checker = ComponentChecker::new();
        let (mut checks, mut values, mut seen) = (0, 0, BTreeMap::new());
        for index in 0..count {
            let seed = case_seed(3, index);
            let outcome = checker.check_bytes(theme, &expand(seed));
            assert_eq!(outcome.disagreement, None, "{theme:?} {seed:#x}");
            for ending in outcome.record {
                checks += 1;
                match ending {
                    ComponentEnding::Value(_) => values += 1,
                    ComponentEnding::Trap(class) => *seen.entry(class).or_insert(0) += 1,
                    ComponentEnding::Nothing(text) => panic!("{theme:?} {seed:#x}: {text}"),
                }
            }
        }
        println!("{theme:?}: {values} values in {checks} endings, {seen:?}");
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
        let classes = [T::UnknownHandle, T::HandleType, T::HandleLent, T::BorrowsRemain];
        check_theme(Theme::Resources, 80, 200, &classes);
    }
}
