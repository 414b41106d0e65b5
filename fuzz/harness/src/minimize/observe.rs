//! What expressions of a module are worth, by the reference.
//!
//! Behind every expression of one number, its value goes to a global of its own; the definitional interpreter runs the
//! changed module, and the globals tell the last values. And imports become definitions: of what the host gave, since a
//! script has no such host, or of what needs no other module.
//!
//! Invariant: nothing here runs the runtime under test.
//!
//! Does not know: which of the values matter.

use super::tree::{Observed, Trees};
use crate::pieces::{Signature, function_types, join, split};
use crate::targets::{core_case, linked_program};
use crate::{envelope::Envelope, panics};
use std::collections::BTreeMap;
use std::convert::Infallible;
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{Encode, Instruction, Module, RawSection};
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef, ValType};
use wattest_differential::linked::{LinkedEngine, Observed as Seen};
use wattest_differential::{DefinitionalEngine, Engine, FuncIdentity, Value};

/// Ids of sections in the order in which they stand.
const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const TABLES: u8 = 4;
const MEMORIES: u8 = 5;
const GLOBALS: u8 = 6;
const EXPORTS: u8 = 7;
const TAGS: u8 = 13;
const CODE: u8 = 10;

/// Most values of one run.
const OBSERVED_MAX: usize = 4000;

/// Sections, those that are vectors with their number of entries taken off.
#[derive(Clone)]
pub(crate) struct Sections {
    all: Vec<(u8, u32, Vec<u8>)>,
}

impl Sections {
    /// Those of a module, custom ones left out.
    pub(crate) fn of(wasm: &[u8]) -> Option<Sections> {
        let mut all = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.ok()?;
            let Some((id, range)) = payload.as_section().filter(|(id, _)| *id != 0) else { continue };
            let bytes = &wasm[range];
            let mut reader = wasmparser::BinaryReader::new(bytes, 0);
            let count = reader.read_var_u32().ok()?;
            all.push((id, count, bytes[reader.original_position()..].to_vec()));
        }
        Some(Sections { all })
    }

    fn section(&mut self, id: u8) -> &mut (u8, u32, Vec<u8>) {
        let place = |id: u8| ORDER.iter().position(|one| *one == id);
        let at = self.all.partition_point(|(one, _, _)| place(*one) < place(id));
        if self.all.get(at).is_none_or(|(one, _, _)| *one != id) {
            self.all.insert(at, (id, 0, Vec::new()));
        }
        &mut self.all[at]
    }

    /// Adds an entry at the end of a section.
    pub(crate) fn append(&mut self, id: u8, entry: &[u8]) {
        let section = self.section(id);
        section.1 += 1;
        section.2.extend_from_slice(entry);
    }

    /// Puts other entries in place of a section's.
    pub(crate) fn replace(&mut self, id: u8, count: u32, entries: Vec<u8>) {
        let section = self.section(id);
        (section.1, section.2) = (count, entries);
    }

    fn prepend(&mut self, id: u8, count: u32, entries: &[u8]) {
        let section = self.section(id);
        section.1 += count;
        section.2.splice(0..0, entries.iter().copied());
    }

    /// The module.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut module = Module::new();
        for (id, count, entries) in &self.all {
            let mut data = Vec::new();
            // Of a start function and a number of data segments, the number is all.
            count.encode(&mut data);
            data.extend_from_slice(entries);
            module.section(&RawSection { id: *id, data: &data });
        }
        module.finish()
    }
}

/// The values of the expressions of every body of a case of one module, with the case's calls. Empty where the reference
/// cannot say.
pub(super) fn values(case: &Envelope) -> Vec<Observed> {
    observe(case).unwrap_or_default()
}

fn observe(case: &Envelope) -> Option<Vec<Observed>> {
    let Instrumented { wasm, places, first, bodies } = instrumented(case.bytes(0), false)?;
    let mut observed = case.clone();
    observed.modules[0].bytes = wasm;
    let case = core_case(&observed)?;
    let run = panics::record(|| Engine::run(&mut DefinitionalEngine, &case.program, &case.recipe.plan)).ok()?.ok()?;
    let globals = &run.steps.last()?.state.globals;
    let mut values = vec![Observed::new(); bodies];
    for (place, (body, at)) in places.into_iter().enumerate() {
        values[body].insert(at, *globals.get(first as usize + place)?);
    }
    Some(values)
}

