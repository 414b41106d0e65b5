//! Mutation of materialized cases: what libFuzzer's mutator does to an envelope.
//!
//! Arguments, calls and settings change by themselves; modules by their operations, validated again, since a byte changed
//! somewhere in a binary is nearly always an invalid module. Settings are numbers or lists, of lists perhaps: elements are
//! dropped, doubled, exchanged, copied, or changed, whatever they stand for. What a target cannot read it rejects.
//!
//! Invariant: a mutated module is valid, or it was not before.
//!
//! Does not know: targets.

use crate::corpus;
use crate::envelope::{Argument, Envelope};
use crate::pieces::{Pieces, join, split};
use crate::source::Source;
use wasm_encoder::{Encode, Instruction};
use wasmparser::{FuncValidatorAllocations, Parser, ValidPayload, Validator, WasmFeatures};
use wattest_differential::Value;

/// Changes of one mutation.
const CHANGES_MAX: usize = 4;

/// Attempts at a valid module.
const ATTEMPTS: usize = 8;

/// A case near `case`; where its module follows from its settings, those change in its stead.
pub fn mutate(case: &Envelope, source: &mut Source<'_>, rebuilds: bool) -> Envelope {
    let mut near = case.clone();
    for _ in 0..source.between(1, CHANGES_MAX) {
        match source.below(10) {
            0..=3 => argument(&mut near, source),
            4 => calls(&mut near, source),
            6.. if !rebuilds => module(&mut near, source),
            _ => setting(&mut near, source),
        }
    }
    near
}

fn argument(case: &mut Envelope, source: &mut Source<'_>) {
    let count = case.calls.len();
    let Some(call) = case.calls.get_mut(source.below(count)) else { return };
    let count = call.args.len();
    if let Some(Argument::Value(value)) = call.args.get_mut(source.below(count))
        && !matches!(value, Value::Func(_))
    {
        *value = corpus::argument(source, value.ty(), &[]);
    }
}

fn calls(case: &mut Envelope, source: &mut Source<'_>) {
    let count = case.calls.len();
    if count < 2 {
        return;
    }
    let (from, to) = (source.below(count), source.below(count));
    match source.below(3) {
        0 => case.calls.swap(from, to),
        1 => {
            case.calls.remove(from);
        }
        _ => {
            let call = case.calls[from].clone();
            case.calls.insert(to, call);
        }
    }
}

/// What separates elements of lists. Between the last ones elements are of different kinds and stay where they are.
const SEPARATORS: [char; 5] = [';', ',', ' ', '|', ':'];

fn setting(case: &mut Envelope, source: &mut Source<'_>) {
    // What a host does has to be what the component's imports say.
    let is_free = |name: &&String| !name.starts_with("host-");
    let names: Vec<String> = case.settings.keys().filter(is_free).cloned().collect();
    let Some(name) = names.get(source.below(names.len())) else { return };
    if let Some(value) = case.settings.get_mut(name)
        && let Some(near) = text(value, source)
    {
        *value = near;
    }
}

/// A text near this one; `None` where it is neither a number nor a list.
fn text(old: &str, source: &mut Source<'_>) -> Option<String> {
    let present: Vec<char> = SEPARATORS.into_iter().filter(|separator| old.contains(*separator)).collect();
    if present.is_empty() {
        return number(old, source);
    }
    let separator = source.pick(&present);
    let mut elements: Vec<String> = old.split(separator).map(str::to_owned).collect();
    let (from, to) = (source.below(elements.len()), source.below(elements.len()));
    match source.below(8) {
        0 if !['|', ':'].contains(&separator) => {
            elements.remove(from);
        }
        1 if !['|', ':'].contains(&separator) => elements.insert(to, elements[from].clone()),
        2 => elements.swap(from, to),
        3 => elements[to] = elements[from].clone(),
        // Each time there is one separator less: it ends.
        _ => elements[from] = text(&elements[from], source)?,
    }
    Some(elements.join(&separator.to_string()))
}

/// A number near this one, or another: decimal, hexadecimal, or behind a letter.
fn number(old: &str, source: &mut Source<'_>) -> Option<String> {
    if let Some(bits) = old.strip_prefix("0x").and_then(|digits| u128::from_str_radix(digits, 16).ok()) {
        // Not wider than it was: of the same type.
        let near = bits ^ 1 << source.below(4 * (old.len() - 2).min(32));
        return Some(format!("{near:#x}"));
    }
    let (letter, digits) = old.split_at(old.find(|c: char| c.is_ascii_digit()).filter(|at| *at <= 1)?);
    let value = digits.parse::<u64>().ok()?;
    let near = match source.below(5) {
        0 => value.saturating_add(1),
        1 => value.saturating_sub(1),
        2 if value > 255 => u64::from(source.u32()),
        _ => source.byte().into(),
    };
    Some(format!("{letter}{near}"))
}

/// Whether bytes are a module or a component, with all proposals.
pub(crate) fn is_valid(wasm: &[u8]) -> bool {
    Validator::new_with_features(WasmFeatures::all()).validate_all(wasm).is_ok()
}

/// A case whose module the generator did not make has NaNs compared exactly: the other rule is for modules in which nobody
/// sees what the bits of a NaN are.
pub(crate) fn with_exact_nans(case: &mut Envelope) {
    if case.is("nans", "arithmetic") {
        case.settings.insert("nans".to_owned(), "exact".to_owned());
    }
}

