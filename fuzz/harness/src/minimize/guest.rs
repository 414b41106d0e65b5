//! A component whose host has become a component beside it, since scripts have no host that answers.
//!
//! The functions answer what the host does, where that is a number or a handle, and zeros in memory elsewhere; what they were
//! called with is kept in a number that the component exports, so that what the host would have seen is seen there.
//!
//! Invariant: the case has no host, and one more exported instance that can be asked after every call.
//!
//! Does not know: whether a failure of the case is one of this case, too.

use super::text::{Text, encode};
use crate::envelope::{Envelope, EnvelopeCall};
use crate::interface::{FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Interface};
use crate::targets;
use std::fmt::Write;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentEntityType, ComponentFuncType, ComponentInstanceType, ComponentValType,
};
use wasmparser::types::TypesRef;
use wasmparser::{PrimitiveValType, ValType, Validator, WasmFeatures};
use wattest_differential::components::{HostAction, HostScript};
use wattest_reference::component::Val;

/// The exported instance and its function.
const INSTANCE: &str = "guest";
const EVENTS: &str = "events";

/// The memory, what was seen, and what is told of a resource that is gone.
const LIBC: &str = r#"  (core module $libc
    (memory (export "memory") 1)
    (global $events (mut i64) (i64.const 0))
    (global $next (mut i32) (i32.const 1024)) ;; the beginning of the heap
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local.set 0 (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get 0) (local.get 3)))
      (local.get 0))
    (func $note (export "note") (param i64)
      (global.set $events (i64.add (i64.mul (global.get $events) (i64.const 31)) (local.get 0))))
    (func (export "gone") (param i32) (call $note (i64.extend_i32_u (local.get 0))))
    (func (export "events") (result i64) (global.get $events)))
  (core instance $libc (instantiate $libc))
"#;

/// Where values begin that come in memory, and how many words of them are noted.
const HEAP: u32 = 1024;
const WORDS_SEEN: u32 = 6;

/// Where results lie that are no single number: nothing is ever written there.
const ZEROS: u32 = 0x8000;

/// The case without a host; `None` where it has none, or where no component can be it.
pub(super) fn without_host(case: &Envelope) -> Option<Envelope> {
    let own = targets::component_case(case).filter(|own| !own.host.funcs.is_empty())?;
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(&own.wasm).ok()?;
    let types = types.as_ref();
    let ComponentEntityType::Instance(id) = types.component_item_for_import(&own.host.instance)?.ty else {
        return None;
    };
    let text = Text::of(&own.wasm)?;
    let (import, name) = text.import_of(&own.host.instance)?;
    let guest = component(types, &types[id], &own.host)?;
    let mut changed = format!(
        "{}{guest}(instance {name} (instantiate $\"{INSTANCE}\")){}",
        text.before(&import),
        text.behind(&import)
    );
    let end = changed.rfind(')')?;
    changed.insert_str(end, &format!("\n(export \"{INSTANCE}\" (instance {name}))\n"));
    let mut lane = case.clone();
    lane.modules[0].bytes = encode(&changed)?;
    lane.settings.retain(|name, _| !name.starts_with("host"));
    let asked = || EnvelopeCall { module: 0, func: format!("{INSTANCE}#{EVENTS}"), args: Vec::new() };
    lane.calls = case.calls.iter().flat_map(|call| [call.clone(), asked()]).collect();
    Some(lane)
}

