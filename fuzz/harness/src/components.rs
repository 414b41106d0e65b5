//! The component targets: every engine must see the same in a scenario.
//!
//! The reference's evaluator runs a [`Scenario`] first; what its calls return or trap with is what the runtime must return
//! or trap with. The contents of linear memories, where allocators and functions keep their logs, are part of it: each
//! component of a scenario exports a digest of its own.
//!
//! Invariant: an [`Outcome`] is a function of the scenario and of the engines' code.
//!
//! Does not know: processes, reports.

use crate::generate_component::shape::Shapes;
use crate::generate_component::{Scenario, Theme};
use crate::panics;
use crate::source::expand;
use wattest_differential::components::{
    ComponentCase, ComponentEnding, ComponentEngine, ComponentRecord, ReferenceComponents, compare_components,
};

/// A property of components.
#[derive(Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name: the target, the first part of a replay line.
    pub name: &'static str,
    /// What its scenarios are about; all themes in turn where there is none.
    theme: Option<Theme>,
}

/// Every property of components.
pub const PROPERTIES: &[Property] = &[
    Property { name: "component_abi", theme: Some(Theme::Values) },
    Property { name: "hostile_abi", theme: Some(Theme::Hostile) },
    Property { name: "resources", theme: Some(Theme::Resources) },
    Property { name: "dfg", theme: None },
];

impl Property {
    /// The property of this name.
    pub fn named(name: &str) -> Option<&'static Property> {
        PROPERTIES.iter().find(|property| property.name == name)
    }

    /// The scenario of a seed.
    ///
    /// # Errors
    /// A mistake of the generator.
    pub fn scenario(&self, seed: u64) -> Result<Scenario, String> {
        self.scenario_of(&expand(seed))
    }

    /// The scenario of some bytes.
    ///
    /// # Errors
    /// A mistake of the generator.
    pub fn scenario_of(&self, bytes: &[u8]) -> Result<Scenario, String> {
        let turn = bytes.last().map_or(0, |byte| usize::from(*byte)) % Theme::ALL.len();
        Scenario::from_bytes(self.theme.unwrap_or(Theme::ALL[turn]), bytes)
    }
}

/// What a scenario proved.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Endings of the reference.
    pub record: ComponentRecord,
    /// Endings compared with the subject's.
    pub checks: u64,
    /// Shapes of the scenario.
    pub shapes: Shapes,
    /// What went wrong, if anything did: where, and what.
    pub disagreement: Option<(String, String)>,
}

impl Outcome {
    fn failed(stage: &str, what: String) -> Outcome {
        Outcome { disagreement: Some((stage.to_owned(), what)), ..Outcome::default() }
    }

    /// Whether at least one call ended in a value.
    pub fn useful(&self) -> bool {
        self.record.iter().skip(1).any(|ending| matches!(ending, ComponentEnding::Value(_)))
    }

    /// Whether the reference met a budget.
    pub fn poisoned(&self) -> bool {
        self.record.iter().any(|ending| matches!(ending, ComponentEnding::Nothing(_)))
    }
}

/// The engines, kept between scenarios.
pub struct ComponentChecker {
    subjects: Vec<Box<dyn ComponentEngine>>,
    stages: Stages,
}

impl Default for ComponentChecker {
    fn default() -> Self {
        ComponentChecker::new()
    }
}

fn guarded(engine: &mut dyn ComponentEngine, scenario: &Scenario) -> Result<ComponentRecord, String> {
    panics::record(|| engine.run(&scenario.case)).unwrap_or_else(|text| Err(format!("panic: {text}")))
}

impl ComponentChecker {
    /// Engines are built on first use.
    pub fn new() -> ComponentChecker {
        ComponentChecker { subjects: subjects(), stages: Stages::default() }
    }

    /// Checks the scenario of some bytes.
    pub fn check_bytes(&mut self, property: &Property, bytes: &[u8]) -> Outcome {
        match property.scenario_of(bytes) {
            Ok(scenario) => Outcome { shapes: scenario.shapes.clone(), ..self.check(property, &scenario) },
            Err(error) => Outcome::failed("generator", error),
        }
    }

    /// Checks the scenario of a seed.
    pub fn check_seed(&mut self, property: &Property, seed: u64) -> Outcome {
        self.check_bytes(property, &expand(seed))
    }

    /// Checks a scenario: the property `dfg` looks at every stage before the last as well, and names the first that fails.
    pub fn check(&mut self, property: &Property, scenario: &Scenario) -> Outcome {
        let record = match guarded(&mut ReferenceComponents, scenario) {
            Ok(record) => record,
            Err(error) => return Outcome::failed("reference", error),
        };
        if property.theme.is_none() {
            let staged = panics::record(|| self.stages.check(&scenario.case));
            if let Err((stage, what)) = staged.unwrap_or_else(|text| Err(("pipeline".to_owned(), text))) {
                return Outcome { record, disagreement: Some((stage, what)), ..Outcome::default() };
            }
        }
        let count = self.subjects.len().max(1);
        let Some(subject) = self.subjects.get_mut(usize::from(scenario.subject) % count) else {
            return Outcome { record, ..Outcome::default() };
        };
        let (checks, found) = match guarded(subject.as_mut(), scenario) {
            Ok(other) => (other.len().min(record.len()) as u64, compare_components(&record, &other)),
            Err(error) => (0, Some(error)),
        };
        let disagreement = found.map(|what| (subject.name(), what));
        Outcome { record, checks, disagreement, ..Outcome::default() }
    }
}

