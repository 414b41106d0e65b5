//! `component_abi`, `hostile_abi`, `resources` and `dfg` as targets: components against the reference's evaluator.
//!
//! Invariant: a stored scenario is the binary and its calls; values are written so that they read back.
//!
//! Does not know: the canonical ABI.

use super::{Outcome, Target};
use crate::components::{self, ComponentChecker, Property};
use crate::envelope::{Argument, Envelope, EnvelopeCall};
use crate::generate_component::Scenario;
use crate::generate_component::shape::Shapes;
use crate::vote::{Suspect, Vote};
use std::fmt::Write;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentItem};
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wattest_differential::components::{ComponentCall, ComponentCase, HostAction, HostScript};
use wattest_reference::component::{Form, Text, Val};

struct Components {
    property: &'static Property,
    checker: ComponentChecker,
}

/// The target of that name, which must be one of [`components::PROPERTIES`].
pub(super) fn target(name: &str) -> Box<dyn Target> {
    let property = Property::named(name).expect("the registry names properties that exist");
    Box::new(Components { property, checker: ComponentChecker::new() })
}

impl Components {
    fn outcome(&self, found: components::Outcome) -> Outcome {
        let mut outcome = Outcome {
            checks: found.checks,
            reference_checks: found.record.len() as u64,
            useful: found.useful(),
            shapes: found.shapes.0.iter().map(|shape| shape.text().to_owned()).collect(),
            ..Outcome::default()
        };
        if found.poisoned() {
            outcome.poison.push("reference: budget".to_owned());
        }
        if let Some((subject, what)) = found.disagreement {
            let disagreement = crate::diff_core::Disagreement { subject, what, step: None };
            // Nobody votes: the reference is the specification's text, and went first.
            let vote = Vote { suspect: Suspect::Nobody, reference: "is the other side".to_owned() };
            outcome.disagreement = Some((disagreement, vote));
        }
        outcome
    }
}

impl Target for Components {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let scenario = self.property.scenario_of(bytes).ok()?;
        let mut case = Envelope::new(self.property.name)
            // The row itself: it means the same when there are more.
            .set("subject", usize::from(scenario.subject) % components::row_count())
            .set("renews", scenario.case.renews)
            .module("component", scenario.case.wasm.clone());
        case = with_host(case, &scenario.case.host)?;
        for call in &scenario.case.calls {
            let args = call.args.iter().map(|value| print(value).map(Argument::Text)).collect::<Option<Vec<_>>>()?;
            case.calls.push(EnvelopeCall { module: 0, func: format!("{}#{}", call.instance, call.func), args });
        }
        Some(case)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Some(own) = case_of(case).filter(is_linked) else { return Outcome::default() };
        let subject = case.number("subject", 0) as u8;
        let scenario = Scenario { subject, text: String::new(), case: own, shapes: Shapes::default() };
        let found = self.checker.check(self.property, &scenario);
        self.outcome(found)
    }

    fn check(&mut self, bytes: &[u8]) -> Option<Outcome> {
        if let Some(case) = Envelope::parse(bytes) {
            return Some(self.run(&case));
        }
        let found = self.checker.check_bytes(self.property, bytes);
        Some(self.outcome(found))
    }
}

/// The component of an envelope, its host and its calls; calls that cannot be read are left out.
pub(super) fn case_of(case: &Envelope) -> Option<ComponentCase> {
    let mut calls = Vec::new();
    for call in &case.calls {
        let Some((instance, func)) = call.func.split_once('#') else { continue };
        let value = |argument: &Argument| if let Argument::Text(text) = argument { parse(text) } else { None };
        let Some(args) = call.args.iter().map(value).collect::<Option<Vec<_>>>() else { continue };
        calls.push(ComponentCall { instance: instance.to_owned(), func: func.to_owned(), args });
    }
    let host = host_of(case)?;
    Some(ComponentCase { wasm: case.bytes(0).to_vec(), host, calls, renews: case.is("renews", "true") })
}