/// The component that does what the host does.
fn component(types: TypesRef<'_>, ty: &ComponentInstanceType, host: &HostScript) -> Option<String> {
    let mut interface = Interface::new(types);
    let (mut imports, mut news, mut bodies, mut lifts) = (String::new(), String::new(), String::new(), String::new());
    let mut resources = 0;
    for (name, item) in &ty.exports {
        match item.ty {
            ComponentEntityType::Type { created, referenced } => {
                let number = resources;
                let own = match referenced {
                    ComponentAnyTypeId::Resource(_) => {
                        resources += 1;
                        // Writing to a string does not fail.
                        let _ = writeln!(news, "  (core func $new{number} (canon resource.new $r{number}))");
                        let _ = writeln!(
                            imports,
                            "(import \"r\" \"{number}\" (func $new{number} (param i32) (result i32)))"
                        );
                        let resource = "(resource (rep i32) (dtor (core func $libc \"gone\")))";
                        let _ = writeln!(interface.text, "  (type $r{number} {resource})");
                        format!("$r{number}")
                    }
                    ComponentAnyTypeId::Defined(id) => interface.structure(id)?,
                    _ => return None,
                };
                let position = interface.text.len();
                let own = match own.starts_with('$') {
                    true => own,
                    false => {
                        let _ = writeln!(interface.text, "  (type $d{position} {own})");
                        format!("$d{position}")
                    }
                };
                let _ = writeln!(interface.text, "  (export $x{position} \"{name}\" (type {own}))");
                interface.name(created, format!("$x{position}"));
            }
            ComponentEntityType::Func(id) => {
                let action = host.funcs.iter().find(|(func, _)| func == name).map(|(_, action)| action)?;
                let number = bodies.matches("(export").count();
                bodies.push_str(&body(&interface, name, number, &types[id], action)?);
                let ty = interface.function(&types[id])?;
                let _ = writeln!(
                    lifts,
                    "  (func (export \"{name}\") {} (canon lift (core func $m \"{name}\") (memory $libc \"memory\") \
                    (realloc (core func $libc \"realloc\"))))",
                    ty.strip_prefix("(func").and_then(|rest| rest.strip_suffix(')'))?
                );
            }
            _ => return None,
        }
    }
    let exports: String = (0..resources).map(|number| format!(" (export \"{number}\" (func $new{number}))")).collect();
    Some(format!(
        "(component $\"{INSTANCE}\"\n{LIBC}{}{news}  (core module $m (import \"libc\" \"note\" (func $note (param i64)))\n\
        (import \"libc\" \"memory\" (memory 1))\
        {imports}{bodies})\n  (core instance $m (instantiate $m (with \"libc\" (instance $libc)) \
        (with \"r\" (instance{exports}))))\n{lifts}  (func (export \"{EVENTS}\") (result u64) \
        (canon lift (core func $libc \"events\"))))\n",
        interface.text
    ))
}

/// A core function that notes that it was called, and with what, and answers.
fn body(
    interface: &Interface<'_>,
    name: &str,
    number: usize,
    ty: &ComponentFuncType,
    action: &HostAction,
) -> Option<String> {
    let each: Vec<Vec<ValType>> = ty.params.iter().map(|(_, ty)| interface.flat(*ty)).collect::<Option<_>>()?;
    let first = each.first().cloned().unwrap_or_default();
    let mut params = each.concat();
    let spills = params.len() > FLAT_PARAMS_MAX;
    if spills {
        params = vec![ValType::I32];
    }
    let results = ty.result.map(|ty| interface.flat(ty)).unwrap_or(Some(Vec::new()))?;
    let mut text = format!("  (func (export \"{name}\")");
    params.iter().for_each(|ty| {
        let _ = write!(text, " (param {ty})");
    });
    let result = match results.as_slice() {
        [] => None,
        [one] => Some(*one),
        _ => Some(ValType::I32),
    };
    result.iter().for_each(|ty| {
        let _ = write!(text, " (result {ty})");
    });
    let _ = write!(text, "\n    (call $note (i64.const {number}))");
    for (at, ty) in params.iter().enumerate() {
        let bits = match ty {
            ValType::I64 => format!("(local.get {at})"),
            ValType::F32 => format!("(i64.extend_i32_u (i32.reinterpret_f32 (local.get {at})))"),
            ValType::F64 => format!("(i64.reinterpret_f64 (local.get {at}))"),
            _ => format!("(i64.extend_i32_u (local.get {at}))"),
        };
        let _ = write!(text, " (call $note {bits})");
    }
    let is_in_memory =
        |ty: &ComponentValType| !matches!(ty, ComponentValType::Primitive(ty) if *ty != PrimitiveValType::String);
    if ty.params.iter().any(|(_, ty)| is_in_memory(ty)) {
        for word in 0..WORDS_SEEN {
            let _ = write!(text, " (call $note (i64.load offset={} (i32.const 0)))", HEAP + 8 * word);
        }
    }
    let takes_first = !spills && first.len() == 1 && result == first.first().copied();
    let answer = match (action, result) {
        (HostAction::Fail, _) => "unreachable".to_owned(),
        (_, None) => String::new(),
        _ if results.len() > FLAT_RESULTS_MAX => format!("(i32.const {ZEROS})"),
        (HostAction::Make(resource), _) => format!("(call $new{resource} (local.get 0))"),
        (HostAction::Next(resource), _) => {
            let second = first.len();
            format!("(call $new{resource} (i32.add (local.get {second}) (i32.const 1)))")
        }
        (HostAction::Echo | HostAction::Sum, _) if takes_first => "(local.get 0)".to_owned(),
        (HostAction::Answer(Some(value)), Some(ty)) => constant(value, ty),
        (_, Some(ty)) => format!("({ty}.const 0)"),
    };
    let _ = writeln!(text, " {answer})");
    Some(text)
}

