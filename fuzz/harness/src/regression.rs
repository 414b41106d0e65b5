//! A failing case as a regression: a `.wast` file with the values that the majority gives.
//!
//! The definitional interpreter runs the case; what it returns or traps with becomes the assertions. The header names the
//! options of the configuration that failed, which the runner of scripts honours
//! (`wattest_spec_tests::adapter::configuration_of`).
//!
//! Invariant: every assertion is the reference's value, never the runtime's.
//!
//! Does not know: whether the runtime still fails.

use crate::configurations::{self, configuration_of_case};
use crate::envelope::{Argument, Envelope};
use crate::pieces::split;
use crate::{regression_component, targets};
use std::fmt::Write;
use wasmparser::{Parser, Payload};
use wattest_differential::linked::{HOST, LinkedEnding, LinkedEngine, LinkedProgram, LinkedRun, Observed};
use wattest_differential::{
    Call, DefinitionalEngine, Ending, Engine, Form, FuncIdentity, NanRule, Plan, Program, State, TrapClass, Value,
    ValueType,
};

/// A script.
#[derive(Clone, Debug)]
pub struct Regression {
    /// The `.wast` text.
    pub text: String,
    /// Operations in all bodies.
    pub operations: usize,
}

/// The options of a case's configuration, as the header of a script has them.
pub fn options_of(case: &Envelope) -> String {
    let row = configurations::own_rows(case).first().and_then(|row| configuration_of_case(case, *row));
    row.map(|row| configurations::words(row).join(" ")).unwrap_or_default()
}

/// Options that make results what the harness compares, where they may show in a script.
fn fixed_options(case: &Envelope, script: &str) -> Vec<&'static str> {
    let mut words = Vec::new();
    if script.contains("nan:") && !case.is("nans", "arithmetic") {
        words.push("nan-canonicalization=true");
    }
    if script.contains(".relaxed_") {
        words.push("relaxed-simd-deterministic=true");
    }
    words
}

/// Operations in the bodies of all modules.
pub fn operations(case: &Envelope) -> usize {
    case.modules.iter().map(|module| operations_of(&module.bytes)).sum()
}

/// Operations in the bodies of a module, or of all modules in a component.
pub(crate) fn operations_of(wasm: &[u8]) -> usize {
    split(wasm).unwrap_or_default().iter().map(|body| body.operations.len()).sum()
}

/// The case as scripts, of which the first that passes without the failure is the one; none where a script cannot say it:
/// host functions that answer, values of no text form, steps that the reference does not finish.
pub fn scripts(case: &Envelope, what: &str) -> Vec<Regression> {
    let mut body = String::new();
    let written = match case.target.as_str() {
        "gc_model" | "eh_model" | "diff_linked" => linked(case, what, &mut body),
        "self_configs" if case.is("linked", "true") => linked(case, what, &mut body),
        "diff_core" | "op_matrix" | "self_configs" | "emi" | "bounds" | "tables_bulk" => core(case, what, &mut body),
        "calls_abi" => calls(case, &mut body),
        "component_abi" | "hostile_abi" | "resources" | "dfg" => {
            let bodies = regression_component::scripts(case);
            return bodies.into_iter().map(|body| with_header(case, what, &body)).collect();
        }
        _ => None,
    };
    written.map(|()| with_header(case, what, &body)).into_iter().collect()
}

pub(crate) fn with_header(case: &Envelope, what: &str, body: &str) -> Regression {
    let mut text = format!(";; {}: {}\n", case.target, what.replace('\n', " "));
    let options = options_of(case);
    let options: Vec<&str> = options.split_whitespace().chain(fixed_options(case, body)).collect();
    if !options.is_empty() {
        // Writing to a string does not fail.
        let _ = writeln!(text, ";; options: {}", options.join(" "));
    }
    text.push_str(body);
    Regression { text, operations: operations(case) }
}