/// Whether the host has all that the component imports, and the component all that is called: a fuzzer changes settings, and
/// those say what the host is, and names in calls.
fn is_linked(own: &ComponentCase) -> bool {
    let Ok(types) = Validator::new_with_features(WasmFeatures::all()).validate_all(&own.wasm) else { return false };
    let (types, mut depth) = (types.as_ref(), 0);
    for payload in Parser::new(0).parse_all(&own.wasm).filter_map(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(reader) if depth == 0 => {
                let mut imports = reader.into_iter().filter_map(Result::ok);
                if !imports.all(|import| has_instance(types, &own.host, import.name.name)) {
                    return false;
                }
            }
            _ => {}
        }
    }
    own.calls.iter().all(|call| has_func(types, call))
}

/// Whether what a call names is exported, with so many parameters.
fn has_func(types: TypesRef<'_>, call: &ComponentCall) -> bool {
    let Some(ComponentEntityType::Instance(id)) = types.component_item_for_export(&call.instance).map(|item| item.ty)
    else {
        return false;
    };
    let item = types[id].exports.get(call.func.as_str());
    let Some(ComponentEntityType::Func(func)) = item.map(|item| item.ty) else { return false };
    types[func].params.len() == call.args.len()
}

/// Whether the host is the instance that is imported under this name.
fn has_instance(types: TypesRef<'_>, host: &HostScript, name: &str) -> bool {
    let Some(ComponentEntityType::Instance(id)) = types.component_item_for_import(name).map(|item| item.ty) else {
        return false;
    };
    let has = |(name, item): (&String, &ComponentItem)| match item.ty {
        ComponentEntityType::Func(_) => host.funcs.iter().any(|(func, _)| func == name),
        ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => host.resources.contains(name),
        _ => true,
    };
    host.instance == name && types[id].exports.iter().all(has)
}

/// The case with the host's script among its settings; `None` where a value of it has no text.
fn with_host(mut case: Envelope, host: &HostScript) -> Option<Envelope> {
    case = case.set("host", &host.instance).set("host-resources", host.resources.join(" "));
    for (number, (name, action)) in host.funcs.iter().enumerate() {
        let action = match action {
            HostAction::Echo => "echo".to_owned(),
            HostAction::Answer(None) => "answer".to_owned(),
            HostAction::Answer(Some(value)) => format!("answer {}", print(value)?),
            HostAction::Fail => "fail".to_owned(),
            HostAction::Make(resource) => format!("make {resource}"),
            HostAction::Sum => "sum".to_owned(),
            HostAction::Next(resource) => format!("next {resource}"),
        };
        case = case.set(&format!("host-func-{number:03}"), format!("{name}\n{action}"));
    }
    Some(case)
}

/// The host's script of a case.
fn host_of(case: &Envelope) -> Option<HostScript> {
    let resources = case.get("host-resources").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let instance = case.get("host").unwrap_or_default().to_owned();
    let mut host = HostScript { instance, resources, funcs: Vec::new() };
    for (_, text) in case.settings.iter().filter(|(name, _)| name.starts_with("host-func-")) {
        let (name, action) = text.split_once('\n')?;
        let (verb, operand) = action.split_once(' ').unwrap_or((action, ""));
        let resource = || operand.parse().ok().filter(|resource| *resource < host.resources.len());
        let action = match verb {
            "echo" => HostAction::Echo,
            "answer" if operand.is_empty() => HostAction::Answer(None),
            "answer" => HostAction::Answer(Some(parse(operand)?)),
            "fail" => HostAction::Fail,
            "make" => HostAction::Make(resource()?),
            "sum" => HostAction::Sum,
            "next" => HostAction::Next(resource()?),
            _ => return None,
        };
        host.funcs.push((name.to_owned(), action));
    }
    Some(host)
}

/// A value as a word; `None` for handles, which no host call can make up.
fn print(value: &Val) -> Option<String> {
    let mut out = String::new();
    write_value(value, &mut out)?;
    Some(out)
}

