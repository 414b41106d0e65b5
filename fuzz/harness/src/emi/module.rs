//! A module whose bodies are lines, and what is added to it.
//!
//! Additions go to the ends of index spaces: types, functions, a table, a memory, globals, segments.
//!
//! Invariant: what the module had keeps its index.
//!
//! Does not know: why something is added.

use crate::minimize::Sections;
use crate::pieces::{locals_start, parameter_counts, split};
use std::collections::BTreeMap;
use wasm_encoder::{Encode, Instruction, ValType};
use wasmparser::{BinaryReader, FunctionBody, Operator, OperatorsReader, Parser, Payload};

/// An operation, and how often the original program executed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) heat: u64,
}

impl Line {
    /// The operation.
    pub(super) fn operator(&self) -> Option<Operator<'_>> {
        OperatorsReader::new(BinaryReader::new(&self.bytes, 0)).read().ok()
    }
}

/// These instructions as lines.
pub(super) fn lines(heat: u64, instructions: &[Instruction<'_>]) -> Vec<Line> {
    let encode = |instruction: &Instruction<'_>| {
        let mut bytes = Vec::new();
        instruction.encode(&mut bytes);
        Line { bytes, heat }
    };
    instructions.iter().map(encode).collect()
}

/// A body.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) lines: Vec<Line>,
    locals: Vec<u8>,
    next_local: u32,
}

/// Numbers of entries of index spaces, imports included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) types: u32,
    pub(super) functions: u32,
    pub(super) tables: u32,
    pub(super) memories: u32,
    pub(super) globals: u32,
}

/// What rewritings need to know of the module as it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The type index of each function.
    pub(super) types: Vec<u32>,
    /// Parameters and results of each type that is a function's of numbers and vectors.
    pub(super) signatures: Vec<Option<(Vec<ValType>, Vec<ValType>)>>,
    /// Functions that may be referred to.
    pub(super) declared: Vec<u32>,
    /// How many functions are imported.
    pub(super) imported: u32,
    /// The first memory's address type is 64 bits wide; `None` without a memory.
    pub(super) wide_memory: Option<bool>,
    /// Mutable globals of numbers.
    pub(super) mutable: Vec<(u32, ValType)>,
    /// Data segments that operations may name.
    pub(super) data: u32,
}

/// The module under rewriting.
pub(super) struct Editor {
    sections: Sections,
    pub(super) facts: Facts,
    pub(super) bodies: Vec<Body>,
    pub(super) counts: Counts,
    types: BTreeMap<(Vec<u8>, Vec<u8>), u32>,
    /// The table of every function of the original, once it is there.
    table: Option<u32>,
    memory: Option<u32>,
    globals: BTreeMap<Vec<u8>, u32>,
    outlined: Vec<(u32, Vec<u8>)>,
}

const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const TABLES: u8 = 4;
const MEMORIES: u8 = 5;
const GLOBALS: u8 = 6;
const ELEMENTS: u8 = 9;
const CODE: u8 = 10;

/// The type in the encoder's terms; none of references, which rewritings leave alone.
pub(super) fn number(ty: wasmparser::ValType) -> Option<ValType> {
    Some(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(_) => return None,
    })
}

fn encoded(types: &[ValType]) -> Vec<u8> {
    let mut bytes = Vec::new();
    types.encode(&mut bytes);
    bytes
}

/// Zero of a type.
pub(super) fn zero(ty: ValType) -> Instruction<'static> {
    match ty {
        ValType::I64 => Instruction::I64Const(0),
        ValType::F32 => Instruction::F32Const(0.0f32.into()),
        ValType::F64 => Instruction::F64Const(0.0f64.into()),
        ValType::V128 => Instruction::V128Const(0),
        _ => Instruction::I32Const(0),
    }
}

