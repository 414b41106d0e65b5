//! Components in several engines: what a component's exports return or trap with.
//!
//! Values and traps are those of the reference, whose [values](wattest_reference::component::Val) go by position; every
//! engine translates its own by the types that it says its functions have.
//!
//! Invariant: nothing in a [`ComponentRecord`] depends on the engine that made it, only on the component.
//!
//! Does not know: where components come from; what a disagreement means.

use wattest_reference::component::{Component, Evaluator, Limits, NoHost, Val};
use wattest_reference::{Failure, TrapClass as ReferenceTrap};

/// How instantiation or a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ComponentEnding {
    /// In a value, or in none.
    Value(Option<Val>),
    /// In a trap.
    Trap(ReferenceTrap),
    /// In something that proves nothing: a budget.
    Nothing(String),
}

/// A call of an exported function.
#[derive(Clone, Debug)]
pub struct ComponentCall {
    /// The exported instance.
    pub instance: String,
    /// Its function.
    pub func: String,
    /// With these.
    pub args: Vec<Val>,
}

/// What one engine did: instantiation, then the calls.
pub type ComponentRecord = Vec<ComponentEnding>;

/// An engine for components.
pub trait ComponentEngine {
    /// Its name.
    fn name(&self) -> String;

    /// Instantiates a component without imports and calls its exports, whatever the calls before ended in.
    ///
    /// # Errors
    /// When the engine does not take the component, or ends in what no component can ask for.
    fn run(&mut self, wasm: &[u8], calls: &[ComponentCall]) -> Result<ComponentRecord, String>;
}

/// The reference's component evaluator.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceComponents;

impl ComponentEngine for ReferenceComponents {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn run(&mut self, wasm: &[u8], calls: &[ComponentCall]) -> Result<ComponentRecord, String> {
        let component = Component::decode(wasm).map_err(|error| error.to_string())?;
        let mut evaluator = Evaluator::new(Limits::default(), Box::new(NoHost)).keeping_nans();
        let root = match evaluator.instantiate(&component) {
            Ok(root) => root,
            Err(failure) => return Ok(vec![reference_ending(failure)?]),
        };
        let mut record = vec![ComponentEnding::Value(None)];
        for call in calls {
            let func = root.func(&[&call.instance, &call.func]).ok_or_else(|| format!("no export {call:?}"))?;
            record.push(match evaluator.call(&func, &call.args) {
                Ok(value) => ComponentEnding::Value(value),
                Err(failure) => reference_ending(failure)?,
            });
        }
        Ok(record)
    }
}

fn reference_ending(failure: Failure) -> Result<ComponentEnding, String> {
    match failure {
        Failure::Trap(trap) if matches!(trap.class, ReferenceTrap::OutOfFuel | ReferenceTrap::StackExhausted) => {
            Ok(ComponentEnding::Nothing(trap.class.text().to_owned()))
        }
        Failure::Trap(trap) => Ok(ComponentEnding::Trap(trap.class)),
        Failure::Limit(text) => Ok(ComponentEnding::Nothing(text)),
        other => Err(other.to_string()),
    }
}

/// Traps by which the canonical ABI refuses values. Several may apply to one call, and the specification does not say in
/// which order values are looked at: an engine that copies piece by piece may meet another one first, or what the allocator
/// of the destination does.
const REFUSALS: &[ReferenceTrap] = &[
    ReferenceTrap::UnalignedPointer,
    ReferenceTrap::PointerOutOfBounds,
    ReferenceTrap::ValueTooLong,
    ReferenceTrap::InvalidDiscriminant,
    ReferenceTrap::InvalidChar,
    ReferenceTrap::InvalidString,
    ReferenceTrap::CannotLeave,
    ReferenceTrap::Unreachable,
];

/// Whether two values are the same when NaNs are.
fn same_value(left: &Val, right: &Val) -> bool {
    let all = |left: &[Val], right: &[Val]| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_value(left, right))
    };
    match (left, right) {
        (Val::F32(a), Val::F32(b)) => a == b || f32::from_bits(*a).is_nan() && f32::from_bits(*b).is_nan(),
        (Val::F64(a), Val::F64(b)) => a == b || f64::from_bits(*a).is_nan() && f64::from_bits(*b).is_nan(),
        (Val::List(a), Val::List(b)) | (Val::Record(a), Val::Record(b)) => all(a, b),
        (Val::Variant(a, Some(left)), Val::Variant(b, Some(right))) => a == b && same_value(left, right),
        (left, right) => left == right,
    }
}

fn is_return(trap: ReferenceTrap) -> bool {
    matches!(trap, ReferenceTrap::TaskReturn | ReferenceTrap::NoResult)
}

/// Where two records differ: the first ending that does, with both.
pub fn compare_components(left: &ComponentRecord, right: &ComponentRecord) -> Option<String> {
    for (at, pair) in left.iter().zip(right).enumerate() {
        match pair {
            (ComponentEnding::Nothing(_), _) | (_, ComponentEnding::Nothing(_)) => return None,
            (ComponentEnding::Trap(a), ComponentEnding::Trap(b)) if REFUSALS.contains(a) && REFUSALS.contains(b) => {}
            // A task that did not return once: never, or twice.
            (ComponentEnding::Trap(a), ComponentEnding::Trap(b)) if is_return(*a) && is_return(*b) => {}
            (ComponentEnding::Value(Some(a)), ComponentEnding::Value(Some(b))) if same_value(a, b) => {}
            (a, b) if a == b => {}
            (a, b) => return Some(format!("step {at}: {a:?} against {b:?}")),
        }
    }
    (left.len() != right.len()).then(|| format!("{} steps against {}", left.len(), right.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: ComponentEnding, right: ComponentEnding, same: bool) {
        assert_eq!(compare_components(&vec![left.clone()], &vec![right.clone()]).is_none(), same, "{left:?} {right:?}");
    }

    #[test]
    fn endings_are_compared() {
        use ComponentEnding::{Nothing, Trap, Value};
        check(Value(None), Value(None), true);
        check(Value(Some(Val::U8(1))), Value(Some(Val::U8(2))), false);
        check(Value(Some(Val::F32(0x7fc0_0000))), Value(Some(Val::F32(0x7fa0_0000))), true);
        check(Value(Some(Val::F32(0x7fc0_0000))), Value(Some(Val::F32(0))), false);
        check(Value(None), Trap(ReferenceTrap::CannotEnter), false);
        check(Trap(ReferenceTrap::CannotEnter), Trap(ReferenceTrap::CannotLeave), false);
        check(Trap(ReferenceTrap::InvalidChar), Trap(ReferenceTrap::UnalignedPointer), true);
        check(Nothing(String::new()), Value(None), true);
    }
}
