//! The linker: functions laid out in index order, then read-only tables, every relocation resolved.
//!
//! Invariant: the text holds no absolute address; it runs wherever it is mapped.
//!
//! Does not know: how functions were compiled.

use crate::function::RelocationTarget;
use crate::{CompileError, CompileErrorKind, FunctionCode, ModuleCompiler};
use wattest_abi::artifact::{
    AddressRecord, CompiledCode, FunctionRecord, HandlerRecord, LocalsRecord, StackMapRecord, TrapRecord,
};
use wattest_abi::tunables::CallPath;
use wattest_module::TableIndex;

/// Alignment of functions and tables in the text, in bytes.
const ALIGN_BYTES: usize = 16;
/// Most bytes of text: distances between any two places must fit a signed 32-bit displacement.
const TEXT_BYTES_MAX: usize = i32::MAX as usize;
/// What padding between functions traps with, if it is ever run.
const PADDING: u8 = 0xcc;

/// Lays out and relocates `functions`, which are all of the module's, in index order.
pub(crate) fn link(compiler: &ModuleCompiler<'_>, functions: Vec<FunctionCode>) -> Result<CompiledCode, CompileError> {
    let bytes: usize = functions.iter().map(|code| code.code.len() + ALIGN_BYTES).sum();
    let mut out = CompiledCode {
        text: Vec::with_capacity(bytes),
        functions: Vec::with_capacity(functions.len()),
        traps: Vec::with_capacity(functions.iter().map(|code| code.traps.len()).sum()),
        addresses: Vec::with_capacity(functions.iter().map(|code| code.addresses.len()).sum()),
        handlers: Vec::with_capacity(functions.iter().map(|code| code.handlers.len()).sum()),
        stack_maps: Vec::with_capacity(functions.iter().map(|code| code.stack_maps.len()).sum()),
        locals: Vec::with_capacity(functions.iter().map(|code| code.locals.len()).sum()),
    };
    for code in &functions {
        append(&mut out, code)?;
    }
    let mut used = vec![false; compiler.tables.len()];
    for relocation in functions.iter().flat_map(|code| &code.relocations) {
        if let RelocationTarget::StaticTable(table) = relocation.target {
            used[table.index()] = true;
        }
    }
    let mut tables = vec![0; compiler.tables.len()];
    for (index, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        tables[index] = append_table(compiler, &mut out, TableIndex(index as u32))?;
    }
    for code in &functions {
        relocate(&mut out, code, &tables)?;
    }
    Ok(out)
}

fn align(text: &mut Vec<u8>, bytes: usize) -> Result<usize, CompileError> {
    let start = text.len().next_multiple_of(bytes.max(ALIGN_BYTES));
    if start > TEXT_BYTES_MAX {
        return Err(CompileError::module(CompileErrorKind::ModuleTooLarge));
    }
    text.resize(start, PADDING);
    Ok(start)
}

fn append(out: &mut CompiledCode, code: &FunctionCode) -> Result<(), CompileError> {
    let start = align(&mut out.text, code.align_bytes as usize)?;
    if code.code.len() > TEXT_BYTES_MAX - start {
        return Err(CompileError::module(CompileErrorKind::ModuleTooLarge));
    }
    out.text.extend_from_slice(&code.code);
    let start = start as u32;
    out.functions.push(FunctionRecord { text_offset: start, text_bytes: code.code.len() as u32 });
    let traps = code.traps.iter().map(|trap| TrapRecord { text_offset: start + trap.text_offset, code: trap.code });
    out.traps.extend(traps);
    out.handlers.extend(code.handlers.iter().map(|handler| HandlerRecord {
        text_offset: start + handler.text_offset,
        landing_offset: start + handler.landing_offset,
        ..*handler
    }));
    let maps = code.stack_maps.iter();
    out.stack_maps
        .extend(maps.map(|map| StackMapRecord { text_offset: start + map.text_offset, below_fp: map.below_fp }));
    out.locals.extend(code.locals.iter().map(|record| LocalsRecord { text_offset: start, ..*record }));
    for row in &code.addresses {
        let row = AddressRecord { text_offset: start + row.text_offset, wasm_offset: row.wasm_offset };
        match out.addresses.last_mut() {
            // A function's end and its successor's start may coincide.
            Some(last) if last.text_offset == row.text_offset => *last = row,
            Some(last) if last.wasm_offset == row.wasm_offset => {}
            _ => out.addresses.push(row),
        }
    }
    Ok(())
}

/// Appends the read-only contents of `table`: `{u32 type, i32 code}` per element, where `type` is the module's canonical
/// type index plus one, or 0 for null, and `code` the distance of the code from the table's start, or, where calls go
/// through the entry array, the index of the defined function.
fn append_table(
    compiler: &ModuleCompiler<'_>,
    out: &mut CompiledCode,
    table: TableIndex,
) -> Result<usize, CompileError> {
    let start = align(&mut out.text, ALIGN_BYTES)?;
    let contents = compiler.tables[table.index()].contents.as_deref().unwrap_or_default();
    if contents.len() * 8 > TEXT_BYTES_MAX - start {
        return Err(CompileError::module(CompileErrorKind::ModuleTooLarge));
    }
    out.text.reserve(contents.len() * 8);
    for element in contents {
        let (ty, code) = match element {
            None => (0, 0),
            Some(func) => {
                let ty = compiler.static_type_id(compiler.type_of_defined(*func));
                let code = match compiler.tunables.call_path {
                    CallPath::Direct => i64::from(out.functions[func.index()].text_offset) - start as i64,
                    CallPath::Entry => i64::from(func.0),
                };
                (ty, code as i32)
            }
        };
        out.text.extend_from_slice(&ty.to_le_bytes());
        out.text.extend_from_slice(&code.to_le_bytes());
    }
    Ok(start)
}

fn relocate(out: &mut CompiledCode, code: &FunctionCode, tables: &[usize]) -> Result<(), CompileError> {
    let start = out.functions[code.function.index()].text_offset as usize;
    for relocation in &code.relocations {
        let target = match relocation.target {
            RelocationTarget::Function(func) => i64::from(out.functions[func.index()].text_offset),
            RelocationTarget::StaticTable(table) => tables[table.index()] as i64,
        };
        let at = start + relocation.offset as usize;
        let distance = target + relocation.addend - at as i64;
        let internal = |message: &str| CompileError::module(CompileErrorKind::Internal(message.to_string()));
        let distance = i32::try_from(distance).map_err(|_| CompileError::module(CompileErrorKind::ModuleTooLarge))?;
        let place = out.text.get_mut(at..at + 4).ok_or_else(|| internal("relocation outside the text"))?;
        place.copy_from_slice(&distance.to_le_bytes());
    }
    Ok(())
}