/// The same of one of several modules that are linked with each other.
pub(super) fn linked_values(case: &Envelope, module: usize) -> Vec<Observed> {
    observe_linked(case, module).unwrap_or_default()
}

/// Budget of one step of a linked program, in operations.
const STEPS_MAX: u64 = 1_000_000;

fn observe_linked(case: &Envelope, module: usize) -> Option<Vec<Observed>> {
    let Instrumented { wasm, places, bodies, .. } = instrumented(case.bytes(module), true)?;
    let before: usize = (0..=module).map(|module| exported_globals(case.bytes(module))).sum();
    let mut observed = case.clone();
    observed.modules[module].bytes = wasm;
    let program = linked_program(&observed);
    let run = panics::record(|| LinkedEngine::run(&mut DefinitionalEngine, &program, STEPS_MAX)).ok()?.ok()?;
    let globals = &run.steps.last()?.globals;
    let mut values = vec![Observed::new(); bodies];
    for (place, (body, at)) in places.into_iter().enumerate() {
        let Seen::Number(value) = globals.get(before + place)? else { return None };
        values[body].insert(at, *value);
    }
    Some(values)
}

fn exported_globals(wasm: &[u8]) -> usize {
    let payloads = Parser::new(0).parse_all(wasm).filter_map(Result::ok);
    let exports = payloads.filter_map(|payload| match payload {
        Payload::ExportSection(reader) => Some(reader.into_iter().filter_map(Result::ok)),
        _ => None,
    });
    exports.flatten().filter(|export| export.kind == ExternalKind::Global).count()
}

/// A module whose expressions leave their values in globals.
struct Instrumented {
    wasm: Vec<u8>,
    /// Body and position of the expression of each global, from `first` on.
    places: Vec<(usize, usize)>,
    first: u32,
    bodies: usize,
}

/// The changed module; where `is_exported` the globals are exported, behind all others in the order of names.
fn instrumented(wasm: &[u8], is_exported: bool) -> Option<Instrumented> {
    let mut bodies = split(wasm)?;
    let (mut sections, first) = (Sections::of(wasm)?, global_count(wasm)?);
    let mut places = Vec::new();
    for (body, pieces) in bodies.iter_mut().enumerate() {
        let mut operations = Vec::new();
        let expressions: Vec<(usize, ValType)> = Trees::of(wasm, body)?.expressions().collect();
        let mut expressions = expressions.into_iter().peekable();
        for (at, operation) in pieces.operations.iter().enumerate() {
            operations.push(operation.clone());
            let Some((_, ty)) = expressions.next_if(|(end, _)| *end == at) else { continue };
            if places.len() == OBSERVED_MAX {
                continue;
            }
            let global = first + places.len() as u32;
            for instruction in [Instruction::GlobalSet(global), Instruction::GlobalGet(global)] {
                let mut bytes = Vec::new();
                instruction.encode(&mut bytes);
                operations.push(bytes);
            }
            sections.append(GLOBALS, &global_entry(ty)?);
            if is_exported {
                // No character is behind this one.
                sections.append(EXPORTS, &export_entry(&format!("\u{10ffff}{:05}", places.len()), GLOBAL, global));
            }
            places.push((body, at));
        }
        pieces.operations = operations;
    }
    Some(Instrumented { wasm: join(&sections.finish(), &bodies), places, first, bodies: bodies.len() })
}

/// Kinds of exports.
const TABLE: u8 = 1;
const MEMORY: u8 = 2;
const GLOBAL: u8 = 3;

fn export_entry(name: &str, kind: u8, index: u32) -> Vec<u8> {
    let mut entry = Vec::new();
    name.encode(&mut entry);
    entry.push(kind);
    index.encode(&mut entry);
    entry
}

/// A mutable global that starts at zero.
fn global_entry(ty: ValType) -> Option<Vec<u8>> {
    let mut entry = Vec::new();
    wasm_encoder::ValType::try_from(ty).ok()?.encode(&mut entry);
    entry.push(1);
    match ty {
        ValType::I32 => Instruction::I32Const(0).encode(&mut entry),
        ValType::I64 => Instruction::I64Const(0).encode(&mut entry),
        ValType::F32 => Instruction::F32Const(0.0.into()).encode(&mut entry),
        ValType::F64 => Instruction::F64Const(0.0.into()).encode(&mut entry),
        ValType::V128 => Instruction::V128Const(0).encode(&mut entry),
        ValType::Ref(_) => return None,
    }
    Instruction::End.encode(&mut entry);
    Some(entry)
}

