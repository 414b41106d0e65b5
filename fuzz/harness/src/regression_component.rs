//! A failing case of components as a script, with the values that the reference's evaluator gives.
//!
//! Scripts call exports of the component itself: it becomes the only child of one that exports what is called. A component
//! that takes a host's functions, and values whose types have names, are beyond this; then there is no script.
//!
//! Invariant: every assertion is the reference's value, never the runtime's.
//!
//! Does not know: whether the runtime still fails.

use crate::envelope::Envelope;
use crate::panics;
use crate::targets;
use std::collections::BTreeMap;
use std::fmt::Write;
use wattest_differential::components::{ComponentEnding, ComponentEngine, ReferenceComponents};
use wattest_reference::component::Val;

/// The script's text behind its header.
pub(crate) fn script(case: &Envelope) -> Option<String> {
    let own = targets::component_case(case)?;
    if !own.host.funcs.is_empty() || !own.host.resources.is_empty() {
        return None;
    }
    let record = panics::record(|| ReferenceComponents.run(&own)).ok()?.ok()?;
    let mut endings = record.into_iter();
    if !matches!(endings.next()?, ComponentEnding::Value(_)) {
        return None;
    }
    let (mut fields, mut checks) = (String::new(), String::new());
    let mut names: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for call in &own.calls {
        let next = names.len();
        let number = *names.entry((&call.instance, &call.func)).or_insert(next);
        if number == next {
            let (instance, func) = (&call.instance, &call.func);
            // Writing to a string does not fail.
            let _ = writeln!(fields, "  (alias export $c \"{instance}\" (instance $i{number}))");
            let _ = writeln!(fields, "  (alias export $i{number} \"{func}\" (func $f{number}))");
            let _ = writeln!(fields, "  (export \"f{number}\" (func $f{number}))");
        }
        let arguments = call.args.iter().map(constant).collect::<Option<Vec<_>>>()?.concat();
        let invoke = format!("(invoke \"f{number}\"{arguments})");
        let _ = match endings.next()? {
            ComponentEnding::Value(None) => writeln!(checks, "(assert_return {invoke})"),
            ComponentEnding::Value(Some(value)) => writeln!(checks, "(assert_return {invoke}{})", constant(&value)?),
            ComponentEnding::Trap(class) => {
                let _ = writeln!(checks, "(assert_trap {invoke} \"{}\")", class.text());
                // What comes after a trap depends on who renews the instance.
                break;
            }
            _ => return None,
        };
    }
    let printed = wasmprinter::print_bytes(case.bytes(0)).ok()?;
    let rest = printed.trim().strip_prefix("(component")?.trim_start();
    let rest = if rest.starts_with('$') { rest.split_once(|c: char| c.is_whitespace() || c == '(')?.1 } else { rest };
    Some(format!("(component\n(component $C {rest}\n  (instance $c (instantiate $C))\n{fields})\n{checks}"))
}

/// A value as an argument or a result, where its type needs no names.
fn constant(value: &Val) -> Option<String> {
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
        Val::Char(value) => format!(" (char.const \"\\u{{{:x}}}\")", u32::from(*value)),
        Val::String(text) => {
            let bytes: String = text.text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
            format!(" (str.const \"{bytes}\")")
        }
        Val::List(values) => {
            let values = values.iter().map(constant).collect::<Option<Vec<_>>>()?.concat();
            format!(" (list.const{values})")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::EnvelopeCall;
    use wattest_spec_tests::adapter::WattestEngine;
    use wattest_spec_tests::{Script, run_script};

    #[test]
    fn exports_of_instances_can_be_called() {
        let text = "(component $root
            (component $C
                (core module $m (func (export \"f\") (result i32) (i32.const 7)))
                (core instance $m (instantiate $m))
                (func (export \"f\") (result u32) (canon lift (core func $m \"f\"))))
            (instance $c (instantiate $C))
            (export \"i\" (instance $c)))";
        let mut case = Envelope::new("dfg").module("component", wat::parse_str(text).expect("valid text"));
        case.calls.push(EnvelopeCall { module: 0, func: "i#f".to_owned(), args: Vec::new() });
        let script = script(&case).expect("a script");
        let parsed = Script::parse(&script).unwrap_or_else(|error| panic!("{}: {}\n{script}", error.line, error.text));
        let report = run_script("script", &parsed, &WattestEngine::all()[0], &WattestEngine::everything());
        assert!(report.passed() && script.contains("(u32.const 7)"), "{:?}\n{script}", report.failures);
    }
}
