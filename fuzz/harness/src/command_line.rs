//! A case as command lines of `wattest`: what somebody without this harness types to see it.
//!
//! The modules are those that [`report::write_envelope`](crate::report::write_envelope) writes. One command calls one
//! function, that of the step that disagrees; what a command cannot do (the calls before it, a host that answers) is said in
//! lines that start with `#`.
//!
//! Invariant: every other line is one that the `wattest` command takes; `tests/command_lines.txt` holds one of each kind,
//! which the command's own tests read with its own parser.
//!
//! Does not know: what the command prints.

use crate::configurations::{configuration_of_case, own_rows};
use crate::envelope::{Argument, Envelope, EnvelopeCall};
use crate::report::module_file;
use crate::targets;
use wasmparser::{Parser, Payload, TypeRef};
use wattest_differential::{FuncIdentity, Program, Value, WattestConfig};
use wattest_reference::component::Val;

/// The lines, for modules in `folder`; `step` is the step that disagrees, counted from the instantiation.
pub fn lines(case: &Envelope, folder: &str, step: Option<usize>) -> Vec<String> {
    if let Some(file) = case.get("file").filter(|_| case.target == "wast_configs") {
        let options = crate::regression::options_of(case);
        return vec![format!("# {file} of the suites, behind the line `;; options: {options}`: wattest wast FILE")];
    }
    let rows: Vec<_> = own_rows(case).into_iter().filter_map(|row| configuration_of_case(case, row)).collect();
    if rows.is_empty() || !case.bytes(0).starts_with(b"\0asm") {
        return vec![format!("# a case of {} is no module with calls: no command says it", case.target)];
    }
    let call = Call::of(case, step);
    let mut lines = call.notes.clone();
    for row in rows {
        lines.extend(commands(case, folder, &call, row));
    }
    lines
}

/// One call of a case, as the command writes it.
#[derive(Default)]
struct Call {
    /// The module, by position.
    module: usize,
    /// What stands between the options and the file, and behind it.
    invoke: Vec<String>,
    args: Vec<String>,
    notes: Vec<String>,
}

impl Call {
    fn of(case: &Envelope, step: Option<usize>) -> Call {
        let mut call = Call::default();
        if case.calls.len() > 1 {
            call.notes.push(format!("# one of {} calls: what the others leave behind is missing", case.calls.len()));
        }
        if Parser::is_component(case.bytes(0)) {
            call.component(case);
        } else {
            call.core(case, step);
        }
        call
    }

    fn core(&mut self, case: &Envelope, step: Option<usize>) {
        let is_imported = case.modules.len() == 1 && !imports(case.bytes(0)).is_empty();
        if is_imported && imports(case.bytes(0)).iter().any(|import| !matches!(import, TypeRef::Func(_))) {
            self.notes.push("# the host's memories, tables and globals are missing: see case.txt".to_owned());
        } else if is_imported {
            self.notes.push("# functions of the host trap here".to_owned());
            self.invoke.extend(["-W".to_owned(), "unknown-imports-trap".to_owned()]);
        }
        let Some((name, values, module)) = called(case, step) else { return };
        self.module = module;
        let texts: Option<Vec<String>> = values.iter().map(value_text).collect();
        match texts {
            Some(texts) => self.args = texts,
            None => self.notes.push("# references other than null cannot be given: see case.txt".to_owned()),
        }
        self.invoke.extend(["--invoke".to_owned(), name]);
    }

    fn component(&mut self, case: &Envelope) {
        let Some(own) = targets::component_case(case) else { return };
        if !own.host.funcs.is_empty() {
            self.notes.push("# the host's instance traps here".to_owned());
            self.invoke.extend(["-W".to_owned(), "unknown-imports-trap".to_owned()]);
        }
        let Some(call) = own.calls.last() else { return };
        let args: Option<Vec<String>> = call.args.iter().map(wave).collect();
        if args.is_none() {
            self.notes.push("# arguments whose text needs their type: see case.txt".to_owned());
        }
        let args = args.map_or("…".to_owned(), |args| args.join(", "));
        self.invoke.extend(["--invoke".to_owned(), format!("{}#{}({args})", call.instance, call.func)]);
    }
}