fn imports_something(wasm: &[u8]) -> bool {
    Parser::new(0).parse_all(wasm).any(|payload| match payload {
        Ok(Payload::ImportSection(reader)) => reader.count() > 0,
        _ => false,
    })
}

fn imports_from_host(wasm: &[u8]) -> bool {
    Parser::new(0).parse_all(wasm).any(|payload| match payload {
        Ok(Payload::ImportSection(reader)) => {
            reader.into_imports().filter_map(Result::ok).any(|import| import.module == HOST)
        }
        _ => false,
    })
}

fn print_module(wasm: &[u8], text: &mut String) -> Option<()> {
    text.push_str(&wasmprinter::print_bytes(wasm).ok()?);
    text.push('\n');
    Some(())
}

fn core(case: &Envelope, what: &str, text: &mut String) -> Option<()> {
    let program = Program::new(case.bytes(0).to_vec()).ok()?;
    if imports_something(&program.wasm) {
        return None;
    }
    let plan = Plan {
        calls: targets::plan_calls(case, &program),
        form: Form::Original,
        nans: NanRule::Exact,
        acting_host: false,
        host_seed: 0,
        steps_max: 1_000_000,
        capture: None,
        state_every: 1,
    };
    let run = Engine::run(&mut DefinitionalEngine, &program, &plan).ok()?;
    let mut probes = Probes::of(&program, &run, what);
    let invokes: Option<Vec<String>> =
        plan.calls.iter().enumerate().map(|(at, call)| probes.invoke(&program, at, call)).collect();
    let invokes = invokes?;
    let mut steps = run.steps.iter();
    match &steps.next()?.ending {
        Ending::Trap(class) => {
            text.push_str("(assert_trap\n");
            print_module(&program.wasm, text)?;
            let _ = writeln!(text, "  \"{}\")", trap_text(*class));
            return Some(());
        }
        Ending::Values(_) => {
            print_module(&program.wasm, text)?;
            let end = text.rfind(')')?;
            text.insert_str(end, &probes.fields);
        }
    }
    for (invoke, step) in invokes.iter().zip(steps) {
        match &step.ending {
            Ending::Trap(TrapClass::Host) => return None,
            Ending::Trap(class) => {
                let _ = writeln!(text, "(assert_trap {invoke} \"{}\")", trap_text(*class));
            }
            Ending::Values(values) => {
                let values = values.iter().map(expectation).collect::<Option<Vec<_>>>()?;
                let _ = writeln!(text, "(assert_return {invoke}{})", values.concat());
            }
        }
    }
    text.push_str(&probes.checks);
    Some(())
}

/// Exports by which a script looks at what no call returns, and what it has to see there in the end.
#[derive(Default)]
struct Probes {
    fields: String,
    checks: String,
}

/// Elements of a table that are looked at.
const ELEMENTS_MAX: usize = 64;

impl Probes {
    /// Every global and table element, the size of every memory, and the byte that `what` names.
    fn of(program: &Program, run: &wattest_differential::Run, what: &str) -> Probes {
        let mut probes = Probes::default();
        let Some(last) = run.steps.last() else { return probes };
        // Only what the message is about: a script is read by people.
        if what.contains(": global ") {
            for (index, value) in last.state.globals.iter().enumerate() {
                let Some(value) = expectation(value) else { continue };
                probes.field(format!("(export \"global {index}\" (global {index}))"));
                probes.check(format!("(assert_return (get \"global {index}\"){value})"));
            }
        }
        if what.contains(": table ") {
            for (index, elements) in last.state.tables.iter().enumerate() {
                probes.table(program, index, elements);
            }
        }
        for (index, (memory, shape)) in last.state.memories.iter().zip(&program.shape.memories).enumerate() {
            let ty = if shape.memory64 { "i64" } else { "i32" };
            if what.contains(": memory ") {
                probes.field(format!(
                    "(func (export \"size {index}\") (result {ty}) (memory.size {index}))\n  \
                    (func (export \"byte {index}\") (param {ty}) (result i32) (i32.load8_u {index} (local.get 0)))"
                ));
                let pages = memory.bytes >> shape.page_bytes_log2;
                probes.check(format!("(assert_return (invoke \"size {index}\") ({ty}.const {pages}))"));
            }
            if let Some((offset, expected)) = byte_named(what, index) {
                probes.check(format!(
                    "(assert_return (invoke \"byte {index}\" ({ty}.const {offset:#x})) (i32.const {expected:#x}))"
                ));
            }
        }
        probes.segments(program, &last.state, what);
        probes
    }