impl Editor {
    /// The module, every operation as often executed as `heat` says of its first byte; `None` where it cannot be read.
    pub(super) fn of(wasm: &[u8], heat: impl Fn(u32) -> u64) -> Option<Editor> {
        let (facts, mut counts, starts) = read(wasm)?;
        let params = parameter_counts(wasm)?;
        let mut bodies = Vec::new();
        for (index, (pieces, starts)) in split(wasm)?.into_iter().zip(starts).enumerate() {
            let params = *params.get(facts.imported as usize + index)?;
            let declared = declared_locals(&pieces.locals)?;
            let lines = pieces.operations.into_iter().zip(starts);
            let mut lines: Vec<Line> = lines.map(|(bytes, start)| Line { bytes, heat: heat(start) }).collect();
            warm_up(&mut lines);
            bodies.push(Body { lines, locals: pieces.locals, next_local: params + declared });
        }
        counts.functions = facts.types.len() as u32;
        let sections = Sections::of(wasm)?;
        Some(Editor {
            sections,
            facts,
            bodies,
            counts,
            types: BTreeMap::new(),
            table: None,
            memory: None,
            globals: BTreeMap::new(),
            outlined: Vec::new(),
        })
    }

    /// The rewritten module.
    pub(super) fn finish(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut body = |locals: &[u8], operations: &mut dyn Iterator<Item = &[u8]>| {
            let mut bytes = locals.to_vec();
            operations.for_each(|operation| bytes.extend_from_slice(operation));
            Instruction::End.encode(&mut bytes);
            bytes.encode(&mut code);
        };
        for Body { locals, lines, .. } in &self.bodies {
            body(locals, &mut lines.iter().map(|line| line.bytes.as_slice()));
        }
        for (_, operations) in &self.outlined {
            // Without locals.
            body(&[0], &mut std::iter::once(operations.as_slice()));
        }
        let mut sections = self.sections.clone();
        for (ty, _) in &self.outlined {
            let mut entry = Vec::new();
            ty.encode(&mut entry);
            sections.append(FUNCTIONS, &entry);
        }
        sections.replace(CODE, (self.bodies.len() + self.outlined.len()) as u32, code);
        sections.finish()
    }

    /// A function type.
    pub(super) fn ty(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let key = (encoded(params), encoded(results));
        if let Some(known) = self.types.get(&key) {
            return *known;
        }
        let mut entry = vec![0x60];
        entry.extend_from_slice(&key.0);
        entry.extend_from_slice(&key.1);
        self.sections.append(TYPES, &entry);
        self.counts.types += 1;
        self.types.insert(key, self.counts.types - 1);
        self.counts.types - 1
    }

    /// A function that does one operation on its parameters.
    pub(super) fn outline(&mut self, params: &[ValType], results: &[ValType], operation: &[u8]) -> u32 {
        let ty = self.ty(params, results);
        let mut code = Vec::new();
        for index in 0..params.len() as u32 {
            Instruction::LocalGet(index).encode(&mut code);
        }
        code.extend_from_slice(operation);
        self.outlined.push((ty, code));
        self.counts.functions += 1;
        self.counts.functions - 1
    }

    /// The table in which every function of the original lies at its index.
    pub(super) fn function_table(&mut self) -> u32 {
        if let Some(table) = self.table {
            return table;
        }
        let table = self.counts.tables;
        let count = self.facts.types.len() as u32;
        let mut entry = vec![0x70, 1];
        count.encode(&mut entry);
        count.encode(&mut entry);
        self.sections.append(TABLES, &entry);
        // Active, in a table that is named, at 0, of functions.
        let mut segment = vec![2];
        table.encode(&mut segment);
        segment.extend([0x41, 0, 0x0b, 0]);
        (0..count).collect::<Vec<u32>>().encode(&mut segment);
        self.sections.append(ELEMENTS, &segment);
        self.counts.tables += 1;
        self.table = Some(table);
        table
    }

    /// A memory of one page for spills.
    pub(super) fn spill_memory(&mut self) -> u32 {
        if let Some(memory) = self.memory {
            return memory;
        }
        self.sections.append(MEMORIES, &[0, 1]);
        self.counts.memories += 1;
        self.memory = Some(self.counts.memories - 1);
        self.counts.memories - 1
    }

    /// A global for spills of one type.
    pub(super) fn spill_global(&mut self, ty: ValType) -> u32 {
        let mut entry = encoded(&[ty])[1..].to_vec();
        if let Some(known) = self.globals.get(&entry) {
            return *known;
        }
        let key = entry.clone();
        entry.push(1);
        zero(ty).encode(&mut entry);
        Instruction::End.encode(&mut entry);
        self.sections.append(GLOBALS, &entry);
        self.counts.globals += 1;
        self.globals.insert(key, self.counts.globals - 1);
        self.counts.globals - 1
    }
}

