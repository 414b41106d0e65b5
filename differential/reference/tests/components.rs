//! The official component suite through the component evaluator: the folder that `WATTEST_SUITES` names.
//!
//! Every directive of every file outside `async`, whose files are listed as not run, for the reason "component async".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wast::component::WastVal;
use wast::lexer::Lexer;
use wast::parser::{ParseBuffer, parse};
use wast::{QuoteWat, QuoteWatTest, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};
use wattest_reference::component::{Component, Evaluator, Kind, Limits, NoHost, Root, Type, Val};
use wattest_reference::{Failure, TrapClass};

type Step<T = ()> = Result<T, String>;
type Answer = Result<(Option<Val>, Option<Type>), Failure>;

/// Wordings of the suite, by how they begin, and the classes they stand for: the same trap has one wording at a boundary
/// with the host and another between components.
const WORDINGS: &[(&str, TrapClass)] = &[
    ("list content out-of-bounds", TrapClass::PointerOutOfBounds),
    ("string content out-of-bounds", TrapClass::PointerOutOfBounds),
    ("string pointer/length out of bounds", TrapClass::PointerOutOfBounds),
    ("realloc return: beyond end of memory", TrapClass::PointerOutOfBounds),
    ("realloc return: result not aligned", TrapClass::UnalignedPointer),
    ("invalid utf-8", TrapClass::InvalidString),
    ("incomplete utf-8 byte sequence", TrapClass::InvalidString),
    ("unknown handle index", TrapClass::UnknownHandle),
    ("handle index", TrapClass::HandleType),
];

fn trap_matches(class: TrapClass, message: &str) -> bool {
    let message = message.strip_prefix("wasm trap: ").unwrap_or(message);
    let row = WORDINGS.iter().find(|(wording, _)| message.starts_with(wording));
    row.map_or(class.text() == message, |(_, expected)| class == *expected)
}

enum Source {
    Binary(Vec<u8>),
    TextError(String),
}

fn source(component: &mut QuoteWat<'_>) -> Source {
    match component {
        QuoteWat::Wat(wat) => encoded(wat),
        other => match other.to_test() {
            Ok(QuoteWatTest::Binary(binary)) => Source::Binary(binary),
            Ok(QuoteWatTest::Text(bytes)) => quoted(&bytes).unwrap_or_else(Source::TextError),
            Err(error) => Source::TextError(error.message()),
        },
    }
}

fn encoded(wat: &mut Wat<'_>) -> Source {
    wat.encode().map_or_else(|error| Source::TextError(error.message()), Source::Binary)
}

