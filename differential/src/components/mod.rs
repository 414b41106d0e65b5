//! Components in several engines: what a component's exports return or trap with.
//!
//! Values and traps are those of the reference, whose [values](wattest_reference::component::Val) go by position; every
//! engine translates its own by the types that it says its functions have.
//!
//! Invariant: nothing in a [`ComponentRecord`] depends on the engine that made it, only on the component.
//!
//! Does not know: where components come from; what a disagreement means.

mod script;

pub use script::{HostAction, HostAnswer, HostScript};

pub(crate) use script::HostLog;
use wattest_reference::component::{
    Component, Evaluator, FuncType, Handle, Host as ReferenceHostTrait, Kind, Limits, Root, Type, Val,
};
use wattest_reference::{Failure, TrapClass as ReferenceTrap};

/// How instantiation or a call ended, and what the host saw before that.
#[derive(Clone, Debug, PartialEq)]
pub enum ComponentEnding {
    /// In a value, or in none.
    Value(Option<Val>),
    /// In a trap.
    Trap(ReferenceTrap),
    /// In something that proves nothing: a budget.
    Nothing(String),
    /// No ending: a function of the host was called with these arguments.
    HostCall(String, Vec<Val>),
    /// No ending: a resource of the host, by the name of its type and its number, is gone.
    HostDrop(String, u32),
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

/// A component, its host, and what is called.
#[derive(Clone, Debug, Default)]
pub struct ComponentCase {
    /// The binary.
    pub wasm: Vec<u8>,
    /// What it imports.
    pub host: HostScript,
    /// In this order.
    pub calls: Vec<ComponentCall>,
    /// Whether what comes after a call that trapped is called in a new instance, in a store of its own: the instance is at
    /// its end.
    pub renews: bool,
}

/// What one engine did: instantiation, then the calls.
pub type ComponentRecord = Vec<ComponentEnding>;

/// An engine for components.
pub trait ComponentEngine {
    /// Its name.
    fn name(&self) -> String;

    /// Instantiates a component and calls its exports, whatever the calls before ended in; each instantiation has an ending
    /// of its own.
    ///
    /// # Errors
    /// When the engine does not take the component, or ends in what no component can ask for.
    fn run(&mut self, case: &ComponentCase) -> Result<ComponentRecord, String>;
}

/// The reference's component evaluator.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceComponents;

impl ComponentEngine for ReferenceComponents {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn run(&mut self, case: &ComponentCase) -> Result<ComponentRecord, String> {
        let component = Component::decode(&case.wasm).map_err(|error| error.to_string())?;
        let log = HostLog::default();
        let mut record = Vec::new();
        let mut live = None;
        for call in &case.calls {
            let (evaluator, root) = match live.take() {
                Some(made) => live.insert(made),
                None => match ReferenceComponents::start(&component, case, &log, &mut record)? {
                    Some(made) => live.insert(made),
                    None => return Ok(record),
                },
            };
            let func = root.func(&[&call.instance, &call.func]).ok_or_else(|| format!("no export {call:?}"))?;
            let result = evaluator.call(&func, &call.args);
            record.extend(log.take());
            if case.renews && result.is_err() {
                live = None;
            }
            record.push(match result {
                Ok(value) => ComponentEnding::Value(value),
                Err(failure) => reference_ending(failure)?,
            });
        }
        Ok(record)
    }
}

impl ReferenceComponents {
    /// An instance in a store of its own; none when instantiation did not end well.
    fn start(
        component: &Component,
        case: &ComponentCase,
        log: &HostLog,
        record: &mut ComponentRecord,
    ) -> Result<Option<(Evaluator, Root)>, String> {
        let host = ReferenceHost { script: case.host.clone(), log: log.clone() };
        let mut evaluator = Evaluator::new(Limits::default(), Box::new(host)).keeping_nans();
        let made = evaluator.instantiate(component);
        record.extend(log.take());
        match made {
            Ok(root) => {
                record.push(ComponentEnding::Value(None));
                Ok(Some((evaluator, root)))
            }
            Err(failure) => {
                record.push(reference_ending(failure)?);
                Ok(None)
            }
        }
    }
}

/// The scripted host for the evaluator.
pub(crate) struct ReferenceHost {
    pub(crate) script: HostScript,
    pub(crate) log: HostLog,
}

/// The last name of an import's path.
fn last_name(path: &str) -> &str {
    path.rsplit('#').next().unwrap_or(path)
}

/// A value as the host has it: handles are their numbers, and strings are UTF-8, whatever they were.
fn as_host_has_it(val: &Val) -> Val {
    match val {
        Val::Own(handle) | Val::Borrow(handle) => Val::U32(handle.rep),
        Val::List(vals) => Val::List(vals.iter().map(as_host_has_it).collect()),
        Val::Record(vals) => Val::Record(vals.iter().map(as_host_has_it).collect()),
        Val::Variant(case, payload) => Val::Variant(*case, payload.as_ref().map(|val| Box::new(as_host_has_it(val)))),
        Val::String(text) => Val::String(text.text.as_str().into()),
        other => other.clone(),
    }
}

impl ReferenceHostTrait for ReferenceHost {
    fn call(&mut self, path: &str, ty: &FuncType, args: &[Val]) -> Result<Option<Val>, Failure> {
        let name = last_name(path);
        let found = self.script.funcs.iter().find(|(func, _)| func == name);
        let (_, action) = found.ok_or_else(|| Failure::Unlinkable(format!("unknown import {path}")))?;
        match self.log.called(name, action, args.iter().map(as_host_has_it).collect()) {
            HostAnswer::Value(value) => Ok(value),
            HostAnswer::Own(_, rep) => match ty.result.as_ref().map(Type::kind) {
                Some(Kind::Own(resource)) => Ok(Some(Val::Own(Handle { resource: *resource, rep }))),
                _ => Err(Failure::Arguments(format!("{path} makes no resource"))),
            },
            HostAnswer::Failed => Err(Failure::trap(ReferenceTrap::Host)),
        }
    }