/// The call of a step, or the last one: the export's name, the arguments, the module.
fn called(case: &Envelope, step: Option<usize>) -> Option<(String, Vec<Value>, usize)> {
    let value = |argument: &Argument| if let Argument::Value(value) = argument { Some(*value) } else { None };
    let own = |call: &EnvelopeCall| (call.func.clone(), call.args.iter().filter_map(value).collect(), call.module);
    let is_by_name = case.modules.len() > 1 || case.calls.iter().any(|call| call.func.parse::<u32>().is_err());
    if is_by_name {
        return case.calls.last().map(own);
    }
    let program = Program::new(case.bytes(0).to_vec()).ok()?;
    let calls = targets::plan_calls(case, &program);
    let at = step.map_or(calls.len(), |step| step).saturating_sub(1);
    match calls.get(at).or(calls.last()) {
        Some(call) => {
            let name = program.shape.export_names.get(call.func as usize)?.clone()?;
            Some((name, call.args.clone(), 0))
        }
        // A linked program may call exports that are named by numbers.
        None => case.calls.last().map(own),
    }
}

/// The commands of one configuration: with a way over the artifact, files are compiled first.
fn commands(case: &Envelope, folder: &str, call: &Call, row: &WattestConfig) -> Vec<String> {
    let path = |module: usize, ending: &str| {
        let name = case.modules.get(module).map_or("main", |module| module.name.as_str());
        format!("{folder}{}{ending}", module_file(name))
    };
    let mut options = Vec::new();
    for (key, value) in row.options {
        options.extend(["--opt".to_owned(), format!("{key}={value}")]);
    }
    if !case.is("nans", "arithmetic") {
        options.extend(["--opt".to_owned(), "nan-canonicalization=true".to_owned()]);
    }
    options.extend(["--opt".to_owned(), "relaxed-simd-deterministic=true".to_owned()]);
    options.extend(["--features".to_owned(), "all".to_owned()]);
    let ending = if row.round_trip { ".cwasm" } else { ".wasm" };
    let mut lines = Vec::new();
    if row.round_trip {
        for module in 0..=call.module {
            let files = [path(module, ".wasm"), "-o".to_owned(), path(module, ending)];
            lines.push(line(["wattest", "compile"], &[&options, &files]));
        }
    }
    let mut links = Vec::new();
    if row.round_trip {
        links.push("--allow-precompiled".to_owned());
    }
    for module in 0..call.module {
        links.extend(["--preload".to_owned(), format!("{}={}", case.modules[module].name, path(module, ending))]);
    }
    let file = [path(call.module, ending)];
    lines.push(line(["wattest", "run"], &[&options, &links, &call.invoke, &file, &call.args]));
    lines
}

fn line(command: [&str; 2], words: &[&[String]]) -> String {
    let words = words.iter().copied().flatten().map(|word| quoted(word));
    command.into_iter().map(str::to_owned).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn imports(wasm: &[u8]) -> Vec<TypeRef> {
    let sections = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload {
        Ok(Payload::ImportSection(reader)) => Some(reader.into_imports().filter_map(Result::ok)),
        _ => None,
    });
    sections.flatten().map(|import| import.ty).collect()
}

/// A core value as an argument.
fn value_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::I32(bits) => (*bits as i32).to_string(),
        Value::I64(bits) => (*bits as i64).to_string(),
        Value::F32(bits) => float(f64::from(f32::from_bits(*bits)), bits >> 31 == 1, u64::from(bits & 0x7f_ffff)),
        Value::F64(bits) => float(f64::from_bits(*bits), bits >> 63 == 1, bits & 0xf_ffff_ffff_ffff),
        Value::V128(bits) => format!("{bits:#x}"),
        Value::Func(FuncIdentity::Null) | Value::Extern(None) => "null".to_owned(),
        Value::Func(_) | Value::Extern(Some(_)) => return None,
    })
}

fn float(value: f64, is_negative: bool, payload: u64) -> String {
    match value.is_nan() {
        true => format!("{}nan:{payload:#x}", if is_negative { "-" } else { "" }),
        false => value.to_string(),
    }
}