fn global_count(wasm: &[u8]) -> Option<u32> {
    let (all, _) = super::cut::counts(wasm)?;
    Some(all[super::cut::Space::Global as usize])
}

/// The module of a case with every import defined: functions that keep their arguments in globals of their own and give zeros or
/// nulls, globals of the value that the host gave, tables and memories of their least size. `None` where there are none, or
/// where one cannot be defined so.
pub(super) fn without_imports(case: &Envelope) -> Option<Vec<u8>> {
    Definitions::of(case.bytes(0), first_globals(case), None, false)?.finish()
}

/// The same, with functions that make the memory larger, as the host may do: the one that it would.
pub(super) fn without_growing_imports(case: &Envelope) -> Option<Vec<u8>> {
    let shape = core_case(case)?.program.shape;
    let (memory, _) = shape.host_memory?;
    let wide = shape.memories.get(memory as usize)?.memory64;
    let one = if wide { Instruction::I64Const(1) } else { Instruction::I32Const(1) };
    let mut grow = Vec::new();
    [one, Instruction::MemoryGrow(memory), Instruction::Drop].iter().for_each(|one| one.encode(&mut grow));
    Definitions::of(case.bytes(0), first_globals(case), Some(grow), false)?.finish()
}

/// The same of one of several modules that are linked with each other: what is defined is exported, so that it is seen.
pub(super) fn without_links(wasm: &[u8]) -> Option<Vec<u8>> {
    Definitions::of(wasm, Vec::new(), None, true)?.finish()
}

/// A module whose imports become definitions.
struct Definitions {
    sections: Sections,
    /// Definitions by section, which go before those that are there.
    new: BTreeMap<u8, (u32, Vec<u8>)>,
    types: Vec<Option<Signature>>,
    /// What imported globals are.
    globals: Vec<Value>,
    /// Globals so far.
    global_count: u32,
    /// What functions do beside keeping their arguments.
    acts: Vec<u8>,
    /// What those of them are that need no import, for initial values that refer to them.
    constants: Constants,
    is_exported: bool,
}

impl Definitions {
    fn of(wasm: &[u8], globals: Vec<Value>, acts: Option<Vec<u8>>, is_exported: bool) -> Option<Definitions> {
        let mut all = Definitions {
            sections: Sections::of(wasm)?,
            new: BTreeMap::new(),
            types: function_types(wasm)?,
            globals,
            global_count: global_count(wasm)?,
            acts: acts.unwrap_or_default(),
            constants: Constants(Vec::new()),
            is_exported,
        };
        for payload in Parser::new(0).parse_all(wasm) {
            let Payload::ImportSection(reader) = payload.ok()? else { continue };
            for import in reader.into_imports() {
                all.define(import.ok()?.ty)?;
            }
        }
        Some(all)
    }

    /// Adds a definition behind those of other imports: its index.
    fn add(&mut self, id: u8, entry: &[u8]) -> u32 {
        let (count, entries) = self.new.entry(id).or_default();
        entries.extend_from_slice(entry);
        *count += 1;
        *count - 1
    }

    fn show(&mut self, kind: u8, index: u32) {
        if self.is_exported {
            self.sections.append(EXPORTS, &export_entry(&format!("import {kind} {index}"), kind, index));
        }
    }