    /// Whether segments are empty: using them is the last that a script does.
    fn segments(&mut self, program: &Program, state: &State, what: &str) {
        let ty = |is_wide: bool| if is_wide { "i64" } else { "i32" };
        let mut probe = |name: String, operation: String, is_empty: bool, trap: &str| {
            self.field(format!("(func (export \"{name}\") ({operation} (i32.const 0) (i32.const 1)))"));
            self.check(match is_empty {
                true => format!("(assert_trap (invoke \"{name}\") \"{trap}\")"),
                false => format!("(assert_return (invoke \"{name}\"))"),
            });
        };
        if let Some(memory) = program.shape.memories.first().filter(|_| what.contains(": data segment ")) {
            for (index, is_empty) in state.empty_data.iter().enumerate() {
                let Some(is_empty) = is_empty else { continue };
                let operation = format!("memory.init {index} ({}.const 0)", ty(memory.memory64));
                probe(format!("data {index}"), operation, *is_empty, trap_text(TrapClass::MemoryOutOfBounds));
            }
        }
        if !what.contains(": element segment ") {
            return;
        }
        for (index, is_empty) in state.empty_elements.iter().enumerate() {
            let element = program.shape.element_segments.get(index).copied().flatten();
            let table = program.shape.tables.iter().position(|table| Some(table.element) == element);
            let (Some(is_empty), Some(table)) = (is_empty, table) else { continue };
            let operation = format!("table.init {table} {index} ({}.const 0)", ty(program.shape.tables[table].table64));
            probe(format!("elements {index}"), operation, *is_empty, trap_text(TrapClass::TableOutOfBounds));
        }
    }

    fn table(&mut self, program: &Program, index: usize, elements: &[Value]) {
        let Some(shape) = program.shape.tables.get(index) else { return };
        let ty = if shape.table64 { "i64" } else { "i32" };
        let element = type_text(shape.element);
        self.field(format!(
            "(func (export \"element {index}\") (param {ty}) (result {element}) (table.get {index} (local.get 0)))"
        ));
        for (at, value) in elements.iter().take(ELEMENTS_MAX).enumerate() {
            let Some(value) = expectation(value) else { continue };
            self.check(format!("(assert_return (invoke \"element {index}\" ({ty}.const {at})){value})"));
        }
    }

    /// A call. Scripts cannot give functions as arguments: then a function of the module does.
    fn invoke(&mut self, program: &Program, at: usize, call: &Call) -> Option<String> {
        let name = program.shape.export_names[call.func as usize].as_ref()?;
        if let Some(invoke) = invoke(name, &call.args) {
            return Some(invoke);
        }
        let signature = program.shape.functions.get(call.func as usize)?;
        let (mut params, mut operands, mut rest) = (String::new(), String::new(), Vec::new());
        for (arg, ty) in call.args.iter().zip(&signature.params) {
            // Writing to a string does not fail.
            let _ = match arg {
                Value::Func(FuncIdentity::Index(index)) => {
                    self.field(format!("(elem declare func {index})"));
                    write!(operands, " (ref.func {index})")
                }
                arg => {
                    let _ = write!(params, " (param {})", type_text(*ty));
                    rest.push(*arg);
                    write!(operands, " (local.get {})", rest.len() - 1)
                }
            };
        }
        let results: String = signature.results.iter().map(|ty| format!(" (result {})", type_text(*ty))).collect();
        self.field(format!("(func (export \"call {at}\"){params}{results} (call {}{operands}))", call.func));
        invoke(&format!("call {at}"), &rest)
    }

