//! The registry of targets: one row is one property that can be driven by bytes.
//!
//! Invariant: every row has a libFuzzer shim of its name, and the other way round.
//!
//! Does not know: libFuzzer.

use crate::case::Case;
use crate::components::{ComponentChecker, PROPERTIES, Property};
use crate::diff_core::{self, Checker};
use crate::graphs;
use crate::model::{MODELS, Model, ModelChecker};
use crate::stats::Judgement;
use crate::vote::Suspect;
use crate::worker::judge;
use std::cell::RefCell;

/// A target.
pub struct Target {
    /// Its name: the binary, the first part of a replay line.
    pub name: &'static str,
    /// Checks one input; panics where the property does not hold. Whether the input was a case: coverage decides which
    /// cases are kept, since a fuzzer grows its corpus from inputs that do nothing yet.
    pub fuzz: fn(&[u8]) -> bool,
}

/// The table.
pub const TARGETS: &[Target] = &[
    Target { name: diff_core::NAME, fuzz: fuzz_diff_core },
    Target { name: "gc_model", fuzz: |bytes| fuzz_model("gc_model", bytes) },
    Target { name: "eh_model", fuzz: |bytes| fuzz_model("eh_model", bytes) },
    Target { name: "diff_linked", fuzz: |bytes| fuzz_model("diff_linked", bytes) },
    Target { name: "component_abi", fuzz: |bytes| fuzz_component("component_abi", bytes) },
    Target { name: "hostile_abi", fuzz: |bytes| fuzz_component("hostile_abi", bytes) },
    Target { name: "resources", fuzz: |bytes| fuzz_component("resources", bytes) },
    Target { name: "graph", fuzz: fuzz_graph },
    Target { name: "dfg", fuzz: |bytes| fuzz_component("dfg", bytes) },
];

/// Of so many cases of a campaign, one belongs to each property of [`MODELS`] that the runtime implements; and of ten times
/// as many to one that only the reference runs.
const MODEL_EVERY: u64 = 24;

/// The property of [`crate::model`] that the `index`-th case of a campaign belongs to; none is `diff_core`. All cases belong
/// to `only`, if the campaign has a property named.
pub fn model_of(index: u64, only: Option<&str>) -> Option<&'static Model> {
    if let Some(name) = only {
        return Model::named(name);
    }
    MODELS.iter().zip(1..).find_map(|(model, place)| {
        let every = if model.is_implemented() { MODEL_EVERY } else { 10 * MODEL_EVERY };
        (index % every == place).then_some(model)
    })
}

/// Of so many cases of a campaign, one belongs to each property of components: they take ten times as long as others.
const COMPONENT_EVERY: u64 = 72;

/// The property of components that the `index`-th case of a campaign belongs to; all cases to `only`, as above.
pub fn component_of(index: u64, only: Option<&str>) -> Option<&'static Property> {
    if let Some(name) = only {
        return Property::named(name);
    }
    // Places that `model_of` never takes.
    let places = [6u64, 7, 18, 19];
    PROPERTIES.iter().zip(places).find_map(|(property, place)| (index % COMPONENT_EVERY == place).then_some(property))
}

/// Checks one input of the target called `name`.
///
/// # Panics
///
/// Where the property does not hold, or there is no such target.
pub fn fuzz(name: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the target is registered");
    (target.fuzz)(bytes)
}

thread_local! {
    static CHECKER: RefCell<Checker> = RefCell::new(Checker::new());
    static MODEL_CHECKER: RefCell<ModelChecker> = RefCell::new(ModelChecker::default());
    static COMPONENT_CHECKER: RefCell<ComponentChecker> = RefCell::new(ComponentChecker::new());
}

fn fuzz_component(name: &str, bytes: &[u8]) -> bool {
    let Some(property) = Property::named(name) else { return false };
    let outcome = COMPONENT_CHECKER.with_borrow_mut(|checker| checker.check_bytes(property, bytes));
    if let Some((subject, what)) = &outcome.disagreement {
        panic!("disagreement with {subject}: {what}");
    }
    true
}

fn fuzz_model(name: &str, bytes: &[u8]) -> bool {
    let Some(model) = Model::named(name) else { return false };
    let Some(case) = model.case(bytes) else { return false };
    let outcome = MODEL_CHECKER.with_borrow_mut(|checker| checker.check(&case));
    if let Some((found, vote)) = &outcome.disagreement {
        let (subject, what) = (&found.subject, &found.what);
        assert!(
            vote.suspect == Suspect::Oracle,
            "disagreement with {subject}: {what}; the reference {}",
            vote.reference
        );
    }
    true
}

fn fuzz_diff_core(bytes: &[u8]) -> bool {
    let Some(case) = Case::from_bytes(bytes) else { return false };
    CHECKER.with_borrow_mut(|checker| {
        let outcome = checker.check_knowingly(&case);
        if let Some(found) = &outcome.disagreement
            && let Judgement::Voted(vote) = judge(checker, &case, found)
        {
            let known =
                format!("disagreement with {}: {}; the reference {}", found.subject, found.what, vote.reference);
            // A new bug of the oracle is for the campaign to report; a crash here would hide what lies behind it.
            assert!(vote.suspect == Suspect::Oracle, "{known}");
        }
        true
    })
}

fn fuzz_graph(bytes: &[u8]) -> bool {
    let steps = graphs::steps_of(bytes);
    let checked = graphs::check(&steps).unwrap_or_else(|defect| panic!("{defect}"));
    checked.effects > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_has_its_share_of_a_campaign() {
        for model in MODELS {
            assert!((0..1000).any(|index| model_of(index, None) == Some(model)), "{}", model.name);
            assert!(TARGETS.iter().any(|target| target.name == model.name), "{}", model.name);
        }
        for property in PROPERTIES {
            let mut places = (0..1000).filter(|index| component_of(*index, None) == Some(property));
            assert!(places.all(|index| model_of(index, None).is_none()), "{}", property.name);
            assert!((0..1000).any(|index| component_of(index, None) == Some(property)), "{}", property.name);
            assert!(TARGETS.iter().any(|target| target.name == property.name), "{}", property.name);
        }
        let core =
            (0..1000).filter(|index| model_of(*index, None).is_none() && component_of(*index, None).is_none()).count();
        assert!(core > 650, "{core} of 1000 cases are of diff_core");
    }

    #[test]
    fn any_bytes_are_an_input() {
        let check = |bytes: &[u8]| {
            let are_cases: Vec<bool> = TARGETS.iter().map(|target| fuzz(target.name, bytes)).collect();
            assert!(are_cases[0], "{bytes:?}");
        };
        // The smallest inputs must be cases: an empty corpus starts from them.
        check(&[]);
        check(&[0x0a]);
        check(&[0; 100]);
        check(&[0xff; 300]);
        check(b"\0asm\x01\0\0\0");
    }
}
