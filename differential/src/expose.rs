//! The re-encoder: a module with everything exported under reserved names.
//!
//! Sections are copied byte for byte; only the export section is rebuilt
//! ([spec](https://webassembly.github.io/spec/core/binary/modules.html#export-section)). An engine without inspection
//! shows its whole state through these exports.
//!
//! Invariant: index spaces and bodies stay the same; only the names below are added.
//!
//! Does not know: what is done with the exports.

use crate::{Shape, ShapeError};
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
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

const EXPORT_SECTION: u8 = 7;

/// Order of the export section among the sections that follow it in the grammar.
fn follows_exports(id: u8) -> bool {
    matches!(id, 8..=12)
}

/// Re-encodes `wasm` with every function, global, memory and table exported.
pub fn expose(wasm: &[u8], shape: &Shape) -> Result<Vec<u8>, ShapeError> {
    let mut module = Module::new();
    let mut exports = Some(ExportSection::new());
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::ExportSection(reader) = &payload {
            let section = exports.get_or_insert_with(ExportSection::new);
            for export in reader.clone() {
                let export = export?;
                section.export(export.name, kind(export.kind)?, export.index);
            }
            append(section, shape);
            module.section(&*section);
            exports = None;
            continue;
        }
        let Some((id, range)) = payload.as_section() else { continue };
        if follows_exports(id)
            && let Some(mut section) = exports.take()
        {
            append(&mut section, shape);
            module.section(&section);
        }
        debug_assert_ne!(id, EXPORT_SECTION);
        module.section(&RawSection { id, data: &wasm[range] });
    }
    if let Some(mut section) = exports.take() {
        append(&mut section, shape);
        module.section(&section);
    }
    Ok(module.finish())
}

fn append(section: &mut ExportSection, shape: &Shape) {
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