    fn field(&mut self, text: String) {
        self.fields.push_str("  ");
        self.fields.push_str(&text);
        self.fields.push('\n');
    }

    fn check(&mut self, text: String) {
        self.checks.push_str(&text);
        self.checks.push('\n');
    }
}

/// The byte of a memory that a disagreement names ([`crate::diff_core`] writes it), with the value that is right.
fn byte_named(what: &str, memory: usize) -> Option<(u64, u8)> {
    let mut words = what.rsplit_once(&format!("; memory {memory} at 0x"))?.1.split(": 0x");
    let offset = u64::from_str_radix(words.next()?, 16).ok()?;
    let right = words.next()?.split_whitespace().next()?;
    Some((offset, u8::from_str_radix(right, 16).ok()?))
}

fn linked(case: &Envelope, what: &str, text: &mut String) -> Option<()> {
    let program = targets::linked_program(case);
    // Scripts have no such host.
    if program.modules.iter().any(|module| imports_from_host(&module.wasm)) {
        return None;
    }
    let run = LinkedEngine::run(&mut DefinitionalEngine, &program, 1_000_000).ok()?;
    let mut steps = run.steps.iter();
    let mut probes: Vec<Probe> = word_named(&program, &run, what).into_iter().collect();
    if what.contains("visible references") {
        probes.extend(small_integers(&program, &run));
    }
    for (index, module) in program.modules.iter().enumerate() {
        if !matches!(steps.next()?.ending, LinkedEnding::Values(_)) {
            return None;
        }
        let printed = wasmprinter::print_bytes(&module.wasm).ok()?;
        let rest = printed.trim_start().strip_prefix("(module")?;
        // A name of its own would be a second one.
        let rest = rest.trim_start();
        let rest =
            if rest.starts_with('$') { rest.split_once(|c: char| c.is_whitespace() || c == '(')?.1 } else { rest };
        let _ = writeln!(text, "(module $m{index} {rest}");
        for probe in probes.iter().filter(|probe| probe.module == index) {
            let end = text.rfind(')')?;
            text.insert_str(end, &probe.field);
        }
        let _ = writeln!(text, "(register {} $m{index})", quoted(&module.name));
    }
    for (call, step) in program.calls.iter().zip(steps) {
        let arguments = call.args.iter().map(constant).collect::<Option<Vec<_>>>()?.concat();
        let invoke = format!("(invoke $m{} {}{arguments})", call.module, quoted(&call.export));
        let _ = match &step.ending {
            // Of instantiations alone.
            LinkedEnding::Unlinkable => return None,
            LinkedEnding::Exception => writeln!(text, "(assert_exception {invoke})"),
            LinkedEnding::Trap(class) => writeln!(text, "(assert_trap {invoke} \"{}\")", trap_text(*class)),
            LinkedEnding::Values(values) => {
                let one = |value: &Observed| match value {
                    Observed::Number(value) => expectation(value),
                    // Scripts say no more of a reference than its kind, which is not known here.
                    _ => None,
                };
                match values.iter().map(one).collect::<Option<Vec<_>>>() {
                    Some(values) => writeln!(text, "(assert_return {invoke}{})", values.concat()),
                    None => writeln!(text, "{invoke}"),
                }
            }
        };
    }
    if what.contains("exported global") {
        linked_globals(&program, &run, text);
    }
    probes.iter().for_each(|probe| text.push_str(&probe.check));
    Some(())
}

/// A function by which a script looks into a module, and what that has to find in the end.
struct Probe {
    module: usize,
    field: String,
    check: String,
}