/// A number as a core function returns it; zero where it is none.
fn constant(value: &Val, ty: ValType) -> String {
    match value {
        Val::Bool(value) => format!("({ty}.const {})", u8::from(*value)),
        Val::S8(value) => format!("({ty}.const {value})"),
        Val::U8(value) => format!("({ty}.const {value})"),
        Val::S16(value) => format!("({ty}.const {value})"),
        Val::U16(value) => format!("({ty}.const {value})"),
        Val::S32(value) => format!("({ty}.const {value})"),
        Val::U32(value) | Val::Flags(value) | Val::Variant(value, None) => format!("({ty}.const {value})"),
        Val::S64(value) => format!("({ty}.const {value})"),
        Val::U64(value) => format!("({ty}.const {value})"),
        Val::Char(value) => format!("({ty}.const {})", u32::from(*value)),
        Val::F32(bits) => format!("(f32.reinterpret_i32 (i32.const {bits}))"),
        Val::F64(bits) => format!("(f64.reinterpret_i64 (i64.const {bits}))"),
        _ => format!("({ty}.const 0)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate_component::{Scenario, Theme};
    use crate::source::case_seed;
    use wattest_differential::components::{ComponentEnding, ComponentEngine, ReferenceComponents};

    #[test]
    fn hosts_can_be_guests() {
        let (mut hosts, mut guests, mut instances) = (0, 0, 0);
        for theme in Theme::ALL {
            for index in 0..60 {
                let seed = case_seed(9, index);
                let scenario = Scenario::from_seed(theme, seed).expect("a scenario");
                if scenario.case.host.funcs.is_empty() {
                    continue;
                }
                let name = crate::components::PROPERTIES[theme as usize].name;
                let bytes = crate::source::expand(seed);
                let Some(case) = crate::targets::decode_input(name, &bytes) else { continue };
                let Some(_) = targets::component_case(&case).filter(|own| !own.host.funcs.is_empty()) else {
                    continue;
                };
                hosts += 1;
                let Some(guest) = without_host(&case) else { continue };
                let case = targets::component_case(&guest).expect("a case");
                let record =
                    ReferenceComponents.run(&case).unwrap_or_else(|error| panic!("{theme:?} {seed:#x}: {error}"));
                assert!(!record.iter().any(|ending| matches!(ending, ComponentEnding::HostCall(..))));
                // A host that fails ends an instantiation that calls it, and so does its guest.
                instances += usize::from(matches!(record.first(), Some(ComponentEnding::Value(_))));
                guests += 1;
            }
        }
        println!("{guests} of {hosts}, {instances} instantiated");
        assert!(instances * 2 > guests, "{instances} of {guests}");
        assert!(guests > 20, "{guests} of {hosts}");
    }
}