    fn drop_resource(&mut self, path: &str, rep: u32) {
        self.log.dropped(last_name(path), rep);
    }
}

pub(crate) fn reference_ending(failure: Failure) -> Result<ComponentEnding, String> {
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

/// Whether a trap is one of those.
pub fn is_refusal(class: ReferenceTrap) -> bool {
    REFUSALS.contains(&class)
}

/// Whether two values are the same when NaNs are.
pub fn same_value(left: &Val, right: &Val) -> bool {
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
            (ComponentEnding::HostCall(a, left), ComponentEnding::HostCall(b, right))
                if a == b && same_value(&Val::List(left.clone()), &Val::List(right.clone())) => {}
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
        let host = |args: Vec<Val>| ComponentEnding::HostCall("f".to_owned(), args);
        check(host(vec![Val::F32(0x7fc0_0000)]), host(vec![Val::F32(0x7fa0_0000)]), true);
        check(host(vec![Val::U8(1)]), host(vec![Val::U8(2)]), false);
        check(host(Vec::new()), Value(None), false);
    }

    /// What both engines record of a component that imports `host`, with these actions, and exports `i`.
    #[cfg(feature = "wattest")]
    fn check_host(text: &str, funcs: &[(&str, HostAction)], calls: &[&str], expected: &[ComponentEnding]) {
        let funcs = funcs.iter().map(|(name, action)| ((*name).to_owned(), action.clone())).collect();
        let host = HostScript { instance: "host".to_owned(), resources: vec!["a".to_owned()], funcs };
        let call = |func: &&str| ComponentCall { instance: "i".to_owned(), func: (*func).to_owned(), args: Vec::new() };
        let calls = calls.iter().map(call).collect();
        let case = ComponentCase { wasm: wat::parse_str(text).unwrap(), host, calls, renews: false };
        assert_eq!(ReferenceComponents.run(&case).unwrap(), expected);
        assert_eq!(crate::WattestComponents::new(0).run(&case).unwrap(), expected);
    }

    #[test]
    #[cfg(feature = "wattest")]
    fn a_failing_function_of_the_host_ends_no_instance_when_called_directly() {
        use ComponentEnding::{HostCall, Trap, Value};
        check_host(
            r#"(component (import "host" (instance $host (export "fail" (func))))
              (core module $m (func (export "f") (result i32) i32.const 7))
              (core instance $i (instantiate $m))
              (func $f (result u32) (canon lift (core func $i "f")))
              (instance $x (export "fail" (func $host "fail")) (export "f" (func $f)))
              (export "i" (instance $x)))"#,
            &[("fail", HostAction::Fail)],
            &["fail", "f"],
            &[
                Value(None),
                HostCall("fail".to_owned(), Vec::new()),
                Trap(ReferenceTrap::Host),
                Value(Some(Val::U32(7))),
            ],
        );
    }

    #[test]
    #[cfg(feature = "wattest")]
    fn resources_of_the_host_are_numbers() {
        use ComponentEnding::{HostCall, HostDrop, Value};
        let called = |name: &str, args: &[u32]| HostCall(name.to_owned(), args.iter().map(|n| Val::U32(*n)).collect());
        check_host(
            r#"(component
              (import "host" (instance $host (export "a" (type $a (sub resource)))
                (export "make" (func (param "rep" u32) (result (own $a))))
                (export "look" (func (param "r" (borrow $a)) (result u32)))
                (export "next" (func (param "r" (own $a)) (param "s" (borrow $a)) (result (own $a))))))
              (alias export $host "a" (type $a))
              (core func $make (canon lower (func $host "make")))
              (core func $look (canon lower (func $host "look")))
              (core func $next (canon lower (func $host "next")))
              (core func $drop (canon resource.drop $a))
              (core module $m
                (import "" "make" (func $make (param i32) (result i32)))
                (import "" "look" (func $look (param i32) (result i32)))
                (import "" "next" (func $next (param i32 i32) (result i32)))
                (import "" "drop" (func $drop (param i32)))
                (func (export "f") (result i32) (local $x i32) (local $y i32)
                  (local.set $x (call $make (i32.const 10)))
                  (local.set $y (call $make (i32.const 20)))
                  (local.set $x (call $next (local.get $x) (local.get $y)))
                  (call $drop (local.get $y))
                  (call $look (local.get $x))))
              (core instance $i (instantiate $m (with "" (instance (export "make" (func $make))
                (export "look" (func $look)) (export "next" (func $next)) (export "drop" (func $drop))))))
              (func $f (result u32) (canon lift (core func $i "f")))
              (instance $x (export "f" (func $f)))
              (export "i" (instance $x)))"#,
            &[("make", HostAction::Make(0)), ("look", HostAction::Sum), ("next", HostAction::Next(0))],
            &["f"],
            &[
                Value(None),
                called("make", &[10]),
                called("make", &[20]),
                called("next", &[10, 20]),
                HostDrop("a".to_owned(), 20),
                called("look", &[21]),
                Value(Some(Val::U32(21))),
            ],
        );
    }
}