/// The stages before the last: graph and plan, each carried out, and compiling twice gives the same plan.
#[cfg(feature = "wattest")]
#[derive(Default)]
struct Stages {
    engine: wattest_differential::dfg::Interpreters,
}

#[cfg(feature = "wattest")]
impl Stages {
    fn check(&self, case: &ComponentCase) -> Result<(), (String, String)> {
        use wattest_differential::dfg::{Artifacts, check_stages};
        // Legal orders and other plans are chosen by the component alone.
        let seed = case
            .wasm
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |seed, byte| (seed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        check_stages(&self.engine, case, seed).map_err(|found| (found.stage.name().to_owned(), found.what))?;
        let compile = || Artifacts::of(&case.wasm, seed);
        match (compile(), compile()) {
            (Ok(one), Ok(other)) if one.plan.linear == other.plan.linear => Ok(()),
            _ => Err(("compile".to_owned(), "compiling twice gives different plans".to_owned())),
        }
    }
}

/// Without the runtime there are no stages.
#[cfg(not(feature = "wattest"))]
#[derive(Default)]
struct Stages;

#[cfg(not(feature = "wattest"))]
impl Stages {
    fn check(&self, _: &ComponentCase) -> Result<(), (String, String)> {
        Ok(())
    }
}

#[cfg(not(feature = "wattest"))]
fn subjects() -> Vec<Box<dyn ComponentEngine>> {
    Vec::new()
}

/// Rows of the configurations that do not stop calls: those that scenarios run in.
#[cfg(feature = "wattest")]
pub(crate) fn rows() -> Vec<usize> {
    use wattest_differential::CONFIGS;
    let is_endless = |row: &usize| !CONFIGS[*row].options.iter().any(|(key, _)| ["fuel", "epoch"].contains(key));
    (0..CONFIGS.len()).filter(is_endless).collect()
}

/// How many there are.
pub(crate) fn row_count() -> usize {
    rows().len()
}

/// There is one interpreter.
#[cfg(not(feature = "wattest"))]
fn rows() -> Vec<usize> {
    vec![0]
}

/// Every configuration that does not stop calls.
#[cfg(feature = "wattest")]
fn subjects() -> Vec<Box<dyn ComponentEngine>> {
    let engine = |row| Box::new(wattest_differential::WattestComponents::new(row)) as Box<dyn ComponentEngine>;
    rows().into_iter().map(engine).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate_component::shape::Shape;
    use crate::source::case_seed;
    use std::collections::BTreeMap;
    use wattest_reference::TrapClass;

    /// A fixed number of scenarios: the engines agree, as many calls as that end in values or all, and these classes of
    /// traps occur.
    fn check_property(name: &str, count: u64, values_min: u64, classes: &[TrapClass]) {
        let property = Property::named(name).expect("a row");
        let mut checker = ComponentChecker::new();
        let (mut checks, mut values, mut host, mut seen) = (0, 0, 0, BTreeMap::new());
        for index in 0..count {
            let seed = case_seed(3, index);
            let outcome = checker.check_seed(property, seed);
            assert_eq!(outcome.disagreement, None, "{name} {seed:#x}");
            for ending in outcome.record {
                checks += u64::from(!matches!(ending, ComponentEnding::HostCall(..) | ComponentEnding::HostDrop(..)));
                match ending {
                    ComponentEnding::Value(_) => values += 1,
                    ComponentEnding::Trap(class) => *seen.entry(class).or_insert(0) += 1,
                    ComponentEnding::HostCall(..) | ComponentEnding::HostDrop(..) => host += 1,
                    ComponentEnding::Nothing(text) => panic!("{name} {seed:#x}: {text}"),
                }
            }
        }
        println!("{name}: {values} values in {checks} endings, {host} events of the host, {seen:?}");
        assert!(values >= values_min.min(checks), "{name}: {values} values in {checks} endings");
        for class in classes {
            assert!(seen.contains_key(class), "{name}: no {class:?} in {seen:?}");
        }
    }

    #[test]
    fn every_shape_is_reached() {
        let mut seen = BTreeMap::new();
        for theme in Theme::ALL {
            for index in 0..400 {
                for shape in Scenario::shapes_of_bytes(theme, &expand(case_seed(3, index))).0 {
                    *seen.entry(shape).or_insert(0) += 1;
                }
            }
        }
        for shape in Shape::ALL {
            println!("{:>5} {}", seen.get(shape).unwrap_or(&0), shape.text());
        }
        let missing: Vec<_> = Shape::ALL.iter().filter(|shape| !seen.contains_key(shape)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_stage_keeps_what_components_mean() {
        check_property("dfg", 6, 30, &[]);
    }

    #[test]
    fn values_cross_without_traps() {
        check_property("component_abi", 12, u64::MAX, &[]);
    }

    #[test]
    fn hostile_guests_trap_in_every_way() {
        use TrapClass as T;
        let classes =
            [T::UnalignedPointer, T::PointerOutOfBounds, T::CannotLeave, T::InvalidDiscriminant, T::CannotEnter];
        check_property("hostile_abi", 30, 60, &classes);
    }

    #[test]
    fn resources_are_made_lent_and_dropped() {
        use TrapClass as T;
        let classes = [T::UnknownHandle, T::HandleType, T::HandleLent, T::BorrowsRemain];
        check_property("resources", 40, 100, &classes);
    }
}