/// Unboxed integers that exported globals hold in the end: scripts say no more of them than their kind.
fn small_integers(program: &LinkedProgram, run: &LinkedRun) -> Vec<Probe> {
    let Some(last) = run.steps.last() else { return Vec::new() };
    let (mut values, mut probes) = (last.globals.iter(), Vec::new());
    for (module, own) in program.modules.iter().enumerate() {
        for (name, global) in exported_globals(&own.wasm) {
            if let Some(Observed::I31(bits)) = values.next() {
                let name = quoted(&format!("i31 of {name}"));
                let read = format!("(i31.get_u (ref.cast (ref i31) (global.get {global})))");
                let field = format!("  (func (export {name}) (result i32) {read})\n");
                let check = format!("(assert_return (invoke $m{module} {name}) (i32.const {bits:#x}))\n");
                probes.push(Probe { module, field, check });
            }
        }
    }
    probes
}

/// Exported globals by name, with their indices.
fn exported_globals(wasm: &[u8]) -> Vec<(String, u32)> {
    let exports = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload {
        Ok(Payload::ExportSection(reader)) => Some(reader.into_iter().filter_map(Result::ok)),
        _ => None,
    });
    let globals = exports.flatten().filter(|export| export.kind == wasmparser::ExternalKind::Global);
    let mut all: Vec<(String, u32)> = globals.map(|export| (export.name.to_owned(), export.index)).collect();
    all.sort();
    all
}

/// The word of an exported memory that a disagreement of linked programs names.
fn word_named(program: &LinkedProgram, run: &LinkedRun, what: &str) -> Option<Probe> {
    let mut numbers = what.rsplit_once("exported memory ")?.1.split(", word ");
    let position: usize = numbers.next()?.parse().ok()?;
    let word: usize = numbers.next()?.split(':').next()?.parse().ok()?;
    let bytes = &run.steps.last()?.memories.get(position)?.bytes;
    let expected = (0..8).rev().fold(0u64, |all, at| all << 8 | u64::from(*bytes.get(word * 8 + at).unwrap_or(&0)));
    let mut seen = 0;
    for (index, module) in program.modules.iter().enumerate() {
        let memories = exported_memories(&module.wasm);
        if let Some((memory, is_wide)) = memories.get(position - seen) {
            let ty = if *is_wide { "i64" } else { "i32" };
            let field =
                format!("  (func (export \"word\") (param {ty}) (result i64) (i64.load {memory} (local.get 0)))\n");
            let address = word * 8;
            let invoke = format!("(invoke $m{index} \"word\" ({ty}.const {address}))");
            let check = format!("(assert_return {invoke} (i64.const {expected:#x}))\n");
            return Some(Probe { module: index, field, check });
        }
        seen += memories.len();
    }
    None
}

/// Exported memories by name: index, and whether addresses are 64-bit.
fn exported_memories(wasm: &[u8]) -> Vec<(u32, bool)> {
    let (mut types, mut names) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm).filter_map(Result::ok) {
        match payload {
            Payload::ImportSection(reader) => {
                types.extend(reader.into_imports().filter_map(Result::ok).filter_map(|import| match import.ty {
                    wasmparser::TypeRef::Memory(ty) => Some(ty.memory64),
                    _ => None,
                }));
            }
            Payload::MemorySection(reader) => {
                types.extend(reader.into_iter().filter_map(Result::ok).map(|ty| ty.memory64))
            }
            Payload::ExportSection(reader) => {
                let exports = reader.into_iter().filter_map(Result::ok);
                let memories = exports.filter(|export| export.kind == wasmparser::ExternalKind::Memory);
                names.extend(memories.map(|export| (export.name.to_owned(), export.index)));
            }
            _ => {}
        }
    }
    names.sort();
    names.iter().map(|(_, index)| (*index, types.get(*index as usize).copied().unwrap_or(false))).collect()
}

