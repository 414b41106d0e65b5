//! A failing case of components as scripts, with the values that the reference's evaluator gives.
//!
//! Scripts call exports of the component itself: it becomes the only child of one that exports what is called, with the
//! types that need names. A component that takes a host's functions, and handles, are beyond this; then there is no script.
//!
//! Invariant: every assertion is the reference's value or trap, never the runtime's. Where the evaluator's trap is several of
//! the suite's, which has a wording for each side of a boundary, there is a script for each wording.
//!
//! Does not know: whether the runtime still fails.

use crate::envelope::Envelope;
use crate::interface::Interface;
use crate::regression::{float32, float64};
use crate::{minimize, panics, targets};
use std::fmt::Write;
use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncType, ComponentItem, ComponentValType,
};
use wasmparser::types::TypesRef;
use wasmparser::{Validator, WasmFeatures};
use wattest_differential::components::{ComponentCall, ComponentEnding, ComponentEngine, ReferenceComponents};
use wattest_reference::TrapClass;
use wattest_reference::component::Val;

/// The scripts' texts behind their header: one for each wording of the traps in it.
pub(crate) fn scripts(case: &Envelope) -> Vec<String> {
    let Some(own) = targets::component_case(case) else { return Vec::new() };
    if !own.host.funcs.is_empty() || !own.host.resources.is_empty() {
        return Vec::new();
    }
    let Ok(Ok(record)) = panics::record(|| ReferenceComponents.run(&own)) else { return Vec::new() };
    let Ok(types) = Validator::new_with_features(WasmFeatures::all()).validate_all(&own.wasm) else {
        return Vec::new();
    };
    let mut script = Script::new(types.as_ref());
    if script.component(&own.wasm, &own.calls).is_none() {
        return Vec::new();
    }
    let wordings =
        record.iter().map(|ending| if let ComponentEnding::Trap(class) = ending { wordings(*class).len() } else { 1 });
    let one = |choice| script.text(&own.calls, own.renews, &record, choice);
    (0..wordings.max().unwrap_or(1)).filter_map(one).collect()
}

/// The texts of a trap in scripts.
fn wordings(class: TrapClass) -> Vec<&'static str> {
    wattest_differential::suite::wordings(class)
}

/// A component that exports what is called, and its calls.
struct Script<'a> {
    types: TypesRef<'a>,
    /// The component's text.
    component: String,
    /// The type of each call's function, and the number of its export.
    called: Vec<(&'a ComponentFuncType, usize)>,
}

