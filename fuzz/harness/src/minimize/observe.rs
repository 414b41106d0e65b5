//! What expressions of a module are worth, by the reference.
//!
//! Behind every expression of one number, its value goes to a global of its own; the definitional interpreter runs the
//! changed module, and the globals tell the last values. And imports become definitions of what the host gave, since a
//! script has no such host.
//!
//! Invariant: nothing here runs the runtime under test.
//!
//! Does not know: which of the values matter.

use super::tree::{Observed, Trees};
use crate::pieces::{join, split};
use crate::targets::core_case;
use crate::{envelope::Envelope, panics};
use wasm_encoder::{Encode, Instruction, Module, RawSection};
use wasmparser::{CompositeInnerType, Parser, Payload, TypeRef, ValType};
use wattest_differential::{DefinitionalEngine, Engine, FuncIdentity, Value};

/// Ids of sections in the order in which they stand.
const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const TABLES: u8 = 4;
const MEMORIES: u8 = 5;
const GLOBALS: u8 = 6;
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
    let wasm = case.bytes(0);
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
            places.push((body, at));
        }
        pieces.operations = operations;
    }
    let mut observed = case.clone();
    observed.modules[0].bytes = join(&sections.finish(), &bodies);
    let case = core_case(&observed)?;
    let run = panics::record(|| Engine::run(&mut DefinitionalEngine, &case.program, &case.recipe.plan)).ok()?.ok()?;
    let globals = &run.steps.last()?.state.globals;
    let mut values = vec![Observed::new(); bodies.len()];
    for (place, (body, at)) in places.into_iter().enumerate() {
        values[body].insert(at, *globals.get(first as usize + place)?);
    }
    Some(values)
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

/// The module with every import defined: functions that keep their arguments in globals of their own and give zeros or
/// nulls, globals of the value that the host gave, tables and memories of their least size. `None` where there are none, or where one cannot be defined so.
pub(super) fn without_imports(case: &Envelope) -> Option<Vec<u8>> {
    let wasm = case.bytes(0);
    let globals = first_globals(case);
    let mut sections = Sections::of(wasm)?;
    let types = function_types(wasm)?;
    let mut new: [(u8, u32, Vec<u8>); 5] = [FUNCTIONS, CODE, TABLES, MEMORIES, GLOBALS].map(|id| (id, 0, Vec::new()));
    let mut add = |id: u8, entry: &[u8]| {
        for one in new.iter_mut().filter(|one| one.0 == id) {
            one.1 += 1;
            one.2.extend_from_slice(entry);
        }
    };
    let (mut seen, mut kept) = (0, global_count(wasm)?);
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::ImportSection(reader) = payload.ok()? else { continue };
        for import in reader.into_imports() {
            let mut entry = Vec::new();
            match import.ok()?.ty {
                TypeRef::Func(ty) => {
                    ty.encode(&mut entry);
                    add(FUNCTIONS, &entry);
                    let (params, results) = types.get(ty as usize)?.as_ref()?;
                    add(CODE, &keeping_body(params, results, kept)?);
                    for ty in params {
                        if let Some(entry) = global_entry(*ty) {
                            sections.append(GLOBALS, &entry);
                            kept += 1;
                        }
                    }
                }
                TypeRef::Global(ty) => {
                    wasm_encoder::GlobalType::try_from(ty).ok()?.encode(&mut entry);
                    entry.extend(constant(ty.content_type, globals.get(seen).copied())?);
                    Instruction::End.encode(&mut entry);
                    seen += 1;
                    add(GLOBALS, &entry);
                }
                TypeRef::Table(ty) => {
                    wasm_encoder::TableType::try_from(ty).ok()?.encode(&mut entry);
                    add(TABLES, &entry);
                }
                TypeRef::Memory(ty) => {
                    wasm_encoder::MemoryType::from(ty).encode(&mut entry);
                    add(MEMORIES, &entry);
                }
                TypeRef::Tag(_) | TypeRef::FuncExact(_) => return None,
            }
        }
    }
    if new.iter().all(|one| one.1 == 0) {
        return None;
    }
    for (id, count, entries) in new.iter().filter(|one| one.1 > 0) {
        sections.prepend(*id, *count, entries);
    }
    sections.all.retain(|(id, _, _)| *id != IMPORTS);
    Some(sections.finish())
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

/// Parameters and results.
type Signature = (Vec<ValType>, Vec<ValType>);

/// Parameters and results of each type; `None` for those that are no functions.
fn function_types(wasm: &[u8]) -> Option<Vec<Option<Signature>>> {
    let mut types = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::TypeSection(reader) = payload.ok()? else { continue };
        for group in reader {
            types.extend(group.ok()?.types().map(|ty| match &ty.composite_type.inner {
                CompositeInnerType::Func(ty) => Some((ty.params().to_vec(), ty.results().to_vec())),
                _ => None,
            }));
        }
    }
    Some(types)
}

/// A body that puts its numbers into the globals from `first` on.
fn keeping_body(params: &[ValType], results: &[ValType], first: u32) -> Option<Vec<u8>> {
    let mut body = vec![0];
    let numbers = params.iter().enumerate().filter(|(_, ty)| !ty.is_reference_type());
    for (global, (param, _)) in (first..).zip(numbers) {
        Instruction::LocalGet(param as u32).encode(&mut body);
        Instruction::GlobalSet(global).encode(&mut body);
    }
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
                (import \"\" \"m\" (memory 1)) (memory 2)
                (func (export \"f\") (param i32) (result i32) (drop (call $f)) (global.get 0)))",
            1,
        );
        let wasm = without_imports(&case).expect("imports");
        wasmparser::Validator::new().validate_all(&wasm).expect("valid");
        let text = wasmprinter::print_bytes(&wasm).expect("a module");
        assert!(!text.contains("import") && text.contains("i64.const 0"), "{text}");
        assert!(without_imports(&case.clone().module("main", wasm.clone())).is_some());
        let mut defined = case;
        defined.modules[0].bytes = wasm;
        assert_eq!(without_imports(&defined), None);
    }
}
