//! A failing case as a regression: a `.wast` file with the values that the majority gives.
//!
//! The definitional interpreter runs the case; what it returns or traps with becomes the assertions. The header names the
//! options of the configuration that failed, which the runner of scripts honours
//! (`wattest_spec_tests::adapter::configuration_of`).
//!
//! Invariant: every assertion is the reference's value, never the runtime's.
//!
//! Does not know: whether the runtime still fails.

use crate::envelope::{Argument, Envelope};
use crate::pieces::split;
use crate::targets;
use std::fmt::Write;
use wasmparser::{Parser, Payload};
use wattest_differential::linked::{LinkedEnding, LinkedEngine, Observed};
use wattest_differential::{
    CONFIGS, DefinitionalEngine, Ending, Engine, Form, FuncIdentity, NanRule, Plan, Program, TrapClass, Value,
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
    let row = &CONFIGS[case.number("subject", 0) as usize % CONFIGS.len()];
    let mut words: Vec<String> = row.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if row.round_trip {
        words.push("round-trip".to_owned());
    }
    words.join(" ")
}

/// Operations in the bodies of all modules.
pub fn operations(case: &Envelope) -> usize {
    let bodies = case.modules.iter().filter_map(|module| split(&module.bytes));
    bodies.flatten().map(|body| body.operations.len()).sum()
}

/// The case as a script; `None` where a script cannot say it: host functions that answer, values of no text form, steps
/// that the reference does not finish.
pub fn script(case: &Envelope, what: &str) -> Option<Regression> {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, ";; {}: {}", case.target, what.replace('\n', " "));
    let options = options_of(case);
    if !options.is_empty() {
        let _ = writeln!(text, ";; options: {options}");
    }
    match case.target.as_str() {
        "gc_model" | "eh_model" | "diff_linked" => linked(case, &mut text)?,
        "self_configs" if case.is("linked", "true") => linked(case, &mut text)?,
        "diff_core" | "op_matrix" | "self_configs" | "emi" | "bounds" | "tables_bulk" => core(case, &mut text)?,
        "calls_abi" => calls(case, &mut text)?,
        _ => return None,
    }
    Some(Regression { text, operations: operations(case) })
}

fn imports_something(wasm: &[u8]) -> bool {
    Parser::new(0).parse_all(wasm).any(|payload| matches!(payload, Ok(Payload::ImportSection(_))))
}

fn print_module(wasm: &[u8], text: &mut String) -> Option<()> {
    text.push_str(&wasmprinter::print_bytes(wasm).ok()?);
    text.push('\n');
    Some(())
}

fn core(case: &Envelope, text: &mut String) -> Option<()> {
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
    };
    let run = Engine::run(&mut DefinitionalEngine, &program, &plan).ok()?;
    let mut steps = run.steps.iter();
    match &steps.next()?.ending {
        Ending::Trap(class) => {
            text.push_str("(assert_trap\n");
            print_module(&program.wasm, text)?;
            let _ = writeln!(text, "  \"{}\")", trap_text(*class));
            return Some(());
        }
        Ending::Values(_) => print_module(&program.wasm, text)?,
    }
    for (call, step) in plan.calls.iter().zip(steps) {
        let name = program.shape.export_names[call.func as usize].as_ref()?;
        let invoke = invoke(name, &call.args)?;
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
    state_checks(&program, &run, text);
    Some(())
}

/// Exported globals, which no call returns.
fn state_checks(program: &Program, run: &wattest_differential::Run, text: &mut String) {
    let Some(last) = run.steps.last() else { return };
    for payload in Parser::new(0).parse_all(&program.wasm) {
        let Ok(Payload::ExportSection(reader)) = payload else { continue };
        for export in reader.into_iter().filter_map(Result::ok) {
            if export.kind == wasmparser::ExternalKind::Global
                && let Some(value) = last.state.globals.get(export.index as usize).and_then(expectation)
            {
                let _ = writeln!(text, "(assert_return (get {}){value})", quoted(export.name));
            }
        }
    }
}

fn linked(case: &Envelope, text: &mut String) -> Option<()> {
    let program = targets::linked_program(case);
    let run = LinkedEngine::run(&mut DefinitionalEngine, &program, 1_000_000).ok()?;
    let mut steps = run.steps.iter();
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
        let _ = writeln!(text, "(register {} $m{index})", quoted(&module.name));
    }
    for (call, step) in program.calls.iter().zip(steps) {
        let arguments = call.args.iter().map(constant).collect::<Option<Vec<_>>>()?.concat();
        let invoke = format!("(invoke $m{} {}{arguments})", call.module, quoted(&call.export));
        let _ = match &step.ending {
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
    Some(())
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

fn float32(bits: u32) -> String {
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

fn float64(bits: u64) -> String {
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