impl<'a> Script<'a> {
    fn new(types: TypesRef<'a>) -> Script<'a> {
        Script { types, component: String::new(), called: Vec::new() }
    }

    /// The component as a child of one that exports what is called.
    fn component(&mut self, wasm: &[u8], calls: &[ComponentCall]) -> Option<()> {
        let types = self.types;
        let (mut interface, mut fields) = (Interface::new(types), String::new());
        let mut names: Vec<(&str, &str)> = Vec::new();
        for call in calls {
            let name = (call.instance.as_str(), call.func.as_str());
            let ComponentEntityType::Instance(id) = types.component_item_for_export(name.0)?.ty else { return None };
            let ComponentItem { ty: ComponentEntityType::Func(id), .. } = types[id].exports.get(name.1)? else {
                return None;
            };
            let number = names.iter().position(|known| *known == name).unwrap_or(names.len());
            self.called.push((types.get(*id)?, number));
            if number < names.len() {
                continue;
            }
            names.push(name);
            let ty = interface.function(&types[*id])?;
            let (instance, func) = name;
            // Writing to a string does not fail.
            let _ = writeln!(fields, "  (alias export $c \"{instance}\" (instance $i{number}))");
            let _ = writeln!(fields, "  (alias export $i{number} \"{func}\" (func $f{number}))");
            let _ = writeln!(fields, "  (export \"f{number}\" (func $f{number}) {ty})");
        }
        // A name of its own would be a second one.
        let printed = wasmprinter::print_bytes(minimize::without_names(wasm)?).ok()?;
        let rest = printed.trim().strip_prefix("(component")?.trim_start();
        let own = &interface.text;
        self.component =
            format!("(component\n(component $C {rest}\n  (instance $c (instantiate $C))\n{own}{fields})\n");
        Some(())
    }

    /// The component and its calls as far as they ended in something that scripts can say, traps in their `choice`th
    /// wording.
    fn text(&self, calls: &[ComponentCall], renews: bool, record: &[ComponentEnding], choice: usize) -> Option<String> {
        let worded = |class: &TrapClass| {
            let all = wordings(*class);
            all.get(choice).or(all.last()).copied().unwrap_or_else(|| class.text())
        };
        let mut endings = record.iter();
        let mut text = String::new();
        let mut is_new = true;
        for (call, (ty, number)) in calls.iter().zip(&self.called) {
            if is_new {
                match endings.next()? {
                    ComponentEnding::Value(_) => text.push_str(&self.component),
                    ComponentEnding::Trap(class) => {
                        let _ = writeln!(text, "(assert_trap {} \"{}\")", self.component, worded(class));
                        return Some(text);
                    }
                    _ => return None,
                }
            }
            is_new = false;
            // The runner of scripts takes those for values of core functions.
            let is_float = |ty: &ComponentValType| {
                use wasmparser::PrimitiveValType as P;
                matches!(ty, ComponentValType::Primitive(P::F32 | P::F64))
            };
            if ty.params.iter().map(|(_, ty)| ty).chain(&ty.result).any(is_float) {
                return None;
            }
            let arguments = call.args.iter().zip(&ty.params).map(|(value, (_, ty))| self.constant(value, *ty));
            let invoke = format!("(invoke \"f{number}\"{})", arguments.collect::<Option<Vec<_>>>()?.concat());
            let _ = match endings.next()? {
                ComponentEnding::Value(None) => writeln!(text, "(assert_return {invoke})"),
                ComponentEnding::Value(Some(value)) => {
                    writeln!(text, "(assert_return {invoke}{})", self.constant(value, ty.result?)?)
                }
                ComponentEnding::Trap(class) => {
                    is_new = renews;
                    writeln!(text, "(assert_trap {invoke} \"{}\")", worded(class))
                }
                _ => return None,
            };
        }
        Some(text)
    }

    /// A value of a type as an argument or a result.
    fn constant(&self, value: &Val, ty: ComponentValType) -> Option<String> {
        let id = match ty {
            ComponentValType::Primitive(_) => return primitive(value),
            ComponentValType::Type(id) => id,
        };
        let all = |values: &[Val], types: &mut dyn Iterator<Item = ComponentValType>| {
            let each = values.iter().zip(types).map(|(value, ty)| self.constant(value, ty));
            Some(each.collect::<Option<Vec<String>>>()?.concat())
        };
        let payload = |value: &Option<Box<Val>>, ty: Option<ComponentValType>| match (value, ty) {
            (Some(value), Some(ty)) => self.constant(value, ty),
            (None, None) => Some(String::new()),
            _ => None,
        };
        use ComponentDefinedType as T;
        Some(match (&self.types[id], value) {
            (T::Primitive(_), value) => return primitive(value),
            (T::List { element, .. } | T::FixedLengthList { element, .. }, Val::List(values)) => {
                format!(" (list.const{})", all(values, &mut std::iter::repeat_n(*element, values.len()))?)
            }
            (T::Tuple(ty), Val::Record(values)) => {
                format!(" (tuple.const{})", all(values, &mut ty.types.iter().copied())?)
            }
            (T::Record(ty), Val::Record(values)) => {
                let mut text = " (record.const".to_owned();
                for ((name, ty), value) in ty.fields.iter().zip(values) {
                    // Values of fields stand without parentheses.
                    let value = self.constant(value, *ty)?;
                    let _ = write!(text, " (field \"{name}\" {})", value.strip_prefix(" (")?.strip_suffix(')')?);
                }
                text + ")"
            }
            (T::Variant(ty), Val::Variant(case, value)) => {
                let (name, case) = ty.cases.get_index(*case as usize)?;
                format!(" (variant.const \"{name}\"{})", payload(value, case.ty)?)
            }
            (T::Enum(names), Val::Variant(case, None)) => {
                format!(" (enum.const \"{}\")", names.iter().nth(*case as usize)?)
            }
            (T::Option { .. }, Val::Variant(0, None)) => " (option.none)".to_owned(),
            (T::Option { ty, .. }, Val::Variant(1, value)) => format!(" (option.some{})", payload(value, Some(*ty))?),
            (T::Result { ok, .. }, Val::Variant(0, value)) => format!(" (result.ok{})", payload(value, *ok)?),
            (T::Result { err, .. }, Val::Variant(1, value)) => format!(" (result.err{})", payload(value, *err)?),
            (T::Flags(names), Val::Flags(bits)) => {
                let set = names.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
                format!(" (flags.const{})", set.map(|(_, name)| format!(" \"{name}\"")).collect::<String>())
            }
            _ => return None,
        })
    }
}

fn primitive(value: &Val) -> Option<String> {
    Some(match value {
        Val::Bool(value) => format!(" (bool.const {value})"),
        Val::S8(value) => format!(" (s8.const {value})"),
        Val::U8(value) => format!(" (u8.const {value})"),
        Val::S16(value) => format!(" (s16.const {value})"),
        Val::U16(value) => format!(" (u16.const {value})"),
        Val::S32(value) => format!(" (s32.const {value})"),
        Val::U32(value) => format!(" (u32.const {value})"),
        Val::S64(value) => format!(" (s64.const {value})"),
        Val::U64(value) => format!(" (u64.const {value})"),
        Val::F32(bits) => format!(" (f32.const {})", float32(*bits)),
        Val::F64(bits) => format!(" (f64.const {})", float64(*bits)),
        Val::Char(value) => format!(" (char.const \"\\u{{{:x}}}\")", u32::from(*value)),
        Val::String(text) => {
            let bytes: String = text.text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
            format!(" (str.const \"{bytes}\")")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::EnvelopeCall;
    use crate::generate_component::{Scenario, Theme};
    use crate::source::case_seed;
    use wattest_spec_tests::adapter::WattestEngine;
    use wattest_spec_tests::{WastEngine, run_script};

    fn passes(text: &str, engine: &dyn WastEngine) -> Result<(), String> {
        let parsed =
            wattest_spec_tests::Script::parse(text).map_err(|error| format!("{}: {}", error.line, error.text))?;
        let report = run_script("script", &parsed, engine, &WattestEngine::everything());
        if report.passed() { Ok(()) } else { Err(format!("{:?}", report.failures)) }
    }

    #[test]
    fn exports_of_instances_can_be_called() {
        let text = "(component $root
            (component $C
                (type $r' (record (field \"a\" u8) (field \"b\" (option char))))
                (export $r \"r\" (type $r'))
                (core module $m (func (export \"f\") (param i32 i32 i32) (result i32) (i32.const 7))
                    (func (export \"trap\") unreachable))
                (core instance $m (instantiate $m))
                (func (export \"f\") (param \"x\" $r) (result u32) (canon lift (core func $m \"f\")))
                (func (export \"trap\") (canon lift (core func $m \"trap\"))))
            (instance $c (instantiate $C))
            (export \"i\" (instance $c)))";
        let mut case = Envelope::new("dfg").module("component", wat::parse_str(text).expect("valid text"));
        let args = vec![crate::envelope::Argument::Text("(ua1,w1=c97,]".to_owned())];
        let call = |func: &str, args| EnvelopeCall { module: 0, func: func.to_owned(), args };
        case.calls = vec![call("i#f", args), call("i#trap", Vec::new()), call("i#trap", Vec::new())];
        let scripts = scripts(&case);
        assert!(scripts[0].contains("(u32.const 7)") && scripts[0].contains("cannot enter"), "{}", scripts[0]);
        assert_eq!(passes(&scripts[0], &WattestEngine::all()[0]), Ok(()), "{}", scripts[0]);
    }

    #[test]
    fn scripts_of_scenarios_pass() {
        let mut written = 0;
        for (theme, property) in Theme::ALL.into_iter().zip(crate::components::PROPERTIES) {
            for index in 0..12 {
                let seed = case_seed(5, index);
                let Ok(scenario) = Scenario::from_seed(theme, seed) else { continue };
                let case = targets::decode_input(property.name, &crate::source::expand(seed));
                let Some(case) = case.filter(|_| scenario.case.host.funcs.is_empty()) else { continue };
                let texts = scripts(&case);
                written += usize::from(!texts.is_empty());
                let own = |text: &String| passes(text, &WattestEngine::all()[0]);
                assert!(
                    texts.is_empty() || texts.iter().any(|text| own(text).is_ok()),
                    "{theme:?} {seed:#x}: {:?}\n{}",
                    own(&texts[0]),
                    texts[0]
                );
                let reference = |text: &String| passes(text, &wattest_differential::DefinitionalEngine);
                assert!(
                    texts.first().is_none_or(|text| reference(text) == Ok(())),
                    "{theme:?} {seed:#x}: {:?}",
                    texts.first().map(reference)
                );
            }
        }
        assert!(written > 10, "{written}");
    }
}