impl Body {
    /// A local of its own; `None` where they are too many.
    pub(super) fn local(&mut self, ty: ValType) -> Option<u32> {
        let start = locals_start(&self.locals)?;
        let groups = BinaryReader::new(&self.locals, 0).read_var_u32().ok()?;
        let mut locals = Vec::new();
        (groups + 1).encode(&mut locals);
        locals.extend_from_slice(&self.locals[start..]);
        1u32.encode(&mut locals);
        ty.encode(&mut locals);
        self.locals = locals;
        self.next_local += 1;
        (self.next_local < 10_000).then_some(self.next_local - 1)
    }
}

fn declared_locals(locals: &[u8]) -> Option<u32> {
    let mut whole = locals.to_vec();
    whole.push(0x0b);
    let reader = FunctionBody::new(BinaryReader::new(&whole, 0)).get_locals_reader().ok()?;
    let mut count = 0;
    for group in reader {
        count += group.ok()?.0;
    }
    Some(count)
}

/// What the interpreter does not count, because it is no step of it, may have run: as often as what comes behind it, for all
/// that is known. After this, what has no heat has never run.
fn warm_up(lines: &mut [Line]) {
    let is_uncounted = |line: &Line| {
        use Operator as O;
        matches!(
            line.operator(),
            None | Some(
                O::Block { .. }
                    | O::Loop { .. }
                    | O::Nop
                    | O::TryTable { .. }
                    | O::End
                    | O::Else
                    | O::AnyConvertExtern
                    | O::ExternConvertAny
            )
        )
    };
    for at in (0..lines.len()).rev() {
        if is_uncounted(&lines[at]) {
            lines[at].heat = lines.get(at + 1).map_or(1, |next| next.heat.max(1));
        }
    }
}

/// Facts, numbers of entries, and of every body where its operations start.
fn read(wasm: &[u8]) -> Option<(Facts, Counts, Vec<Vec<u32>>)> {
    let (mut facts, mut counts, mut starts) = (Facts::default(), Counts::default(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::TypeSection(reader) => {
                for group in reader {
                    facts.signatures.extend(group.ok()?.types().map(signature));
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    match import.ok()?.ty {
                        wasmparser::TypeRef::Func(ty) => {
                            facts.types.push(ty);
                            facts.imported += 1;
                        }
                        wasmparser::TypeRef::Global(ty) => global(&mut counts, &mut facts, ty),
                        wasmparser::TypeRef::Memory(ty) => memory(&mut counts, &mut facts, ty.memory64),
                        wasmparser::TypeRef::Table(_) => counts.tables += 1,
                        _ => return None,
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    facts.types.push(ty.ok()?);
                }
            }
            Payload::TableSection(reader) => counts.tables += reader.count(),
            Payload::MemorySection(reader) => {
                for ty in reader {
                    memory(&mut counts, &mut facts, ty.ok()?.memory64);
                }
            }
            Payload::GlobalSection(reader) => {
                for item in reader {
                    global(&mut counts, &mut facts, item.ok()?.ty);
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.ok()?;
                    if export.kind == wasmparser::ExternalKind::Func {
                        facts.declared.push(export.index);
                    }
                }
            }
            Payload::DataCountSection { count, .. } => facts.data = count,
            Payload::CodeSectionEntry(body) => {
                let mut places = Vec::new();
                for item in body.get_operators_reader().ok()?.into_iter_with_offsets() {
                    places.push(item.ok()?.1 as u32);
                }
                starts.push(places);
            }
            _ => {}
        }
    }
    counts.types = facts.signatures.len() as u32;
    Some((facts, counts, starts))
}

fn global(counts: &mut Counts, facts: &mut Facts, ty: wasmparser::GlobalType) {
    if let (true, Some(ty)) = (ty.mutable, number(ty.content_type)) {
        facts.mutable.push((counts.globals, ty));
    }
    counts.globals += 1;
}

fn memory(counts: &mut Counts, facts: &mut Facts, wide: bool) {
    counts.memories += 1;
    facts.wide_memory.get_or_insert(wide);
}

fn signature(ty: &wasmparser::SubType) -> Option<(Vec<ValType>, Vec<ValType>)> {
    let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner else { return None };
    let numbers = |types: &[wasmparser::ValType]| types.iter().map(|ty| number(*ty)).collect::<Option<Vec<_>>>();
    Some((numbers(ty.params())?, numbers(ty.results())?))
}