    fn define(&mut self, ty: TypeRef) -> Option<()> {
        let mut entry = Vec::new();
        match ty {
            TypeRef::Func(ty) => {
                ty.encode(&mut entry);
                self.add(FUNCTIONS, &entry);
                let (params, results) = self.types.get(ty as usize)?.clone()?;
                let body = keeping_body(&params, &results, self.global_count, &self.acts)?;
                self.add(CODE, &body);
                for ty in params {
                    if let Some(entry) = global_entry(ty) {
                        self.sections.append(GLOBALS, &entry);
                        self.show(GLOBAL, self.global_count);
                        self.global_count += 1;
                    }
                }
            }
            TypeRef::Global(ty) => {
                wasm_encoder::GlobalType::try_from(ty).ok()?.encode(&mut entry);
                let seen = self.new.get(&GLOBALS).map_or(0, |(count, _)| *count as usize);
                let value = constant(ty.content_type, self.globals.get(seen).copied())?;
                entry.extend_from_slice(&value);
                self.constants.0.push(value);
                Instruction::End.encode(&mut entry);
                let index = self.add(GLOBALS, &entry);
                self.show(GLOBAL, index);
            }
            TypeRef::Table(ty) => {
                wasm_encoder::TableType::try_from(ty).ok()?.encode(&mut entry);
                let index = self.add(TABLES, &entry);
                self.show(TABLE, index);
            }
            TypeRef::Memory(ty) => {
                wasm_encoder::MemoryType::from(ty).encode(&mut entry);
                let index = self.add(MEMORIES, &entry);
                self.show(MEMORY, index);
            }
            TypeRef::Tag(ty) => {
                entry.push(0);
                ty.func_type_idx.encode(&mut entry);
                self.add(TAGS, &entry);
            }
            TypeRef::FuncExact(_) => return None,
        }
        Some(())
    }

    /// The module; `None` where nothing was imported.
    fn finish(mut self) -> Option<Vec<u8>> {
        if self.new.is_empty() {
            return None;
        }
        for (id, (count, entries)) in &self.new {
            self.sections.prepend(*id, *count, entries);
        }
        self.sections.all.retain(|(id, _, _)| *id != IMPORTS);
        let mut module = Module::new();
        let wasm = self.sections.finish();
        self.constants.parse_core_module(&mut module, Parser::new(0), &wasm).ok()?;
        Some(module.finish())
    }
}

/// The first globals of a module, as operations that give their values: not every engine lets initial values refer to globals that
/// are not imported.
struct Constants(Vec<Vec<u8>>);

impl Reencode for Constants {
    type Error = Infallible;

    fn const_expr(
        &mut self,
        expression: wasmparser::ConstExpr<'_>,
    ) -> Result<wasm_encoder::ConstExpr, wasm_encoder::reencode::Error<Infallible>> {
        let mut reader = expression.get_operators_reader();
        let mut bytes = Vec::new();
        while !reader.is_end_then_eof() {
            let operator = reader.clone().read()?;
            let value = match operator {
                Operator::GlobalGet { global_index } => self.0.get(global_index as usize).cloned(),
                _ => None,
            };
            let instruction = self.parse_instruction(&mut reader)?;
            match value {
                Some(value) => bytes.extend(value),
                None => instruction.encode(&mut bytes),
            }
        }
        Ok(wasm_encoder::ConstExpr::raw(bytes))
    }
}

/// Globals behind instantiation, by the reference.
fn first_globals(case: &Envelope) -> Vec<Value> {
    let Some(case) = core_case(case) else { return Vec::new() };
    let mut plan = case.recipe.plan;
    plan.calls.clear();
    let run = panics::record(|| Engine::run(&mut DefinitionalEngine, &case.program, &plan));
    let Ok(Ok(run)) = run else { return Vec::new() };
    run.steps.into_iter().next().map(|step| step.state.globals).unwrap_or_default()
}

/// A body that puts its numbers into the globals from `first` on, and acts.
fn keeping_body(params: &[ValType], results: &[ValType], first: u32, acts: &[u8]) -> Option<Vec<u8>> {
    let mut body = vec![0];
    let numbers = params.iter().enumerate().filter(|(_, ty)| !ty.is_reference_type());
    for (global, (param, _)) in (first..).zip(numbers) {
        Instruction::LocalGet(param as u32).encode(&mut body);
        Instruction::GlobalSet(global).encode(&mut body);
    }
    body.extend_from_slice(acts);
    for ty in results {
        body.extend(constant(*ty, None)?);
    }
    Instruction::End.encode(&mut body);
    let mut entry = Vec::new();
    body.len().encode(&mut entry);
    entry.extend(body);
    Some(entry)
}