fn write_value(value: &Val, out: &mut String) -> Option<()> {
    match value {
        Val::Bool(value) => write!(out, "b{}", u8::from(*value)),
        Val::S8(value) => write!(out, "sa{value}"),
        Val::U8(value) => write!(out, "ua{value}"),
        Val::S16(value) => write!(out, "sb{value}"),
        Val::U16(value) => write!(out, "ub{value}"),
        Val::S32(value) => write!(out, "sc{value}"),
        Val::U32(value) => write!(out, "uc{value}"),
        Val::S64(value) => write!(out, "sd{value}"),
        Val::U64(value) => write!(out, "ud{value}"),
        Val::F32(bits) => write!(out, "fc{bits}"),
        Val::F64(bits) => write!(out, "fd{bits}"),
        Val::Char(value) => write!(out, "c{}", u32::from(*value)),
        Val::Flags(bits) => write!(out, "g{bits}"),
        Val::String(text) => {
            let form = match text.form {
                Form::Utf8 => 'a',
                Form::Utf16 => 'b',
                Form::Latin1 => 'c',
                Form::TaggedUtf16 => 'd',
            };
            let hex: String = text.text.bytes().map(|byte| format!("{byte:02x}")).collect();
            write!(out, "t{form}{hex}.")
        }
        Val::List(values) | Val::Record(values) => {
            out.push(if matches!(value, Val::List(_)) { '[' } else { '(' });
            for value in values {
                write_value(value, out)?;
                out.push(',');
            }
            write!(out, "]")
        }
        Val::Variant(case, None) => write!(out, "v{case}"),
        Val::Variant(case, Some(payload)) => {
            write!(out, "w{case}=").ok()?;
            return write_value(payload, out);
        }
        Val::Own(_) | Val::Borrow(_) => return None,
    }
    .ok()
}

/// Simpler forms of a written value, the simplest first.
pub(super) fn simpler(text: &str) -> Vec<String> {
    parse(text).iter().flat_map(simpler_values).filter_map(|value| print(&value)).filter(|one| one != text).collect()
}

fn simpler_values(value: &Val) -> Vec<Val> {
    let each = |values: &[Val], whole: &dyn Fn(Vec<Val>) -> Val| -> Vec<Val> {
        let change = |at: usize| {
            simpler_values(&values[at]).into_iter().map(move |simple| {
                let mut changed = values.to_vec();
                changed[at] = simple;
                changed
            })
        };
        (0..values.len()).flat_map(change).map(whole).collect()
    };
    let zero = |zero: Val| if zero == *value { Vec::new() } else { vec![zero] };
    match value {
        Val::Bool(_) => zero(Val::Bool(false)),
        Val::S8(_) => zero(Val::S8(0)),
        Val::U8(_) => zero(Val::U8(0)),
        Val::S16(_) => zero(Val::S16(0)),
        Val::U16(_) => zero(Val::U16(0)),
        Val::S32(_) => zero(Val::S32(0)),
        Val::U32(_) => zero(Val::U32(0)),
        Val::S64(_) => zero(Val::S64(0)),
        Val::U64(_) => zero(Val::U64(0)),
        Val::F32(_) => zero(Val::F32(0)),
        Val::F64(_) => zero(Val::F64(0)),
        Val::Char(_) => zero(Val::Char('a')),
        Val::Flags(_) => zero(Val::Flags(0)),
        Val::String(text) => {
            let count = text.text.chars().count();
            let lengths = [0, 1, count / 2, count.saturating_sub(1)].into_iter().filter(|length| *length < count);
            let prefix = |length| Text { text: text.text.chars().take(length).collect(), form: text.form };
            lengths.map(|length| Val::String(prefix(length))).collect()
        }
        Val::List(values) => {
            let lengths = [0, 1, values.len() / 2, values.len().saturating_sub(1)];
            let lengths = lengths.into_iter().filter(|length| *length < values.len());
            let shorter = lengths.map(|length| Val::List(values[..length].to_vec()));
            shorter.chain(each(values, &Val::List)).collect()
        }
        Val::Record(values) => each(values, &Val::Record),
        Val::Variant(case, Some(payload)) => {
            let simple = simpler_values(payload).into_iter();
            simple.map(|payload| Val::Variant(*case, Some(Box::new(payload)))).collect()
        }
        Val::Variant(_, None) | Val::Own(_) | Val::Borrow(_) => Vec::new(),
    }
}

