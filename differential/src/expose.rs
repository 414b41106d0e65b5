//! The re-encoder: a module with everything exported under reserved names, and with probes.
//!
//! Sections are copied byte for byte; only the export section is rebuilt
//! ([spec](https://webassembly.github.io/spec/core/binary/modules.html#export-section)). An engine without inspection
//! shows its whole state through these exports. Whether a segment is empty, which it is once dropped, nothing but an
//! operation can tell: a probe is a function, added at the end, that copies no elements from position 1 of the segment
//! ([table.init](https://webassembly.github.io/spec/core/exec/instructions.html#table-instructions)). It changes nothing,
//! and traps if and only if the segment is empty.
//!
//! Invariant: what the module has keeps its index; the names below, the probes and their type are added, nothing else.
//!
//! Does not know: what is done with the exports.

use crate::{Shape, ShapeError};
use wasm_encoder::{Encode, ExportKind, ExportSection, Function, Instruction, Module, RawSection};
use wasmparser::{Parser, Payload};

/// Reserved export name of function `index`.
pub(crate) fn func_name(index: usize) -> String {
    format!("wattest:f{index}")
}

/// Reserved export name of global `index`.
pub(crate) fn global_name(index: usize) -> String {
    format!("wattest:g{index}")
}

/// Reserved export name of memory `index`.
pub(crate) fn memory_name(index: usize) -> String {
    format!("wattest:m{index}")
}

/// Reserved export name of table `index`.
pub(crate) fn table_name(index: usize) -> String {
    format!("wattest:t{index}")
}

/// Reserved export name of the probe of data segment `index`.
pub(crate) fn data_name(index: usize) -> String {
    format!("wattest:d{index}")
}

/// Reserved export name of the probe of element segment `index`.
pub(crate) fn element_name(index: usize) -> String {
    format!("wattest:e{index}")
}

const TYPE_SECTION: u8 = 1;
const FUNCTION_SECTION: u8 = 3;
const EXPORT_SECTION: u8 = 7;
const CODE_SECTION: u8 = 10;

/// Order of the export section among the sections that follow it in the grammar.
fn follows_exports(id: u8) -> bool {
    matches!(id, 8..=12)
}

/// A function that traps if and only if a segment is empty.
struct Probe {
    name: String,
    body: Function,
}

/// The probes that a module can have: an operation on a data segment takes a memory and a count of segments, one on an
/// element segment a table of its type, and only where there is code can there be more of it.
fn probes(shape: &Shape) -> Vec<Probe> {
    let mut probes = Vec::new();
    if shape.code_bytes == 0 {
        return probes;
    }
    let mut probe = |name: String, wide: bool, operation: Instruction<'_>| {
        let mut body = Function::new([]);
        let destination = if wide { Instruction::I64Const(0) } else { Instruction::I32Const(0) };
        for instruction in
            [destination, Instruction::I32Const(1), Instruction::I32Const(0), operation, Instruction::End]
        {
            body.instruction(&instruction);
        }
        probes.push(Probe { name, body });
    };
    if let (true, Some(memory)) = (shape.counts_data, shape.memories.first()) {
        for data_index in 0..shape.data_segments {
            let operation = Instruction::MemoryInit { mem: 0, data_index };
            probe(data_name(data_index as usize), memory.memory64, operation);
        }
    }
    for (index, ty) in shape.element_segments.iter().enumerate() {
        let fitting = shape.tables.iter().position(|table| Some(table.element) == *ty);
        if let Some(table) = fitting {
            let operation = Instruction::TableInit { elem_index: index as u32, table: table as u32 };
            probe(element_name(index), shape.tables[table].table64, operation);
        }
    }
    probes
}

/// The entries of a section, and after them others.
fn extended(section: &[u8], count: u32, add: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, ShapeError> {
    let mut reader = wasmparser::BinaryReader::new(section, 0);
    let mut bytes = Vec::with_capacity(section.len() + 16);
    (reader.read_var_u32()? + count).encode(&mut bytes);
    bytes.extend_from_slice(&section[reader.original_position()..]);
    add(&mut bytes);
    Ok(bytes)
}

/// The section with what the probes need of it, if it is one of theirs.
fn with_probes(id: u8, section: &[u8], probes: &[Probe], shape: &Shape) -> Result<Option<Vec<u8>>, ShapeError> {
    let count = probes.len() as u32;
    if count == 0 {
        return Ok(None);
    }
    Ok(Some(match id {
        // The type `[] -> []`.
        TYPE_SECTION => extended(section, 1, |bytes| bytes.extend_from_slice(&[0x60, 0, 0]))?,
        FUNCTION_SECTION => {
            extended(section, count, |bytes| probes.iter().for_each(|_| shape.type_count().encode(bytes)))?
        }
        CODE_SECTION => extended(section, count, |bytes| probes.iter().for_each(|probe| probe.body.encode(bytes)))?,
        _ => return Ok(None),
    }))
}

/// Re-encodes `wasm` with every function, global, memory and table exported, and with probes of its segments.
pub fn expose(wasm: &[u8], shape: &Shape) -> Result<Vec<u8>, ShapeError> {
    let mut module = Module::new();
    let mut exports = Some(ExportSection::new());
    let probes = probes(shape);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::ExportSection(reader) = &payload {
            let section = exports.get_or_insert_with(ExportSection::new);
            for export in reader.clone() {
                let export = export?;
                section.export(export.name, kind(export.kind)?, export.index);
            }
            append(section, shape, &probes);
            module.section(&*section);
            exports = None;
            continue;
        }
        let Some((id, range)) = payload.as_section() else { continue };
        if follows_exports(id)
            && let Some(mut section) = exports.take()
        {
            append(&mut section, shape, &probes);
            module.section(&section);
        }
        debug_assert_ne!(id, EXPORT_SECTION);
        let own = &wasm[range];
        match with_probes(id, own, &probes, shape)? {
            Some(data) => module.section(&RawSection { id, data: &data }),
            None => module.section(&RawSection { id, data: own }),
        };
    }
    if let Some(mut section) = exports.take() {
        append(&mut section, shape, &probes);
        module.section(&section);
    }
    Ok(module.finish())
}

/// Where the first function body lies; 0 where there is none.
pub(crate) fn code_start(wasm: &[u8]) -> Result<usize, ShapeError> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload? {
            return Ok(body.range().start);
        }
    }
    Ok(0)
}

fn append(section: &mut ExportSection, shape: &Shape, probes: &[Probe]) {
    let first = shape.functions.len();
    for (position, probe) in probes.iter().enumerate() {
        section.export(&probe.name, ExportKind::Func, (first + position) as u32);
    }
    for index in 0..shape.functions.len() {
        section.export(&func_name(index), ExportKind::Func, index as u32);
    }
    for index in 0..shape.globals.len() {
        section.export(&global_name(index), ExportKind::Global, index as u32);
    }
    for index in 0..shape.memories.len() {
        section.export(&memory_name(index), ExportKind::Memory, index as u32);
    }
    for index in 0..shape.tables.len() {
        section.export(&table_name(index), ExportKind::Table, index as u32);
    }
}

fn kind(kind: wasmparser::ExternalKind) -> Result<ExportKind, ShapeError> {
    Ok(match kind {
        wasmparser::ExternalKind::Func => ExportKind::Func,
        wasmparser::ExternalKind::Table => ExportKind::Table,
        wasmparser::ExternalKind::Memory => ExportKind::Memory,
        wasmparser::ExternalKind::Global => ExportKind::Global,
        other => return Err(ShapeError(format!("export of kind {other:?} is not covered yet"))),
    })
}