/// What exported globals of numbers hold in the end.
fn linked_globals(program: &LinkedProgram, run: &LinkedRun, text: &mut String) {
    let Some(last) = run.steps.last() else { return };
    let mut values = last.globals.iter();
    for (index, module) in program.modules.iter().enumerate() {
        for (name, _) in exported_globals(&module.wasm) {
            if let Some(Observed::Number(value)) = values.next()
                && let Some(value) = expectation(value)
            {
                let _ = writeln!(text, "(assert_return (get $m{index} {}){value})", quoted(&name));
            }
        }
    }
}

fn calls(case: &Envelope, text: &mut String) -> Option<()> {
    let wasm = case.bytes(0);
    if imports_something(wasm) {
        return None;
    }
    print_module(wasm, text)?;
    for (call, results) in case.calls.iter().zip(targets::predicted_results(case)?) {
        let value = |argument: &Argument| if let Argument::Value(value) = argument { constant(value) } else { None };
        let arguments = call.args.iter().map(value).collect::<Option<Vec<_>>>()?.concat();
        let results = results.iter().map(expectation).collect::<Option<Vec<_>>>()?.concat();
        let _ = writeln!(text, "(assert_return (invoke {}{arguments}){results})", quoted(&call.func));
    }
    Some(())
}

fn quoted(name: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_ascii_graphic() || c == ' ' => c.to_string(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    };
    format!("\"{}\"", name.chars().map(escape).collect::<String>())
}

fn invoke(name: &str, args: &[Value]) -> Option<String> {
    let args = args.iter().map(constant).collect::<Option<Vec<_>>>()?;
    Some(format!("(invoke {}{})", quoted(name), args.concat()))
}

fn type_text(ty: ValueType) -> &'static str {
    match ty {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
        ValueType::F32 => "f32",
        ValueType::F64 => "f64",
        ValueType::V128 => "v128",
        ValueType::FuncRef => "funcref",
        ValueType::ExternRef => "externref",
    }
}

fn trap_text(class: TrapClass) -> &'static str {
    match class {
        // Indirect calls beyond the end have a text of their own, and the runner knows both.
        TrapClass::TableOutOfBounds => "out of bounds table access",
        other => other.text(),
    }
}

/// A value as an argument.
fn constant(value: &Value) -> Option<String> {
    Some(match value {
        Value::I32(bits) => format!(" (i32.const {bits:#x})"),
        Value::I64(bits) => format!(" (i64.const {bits:#x})"),
        Value::F32(bits) => format!(" (f32.const {})", float32(*bits)),
        Value::F64(bits) => format!(" (f64.const {})", float64(*bits)),
        Value::V128(bits) => format!(" (v128.const i64x2 {:#x} {:#x})", *bits as u64, (*bits >> 64) as u64),
        Value::Func(FuncIdentity::Null) => " (ref.null func)".to_owned(),
        Value::Extern(None) => " (ref.null extern)".to_owned(),
        Value::Extern(Some(payload)) => format!(" (ref.extern {payload})"),
        Value::Func(_) => return None,
    })
}

/// A value as a result.
fn expectation(value: &Value) -> Option<String> {
    match value {
        Value::Func(FuncIdentity::Index(_) | FuncIdentity::Unknown) => Some(" (ref.func)".to_owned()),
        other => constant(other),
    }
}