fn constant(ty: ValType, value: Option<Value>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match (ty, value) {
        (ValType::I32, Some(Value::I32(bits))) => Instruction::I32Const(bits as i32).encode(&mut bytes),
        (ValType::I64, Some(Value::I64(bits))) => Instruction::I64Const(bits as i64).encode(&mut bytes),
        (ValType::F32, Some(Value::F32(bits))) => Instruction::F32Const(f32::from_bits(bits).into()).encode(&mut bytes),
        (ValType::F64, Some(Value::F64(bits))) => Instruction::F64Const(f64::from_bits(bits).into()).encode(&mut bytes),
        (ValType::V128, Some(Value::V128(bits))) => Instruction::V128Const(bits as i128).encode(&mut bytes),
        (ValType::Ref(_), Some(Value::Func(FuncIdentity::Index(index)))) => {
            Instruction::RefFunc(index).encode(&mut bytes);
        }
        (ValType::Ref(ty), _) => {
            let ty = wasm_encoder::RefType::try_from(ty).ok()?;
            Instruction::RefNull(ty.heap_type).encode(&mut bytes);
        }
        (ty, _) => {
            let entry = global_entry(ty)?;
            // Between the type with its mutability and the end.
            bytes.extend_from_slice(&entry[2..entry.len() - 1]);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Argument, EnvelopeCall};

    fn case(text: &str, argument: u32) -> Envelope {
        let wasm = wat::parse_str(text).expect("valid text");
        let mut case = Envelope::new("diff_core").module("main", wasm);
        let args = vec![Argument::Value(Value::I32(argument))];
        let func = core_case(&case).expect("a case").program.shape.imported_functions.to_string();
        case.calls.push(EnvelopeCall { module: 0, func, args });
        case
    }

    #[test]
    fn expressions_have_the_values_of_the_last_call() {
        let case = case("(module (func (export \"f\") (param i32) (result i32) local.get 0 i32.const 2 i32.mul))", 21);
        let found = values(&case);
        assert_eq!(found[0].get(&2), Some(&Value::I32(42)));
    }

    #[test]
    fn imports_become_definitions() {
        let case = case(
            "(module (import \"\" \"f\" (func $f (result i64))) (import \"\" \"g\" (global i32))
                (import \"\" \"m\" (memory 1)) (memory 2) (global i32 (global.get 0)) (export \"m\" (memory 1))
                (func (export \"f\") (param i32) (result i32) (drop (call $f)) (global.get 0)))",
            1,
        );
        let wasm = without_imports(&case).expect("imports");
        wasmparser::Validator::new().validate_all(&wasm).expect("valid");
        let text = wasmprinter::print_bytes(&wasm).expect("a module");
        assert!(!text.contains("import") && text.contains("i64.const 0"), "{text}");
        // Initial values refer to no global, which not every engine has.
        assert_eq!(text.matches("global.get").count(), 1, "{text}");
        let growing = without_growing_imports(&case).expect("imports");
        assert!(wasmprinter::print_bytes(&growing).expect("a module").contains("memory.grow 1"));
        assert!(without_imports(&case.clone().module("main", wasm.clone())).is_some());
        let mut defined = case;
        defined.modules[0].bytes = wasm;
        assert_eq!(without_imports(&defined), None);
    }

    #[test]
    fn linked_modules_are_observed_and_come_apart() {
        let first = "(module (memory (export \"m\") 1) (global (export \"z\") (mut i32) (i32.const 9))
            (func (export \"log\") (param i64) (i64.store (i32.const 0) (local.get 0))))";
        let second = "(module (import \"a\" \"z\" (global (mut i32))) (import \"a\" \"log\" (func $log (param i64)))
            (tag) (func (export \"f\") (call $log (i64.extend_i32_u (i32.add (global.get 0) (i32.const 2))))))";
        let bytes = |text: &str| wat::parse_str(text).expect("valid text");
        let mut case = Envelope::new("diff_linked").module("a", bytes(first)).module("b", bytes(second));
        case.calls.push(EnvelopeCall { module: 1, func: "f".to_owned(), args: Vec::new() });
        let found = linked_values(&case, 1);
        assert_eq!(found[0].get(&2), Some(&Value::I32(11)));
        let alone = without_links(case.bytes(1)).expect("imports");
        wasmparser::Validator::new().validate_all(&alone).expect("valid");
        case.modules.remove(0);
        (case.modules[0].bytes, case.calls[0].module) = (alone, 0);
        let run = LinkedEngine::run(&mut DefinitionalEngine, &linked_program(&case), STEPS_MAX).expect("a run");
        let globals = &run.steps.last().expect("a step").globals;
        assert_eq!(globals.as_slice(), [Seen::Number(Value::I32(0)), Seen::Number(Value::I64(2))]);
    }
}