/// Nesting of a written value.
const DEPTH_MAX: u32 = 64;

fn parse(text: &str) -> Option<Val> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn letter(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn digits<T: std::str::FromStr>(&mut self) -> Option<T> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }

    fn value(&mut self, depth: u32) -> Option<Val> {
        if depth > DEPTH_MAX {
            return None;
        }
        Some(match self.letter()? {
            'b' => Val::Bool(self.digits::<u8>()? != 0),
            's' => match self.letter()? {
                'a' => Val::S8(self.digits()?),
                'b' => Val::S16(self.digits()?),
                'c' => Val::S32(self.digits()?),
                'd' => Val::S64(self.digits()?),
                _ => return None,
            },
            'u' => match self.letter()? {
                'a' => Val::U8(self.digits()?),
                'b' => Val::U16(self.digits()?),
                'c' => Val::U32(self.digits()?),
                'd' => Val::U64(self.digits()?),
                _ => return None,
            },
            'f' => match self.letter()? {
                'c' => Val::F32(self.digits()?),
                'd' => Val::F64(self.digits()?),
                _ => return None,
            },
            'c' => Val::Char(char::from_u32(self.digits()?)?),
            'g' => Val::Flags(self.digits()?),
            't' => Val::String(self.string()?),
            '[' => Val::List(self.values(depth)?),
            '(' => Val::Record(self.values(depth)?),
            'v' => Val::Variant(self.digits()?, None),
            'w' => {
                let case = self.digits()?;
                self.letter().filter(|letter| *letter == '=')?;
                Val::Variant(case, Some(Box::new(self.value(depth + 1)?)))
            }
            _ => return None,
        })
    }

    fn values(&mut self, depth: u32) -> Option<Vec<Val>> {
        let mut values = Vec::new();
        while !self.rest.starts_with(']') {
            values.push(self.value(depth + 1)?);
            self.letter().filter(|letter| *letter == ',')?;
        }
        self.letter()?;
        Some(values)
    }

    fn string(&mut self) -> Option<Text> {
        let form = match self.letter()? {
            'a' => Form::Utf8,
            'b' => Form::Utf16,
            'c' => Form::Latin1,
            'd' => Form::TaggedUtf16,
            _ => return None,
        };
        let (hex, rest) = self.rest.split_once('.')?;
        self.rest = rest;
        let byte = |at: usize| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let bytes = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
        Some(Text { text: String::from_utf8(bytes).ok()?, form })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back() {
        let check = |value: Val| assert_eq!(print(&value).as_deref().and_then(parse), Some(value));
        check(Val::List(vec![Val::S8(-128), Val::U64(u64::MAX)]));
        check(Val::Record(vec![]));
        check(Val::Variant(3, Some(Box::new(Val::Variant(0, None)))));
        check(Val::String(Text { text: "a\u{1f600},]".to_owned(), form: Form::TaggedUtf16 }));
        check(Val::Record(vec![Val::Char('z'), Val::Flags(5), Val::Bool(true), Val::F32(1), Val::F64(2)]));
    }

    #[test]
    fn a_host_has_what_is_imported() {
        for property in components::PROPERTIES {
            for index in 0..20 {
                let bytes = crate::source::expand(crate::source::case_seed(3, index));
                let Some(case) = target(property.name).generate(&bytes) else { continue };
                let mut own = case_of(&case).expect("a case");
                assert!(is_linked(&own), "{} {index}", property.name);
                if own.host.funcs.pop().is_some() {
                    assert!(!is_linked(&own), "{} {index}", property.name);
                }
            }
        }
    }
}