fn module(case: &mut Envelope, source: &mut Source<'_>) {
    let count = case.modules.len();
    let Some(module) = case.modules.get_mut(source.below(count)) else { return };
    let bodies = split(&module.bytes).filter(|bodies| bodies.iter().any(|body| !body.operations.is_empty()));
    let (Some(mut bodies), true) = (bodies, is_valid(&module.bytes)) else {
        // Not a module of operations: any byte will do.
        let length = module.bytes.len();
        if let Some(byte) = module.bytes.get_mut(source.below(length)) {
            *byte ^= 1 << source.below(8);
        }
        return;
    };
    for _ in 0..ATTEMPTS {
        let body = source.below(bodies.len());
        let before = bodies[body].clone();
        change(&mut bodies, body, source);
        let wasm = join(&module.bytes, &bodies);
        if is_valid_in(&wasm, body) {
            module.bytes = wasm;
            with_exact_nans(case);
            return;
        }
        bodies[body] = before;
    }
}

/// Whether a body is valid, in a module of which nothing else changed since it was.
fn is_valid_in(wasm: &[u8], body: usize) -> bool {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut before = body;
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(checked) = payload.and_then(|payload| validator.payload(&payload)) else { return false };
        if let ValidPayload::Func(function, bytes) = checked {
            if before == 0 {
                return function.into_validator(FuncValidatorAllocations::default()).validate(&bytes).is_ok();
            }
            before -= 1;
        }
    }
    false
}

/// One change of a body's operations: removed, doubled, exchanged, copied from elsewhere, or made a constant.
fn change(bodies: &mut [Pieces], body: usize, source: &mut Source<'_>) {
    let other = source.below(bodies.len());
    let copied = {
        let operations = &bodies[other].operations;
        let at = source.below(operations.len());
        operations.get(at).cloned()
    };
    let operations = &mut bodies[body].operations;
    if operations.is_empty() {
        return;
    }
    let at = source.below(operations.len());
    match source.below(6) {
        0 => {
            operations.remove(at);
        }
        1 => {
            let next = source.below(operations.len());
            operations.swap(at, next);
        }
        2 => {
            // Two operands made one, and the other way round.
            operations.insert(at, operation(&Instruction::Drop));
        }
        3 => {
            let constant = match source.below(4) {
                0 => operation(&Instruction::I32Const(corpus::i32_value(source) as i32)),
                1 => operation(&Instruction::I64Const(corpus::i64_value(source) as i64)),
                2 => operation(&Instruction::F32Const(f32::from_bits(corpus::f32_value(source)).into())),
                _ => operation(&Instruction::F64Const(f64::from_bits(corpus::f64_value(source)).into())),
            };
            operations[at] = constant;
        }
        _ => {
            if let Some(copied) = copied {
                operations[at] = copied;
            }
        }
    }
}

fn operation(instruction: &Instruction<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    instruction.encode(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};

    #[test]
    fn mutated_modules_stay_valid_and_most_change() {
        let wasm = wat::parse_str(
            "(module (func (export \"f\") (param i32 i32) (result i32)
                (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.sub (local.get 1) (i32.const 9)))))",
        )
        .expect("valid text");
        let case = Envelope::new("diff_core").set("subject", 3).module("main", wasm);
        let mut changed = 0;
        for index in 0..100 {
            let choices = expand(case_seed(2, index));
            let near = mutate(&case, &mut Source::new(&choices), false);
            assert!(is_valid(near.bytes(0)), "{index}");
            changed += u32::from(near != case);
        }
        assert!(changed > 60, "{changed} of 100");
    }

    /// What becomes of a setting, in so many mutations.
    fn near(value: &str) -> std::collections::BTreeSet<String> {
        let changed = |index| text(value, &mut Source::new(&expand(case_seed(4, index))));
        (0..4000).filter_map(changed).collect()
    }

    #[test]
    fn settings_change_as_lists_and_numbers() {
        let check = |value: &str, expected: &[&str]| {
            let near = near(value);
            for one in expected {
                assert!(near.contains(*one), "{one} is not near {value}: {near:?}");
            }
        };
        check(
            "1,2;3,4",
            &["1,2", "3,4", "3,4;1,2", "1,2;1,2;3,4", "1,2;1,2", "1,2;4", "1,2;4,3", "1,2;3,5", "0,2;3,4"],
        );
        check("host|p3,p4|x", &["host|p4,p3|x", "host|p3|x", "host|p4|x", "host|p3,p3,p4|x", "p3,p4|host|x"]);
        check("17", &["16", "18", "200"]);
        check("i32:0x10", &["i32:0x11", "i32:0x90"]);
        assert!(near("exact").is_empty() && near("0").len() > 100);
    }

    #[test]
    fn a_module_that_is_built_from_settings_stays() {
        let case = Envelope::new("bounds").set("sites", "1,2;3,4").module("main", vec![1, 2, 3]);
        let (mut changed, mut same) = (0, 0);
        for index in 0..100 {
            let choices = expand(case_seed(3, index));
            let near = mutate(&case, &mut Source::new(&choices), true);
            assert_eq!(near.modules, case.modules);
            changed += u32::from(near != case);
            same += u32::from(mutate(&case, &mut Source::new(&choices), false).modules == case.modules);
        }
        assert!(changed > 60 && same < 60, "{changed} changed, {same} kept their module");
    }
}