fn quoted(bytes: &[u8]) -> Step<Source> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let buffer = ParseBuffer::new(text).map_err(|error| error.message())?;
    Ok(encoded(&mut parse::<Wat<'_>>(&buffer).map_err(|error| error.message())?))
}

struct Session {
    evaluator: Evaluator,
    definitions: BTreeMap<String, Component>,
    last: Option<Component>,
    roots: BTreeMap<String, Root>,
    current: Option<Root>,
}

impl Session {
    fn decode(source: Source) -> Step<Component> {
        match source {
            Source::Binary(binary) => Component::decode(&binary).map_err(|error| error.to_string()),
            Source::TextError(text) => Err(text),
        }
    }

    fn instantiate(&mut self, component: &Component, name: Option<&str>) -> Step {
        self.current = None;
        let root = self.evaluator.instantiate(component).map_err(|failure| failure.to_string())?;
        if let Some(name) = name {
            self.roots.insert(name.to_owned(), root.clone());
        }
        self.current = Some(root);
        Ok(())
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Step {
        match directive {
            WastDirective::Module(mut wat) => {
                let name = wat.name().map(|id| id.name().to_owned());
                let component = Session::decode(source(&mut wat))?;
                self.last = Some(component.clone());
                self.instantiate(&component, name.as_deref())
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let name = wat.name().map(|id| id.name().to_owned());
                let component = Session::decode(source(&mut wat))?;
                if let Some(name) = name {
                    self.definitions.insert(name, component.clone());
                }
                self.last = Some(component);
                Ok(())
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let component = match module {
                    Some(name) => self.definitions.get(name.name()).cloned(),
                    None => self.last.clone(),
                };
                let component = component.ok_or("no such definition")?;
                self.instantiate(&component, instance.map(|id| id.name()))
            }
            WastDirective::AssertInvalid { mut module, .. } | WastDirective::AssertMalformed { mut module, .. } => {
                match Session::decode(source(&mut module)) {
                    Err(error) if error.starts_with("unsupported") => Err(error),
                    Err(_) => Ok(()),
                    Ok(_) => Err("expected a rejection".to_owned()),
                }
            }
            WastDirective::Invoke(invoke) => self.invoke(&invoke)?.map(|_| ()).map_err(|failure| failure.to_string()),
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(exec)? {
                Err(Failure::Trap(trap)) if trap_matches(trap.class, message) => Ok(()),
                other => Err(format!("trap `{message}` expected, got {other:?}")),
            },
            WastDirective::AssertReturn { exec, results, .. } => {
                let (value, ty) = self.execute(exec)?.map_err(|failure| failure.to_string())?;
                match (&results[..], &value, &ty) {
                    ([], None, _) => Ok(()),
                    ([WastRet::Component(expected)], Some(value), Some(ty)) if *value == value_of(expected, ty)? => {
                        Ok(())
                    }
                    _ => Err(format!("{value:?} where {results:?} is expected")),
                }
            }
            _ => Err("unsupported directive".to_owned()),
        }
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Step<Answer> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(mut wat) => {
                let component = Session::decode(encoded(&mut wat))?;
                Ok(self.evaluator.instantiate(&component).map(|_| (None, None)))
            }
            WastExecute::Get { .. } => Err("components have no globals".to_owned()),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Step<Answer> {
        let root = match invoke.module {
            Some(name) => self.roots.get(name.name()),
            None => self.current.as_ref(),
        };
        let func = root.and_then(|root| root.func(&[invoke.name])).ok_or("no such function")?;
        let types = func.ty().params.iter().map(|(_, ty)| ty);
        let args = invoke.args.iter().zip(types).map(|(arg, ty)| match arg {
            WastArg::Component(value) => value_of(value, ty),
            _ => Err("a core value".to_owned()),
        });
        let args = args.collect::<Step<Vec<_>>>()?;
        Ok(self.evaluator.call(&func, &args).map(|value| (value, func.ty().result.clone())))
    }
}

fn mismatch(value: &WastVal<'_>, ty: &Type) -> String {
    format!("{value:?} is no {ty:?}")
}

fn case_of(cases: &[(String, Option<Type>)], name: &str, payload: Option<&WastVal<'_>>) -> Step<Val> {
    let at = cases.iter().position(|(case, _)| case == name).ok_or_else(|| format!("no case {name}"))?;
    let payload = match (payload, &cases[at].1) {
        (Some(payload), Some(ty)) => Some(Box::new(value_of(payload, ty)?)),
        (None, None) => None,
        _ => return Err(format!("payload of {name}")),
    };
    Ok(Val::Variant(at as u32, payload))
}

fn value_of(value: &WastVal<'_>, ty: &Type) -> Step<Val> {
    let all = |values: &[WastVal<'_>], types: &mut dyn Iterator<Item = &Type>| {
        values.iter().zip(types).map(|(value, ty)| value_of(value, ty)).collect::<Step<Vec<_>>>()
    };
    Ok(match (value, ty.kind()) {
        (WastVal::Bool(value), Kind::Bool) => Val::Bool(*value),
        (WastVal::U8(value), Kind::U8) => Val::U8(*value),
        (WastVal::S8(value), Kind::S8) => Val::S8(*value),
        (WastVal::U16(value), Kind::U16) => Val::U16(*value),
        (WastVal::S16(value), Kind::S16) => Val::S16(*value),
        (WastVal::U32(value), Kind::U32) => Val::U32(*value),
        (WastVal::S32(value), Kind::S32) => Val::S32(*value),
        (WastVal::U64(value), Kind::U64) => Val::U64(*value),
        (WastVal::S64(value), Kind::S64) => Val::S64(*value),
        (WastVal::F32(value), Kind::F32) => Val::F32(value.bits),
        (WastVal::F64(value), Kind::F64) => Val::F64(value.bits),
        (WastVal::Char(value), Kind::Char) => Val::Char(*value),
        (WastVal::String(text), Kind::String) => Val::String((*text).into()),
        (WastVal::List(values), Kind::List(element)) => {
            Val::List(all(values, &mut std::iter::repeat_n(element, values.len()))?)
        }
        (WastVal::List(values), Kind::FixedList(element, length)) if values.len() == *length as usize => {
            Val::List(all(values, &mut std::iter::repeat_n(element, values.len()))?)
        }
        (WastVal::Tuple(values), Kind::Record(fields)) if values.len() == fields.len() => {
            Val::Record(all(values, &mut fields.iter().map(|(_, ty)| ty))?)
        }
        (WastVal::Record(values), Kind::Record(fields)) if values.len() == fields.len() => {
            let named = values.iter().zip(fields).map(|((name, value), (field, ty))| match name == field {
                true => value_of(value, ty),
                false => Err(format!("field {name} where {field} is expected")),
            });
            Val::Record(named.collect::<Step<_>>()?)
        }
        (WastVal::Variant(name, payload), Kind::Variant(cases)) => case_of(cases, name, payload.as_deref())?,
        (WastVal::Enum(name), Kind::Variant(cases)) => case_of(cases, name, None)?,
        (WastVal::Option(payload), Kind::Variant(cases)) => {
            case_of(cases, if payload.is_some() { "some" } else { "none" }, payload.as_deref())?
        }
        (WastVal::Result(Ok(payload)), Kind::Variant(cases)) => case_of(cases, "ok", payload.as_deref())?,
        (WastVal::Result(Err(payload)), Kind::Variant(cases)) => case_of(cases, "error", payload.as_deref())?,
        (WastVal::Flags(names), Kind::Flags(labels)) => {
            let bit = |name: &&str| labels.iter().position(|label| label == name).map(|at| 1u32 << at);
            let bits = names.iter().map(bit).sum::<Option<u32>>();
            Val::Flags(bits.ok_or_else(|| mismatch(value, ty))?)
        }
        _ => return Err(mismatch(value, ty)),
    })
}

fn run_file(text: &str) -> (usize, Vec<String>) {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).unwrap();
    let script = match parse::<Wast<'_>>(&buffer) {
        Ok(script) => script,
        Err(error) => return (0, vec![format!("0: {error}")]),
    };
    let evaluator = Evaluator::new(Limits::default(), Box::new(NoHost));
    let (definitions, roots) = (BTreeMap::new(), BTreeMap::new());
    let mut session = Session { evaluator, definitions, last: None, roots, current: None };
    let (mut passed, mut failures) = (0, Vec::new());
    for directive in script.directives {
        let line = directive.span().linecol_in(text).0 + 1;
        match session.directive(directive) {
            Ok(()) => passed += 1,
            Err(reason) => failures.push(format!("{line}: {reason}")),
        }
    }
    (passed, failures)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "wast") {
            files.push(path);
        }
    }
}

#[test]
fn the_component_suite_passes() {
    let Some(suites) = std::env::var_os("WATTEST_SUITES") else {
        println!("component-model: skipped: no suite (WATTEST_SUITES is not set)");
        return;
    };
    let root = Path::new(&suites).join("component-model/test");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let (mut run, mut directives, mut waiting, mut failures) = (0, 0, Vec::new(), Vec::new());
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        if name.starts_with("async/") {
            waiting.push(name);
            continue;
        }
        let (passed, failed) = run_file(&std::fs::read_to_string(&path).unwrap());
        run += 1;
        directives += passed;
        failures.extend(failed.into_iter().map(|failure| format!("{name}:{failure}")));
    }
    println!("component-model: {run} files, {directives} directives; component async: {}", waiting.join(" "));
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(run >= 29, "{run} files");
}