pub(crate) fn float32(bits: u32) -> String {
    let sign = if bits >> 31 == 1 { "-" } else { "" };
    let (exponent, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
    match (exponent, fraction) {
        (0xff, 0) => format!("{sign}inf"),
        (0xff, _) => format!("{sign}nan:{fraction:#x}"),
        // Twenty-three bits of fraction are twenty-four of six digits.
        (0, _) => format!("{sign}0x0.{:06x}p-126", fraction << 1),
        _ => format!("{sign}0x1.{:06x}p{}", fraction << 1, exponent as i32 - 127),
    }
}

pub(crate) fn float64(bits: u64) -> String {
    let sign = if bits >> 63 == 1 { "-" } else { "" };
    let (exponent, fraction) = (bits >> 52 & 0x7ff, bits & 0xf_ffff_ffff_ffff);
    match (exponent, fraction) {
        (0x7ff, 0) => format!("{sign}inf"),
        (0x7ff, _) => format!("{sign}nan:{fraction:#x}"),
        (0, _) => format!("{sign}0x0.{fraction:013x}p-1022"),
        _ => format!("{sign}0x1.{fraction:013x}p{}", exponent as i64 - 1023),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_given_by_the_module() {
        let text = "(module (func (export \"a\")) (table 2 funcref)
            (func (export \"set\") (param i32 funcref) (result funcref)
                (table.set (local.get 0) (local.get 1)) (table.get (local.get 0))))";
        let mut case = Envelope::new("diff_core").module("main", wat::parse_str(text).expect("valid text"));
        let args = [Value::I32(1), Value::Func(FuncIdentity::Index(0))].map(Argument::Value).to_vec();
        case.calls.push(crate::envelope::EnvelopeCall { module: 0, func: "1".to_owned(), args });
        let script = scripts(&case, "").pop().expect("a script").text;
        assert!(script.contains("(invoke \"call 0\" (i32.const 0x1)) (ref.func)"), "{script}");
        passes(&script);
    }

    #[test]
    fn dropped_segments_are_asked() {
        let text = "(module (memory 1) (table 1 funcref) (data \"a\") (data \"b\") (elem func 0)
            (func (export \"f\") data.drop 1 elem.drop 0))";
        let mut case = Envelope::new("diff_core").module("main", wat::parse_str(text).expect("valid text"));
        case.calls.push(crate::envelope::EnvelopeCall { module: 0, func: "0".to_owned(), args: Vec::new() });
        for (what, expected) in [("data", 3), ("element", 2)] {
            let script = scripts(&case, &format!("call 1: {what} segment 0: empty against not empty")).pop();
            let script = script.expect("a script").text;
            assert_eq!(script.matches("(assert_").count(), expected, "{script}");
            passes(&script);
        }
    }

    #[test]
    fn small_integers_are_asked() {
        let text = "(module (global (export \"z\") (mut eqref) (ref.null eq)) (global (export \"a\") i32 (i32.const 1))
            (func (export \"f\") (global.set 0 (ref.i31 (i32.const -1)))))";
        let mut case = Envelope::new("gc_model").module("m", wat::parse_str(text).expect("valid text"));
        case.calls.push(crate::envelope::EnvelopeCall { module: 0, func: "f".to_owned(), args: Vec::new() });
        let script = scripts(&case, "step 1: visible references, value 1: I31(7fffffff) against I31(1)").pop();
        let script = script.expect("a script").text;
        assert!(script.contains("(invoke $m0 \"i31 of z\") (i32.const 0x7fffffff)"), "{script}");
        passes(&script);
    }

    fn passes(script: &str) {
        let parsed = wattest_spec_tests::Script::parse(script).expect("a script");
        let engine = &wattest_spec_tests::adapter::WattestEngine::all()[0];
        let everything = wattest_spec_tests::adapter::WattestEngine::everything();
        let report = wattest_spec_tests::run_script("script", &parsed, engine, &everything);
        assert!(report.passed(), "{:?}\n{script}", report.failures);
    }

    #[test]
    fn floats_are_written_so_that_they_read_back() {
        let check = |bits: u64| {
            let text = format!("(module (func (result f64) (f64.const {})))", float64(bits));
            let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(wasm.windows(8).any(|window| window == bits.to_le_bytes()), "{text}");
            let small = (bits >> 32) as u32;
            let text = format!("(module (func (result f32) (f32.const {})))", float32(small));
            let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(wasm.windows(4).any(|window| window == small.to_le_bytes()), "{text}");
        };
        for bits in [0, 1, 1 << 63, 0x3ff0_0000_0000_0001, 0x7ff0_0000_0000_0000, 0xfff8_0000_0000_0001, u64::MAX >> 1]
        {
            check(bits);
            check(bits << 7 ^ 0x1234_5678_9abc_def0);
        }
    }
}