/// A component value as an argument; nothing where its text needs names that only its type has.
fn wave(value: &Val) -> Option<String> {
    Some(match value {
        Val::Bool(value) => value.to_string(),
        Val::S8(value) => value.to_string(),
        Val::U8(value) => value.to_string(),
        Val::S16(value) => value.to_string(),
        Val::U16(value) => value.to_string(),
        Val::S32(value) => value.to_string(),
        Val::U32(value) => value.to_string(),
        Val::S64(value) => value.to_string(),
        Val::U64(value) => value.to_string(),
        Val::List(values) => format!("[{}]", values.iter().map(wave).collect::<Option<Vec<_>>>()?.join(", ")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the command's own tests read; refreshed with `UPDATE=1`.
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command_lines.txt");

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("valid text")
    }

    fn call(module: usize, func: &str, args: &[Value]) -> EnvelopeCall {
        let args = args.iter().map(|value| Argument::Value(*value)).collect();
        EnvelopeCall { module, func: func.to_owned(), args }
    }

    /// One case in every configuration, and every kind of case.
    fn cases() -> Vec<(Envelope, Option<usize>)> {
        let numbers = "(param i32 i64 f32 f64 v128 externref) (result i32)";
        let text = format!("(module (func (export \"it's f\") {numbers} local.get 0) (func (export \"g\")))");
        let mut core = Envelope::new("diff_core").module("main", module(&text));
        let values = |word: u32, long: u64| {
            let vector = Value::V128(u128::from(long) << 64 | 7);
            [Value::I32(word), Value::I64(long), Value::F32(word), Value::F64(long), vector, Value::Extern(None)]
        };
        core.calls.push(call(0, "0", &values(u32::MAX, u64::MAX)));
        core.calls.push(call(0, "1", &[]));
        core.calls.push(call(0, "0", &values(1 << 31, 0x3ff8_0000_0000_0000)));
        let mut all: Vec<_> =
            (0..wattest_differential::CONFIGS.len()).map(|row| (core.clone().set("subject", row), Some(1))).collect();
        all.push((core.clone().set("subject", 0).set("nans", "arithmetic"), None));
        let host = module("(module (import \"host\" \"f\" (func)) (func (export \"g\") call 0))");
        let mut imports = Envelope::new("diff_core").set("subject", 1).module("main", host);
        imports.calls.push(call(0, "1", &[]));
        all.push((imports, Some(1)));
        let memory = module("(module (import \"host\" \"m\" (memory 1)) (func (export \"g\")))");
        let mut imports = Envelope::new("diff_core").set("subject", 1).module("main", memory);
        imports.calls.push(call(0, "0", &[]));
        all.push((imports, Some(1)));
        let mut linked = Envelope::new("gc_model")
            .module("m 0", module("(module (func (export \"f\")))"))
            .module("m1", module("(module (import \"m 0\" \"f\" (func)) (func (export \"g\") call 0))"));
        linked.calls.push(call(1, "g", &[]));
        let rows = [0, wattest_differential::linked::row(18, false)];
        all.extend(rows.map(|row| (linked.clone().set("subject", row), None)));
        all.push((linked.clone().set("subject", 3), None));
        let pairs = Envelope { target: "self_configs".to_owned(), ..core };
        all.push((pairs.set("rows", "9,14"), Some(2)));
        let pairs = Envelope { target: "self_configs".to_owned(), ..linked };
        all.push((pairs.set("linked", true).set("rows", "3,18"), None));
        let text = "(component (core module $m (func (export \"f\"))) (core instance $m (instantiate $m))
            (func $f (canon lift (core func $m \"f\"))) (instance $i (export \"f\" (func $f))) (export \"i\" (instance $i)))";
        let mut component = Envelope::new("component_abi").set("subject", 1).module("component", module(text));
        component.calls.push(call(0, "i#f", &[]));
        all.push((component.clone(), None));
        component.calls[0].args = vec![Argument::Text("sa-5".to_owned()), Argument::Text("[ud7,]".to_owned())];
        all.push((component, None));
        all.push((Envelope::new("wast_configs").set("subject", 2).set("file", "spec/i32.wast"), None));
        all.push((Envelope::new("graph"), None));
        all
    }

    #[test]
    fn lines_are_those_that_the_command_reads() {
        let mut text = String::new();
        for (case, step) in cases() {
            for line in lines(&case, "case/", step) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(FILE, &text).expect("the file can be written");
        }
        let known = std::fs::read_to_string(FILE).expect("the file can be read");
        assert_eq!(known, text, "refresh {FILE} with UPDATE=1");
    }
}
