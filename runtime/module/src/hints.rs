//! Branch hints: the custom section `metadata.code.branch_hint`
//! ([proposal](https://github.com/WebAssembly/branch-hinting/blob/main/proposals/branch-hinting/Overview.md)).
//!
//! Promises: what is returned names `if` and `br_if` instructions of the module's own functions; any departure from the
//! format is an error that concerns nobody but whoever asks for it, because the contents of a custom section never make a
//! module invalid ([spec](https://webassembly.github.io/spec/core/binary/modules.html#custom-section)).
//!
//! Invariant: hints are in the order of their offsets, each offset once.
//!
//! Does not know: what is done with hints.

use crate::{DecodeError, DefinedFuncIndex, FuncIndex, ModuleDesc};
use wasmparser::{BinaryReader, BranchHint as RawHint, BranchHintSectionReader, FunctionBody, Operator};

/// The section's name.
pub(crate) const NAME: &str = "metadata.code.branch_hint";

/// What a branch probably does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchHint {
    /// Byte offset of the `if` or `br_if` in the module.
    pub offset: u32,
    /// Whether its condition is probably true.
    pub taken: bool,
}

fn invalid(message: &str, offset: usize, function: u32) -> DecodeError {
    DecodeError::Invalid { message: format!("branch hint: {message}"), offset, function: Some(function) }
}

/// Reads the hints in `section`, which starts at byte `start` of `wasm`, the binary of `desc`.
pub(crate) fn read(
    section: &[u8],
    start: usize,
    wasm: &[u8],
    desc: &ModuleDesc,
) -> Result<Vec<BranchHint>, DecodeError> {
    let mut hints = Vec::new();
    let mut next_function = 0;
    for entry in BranchHintSectionReader::new(BinaryReader::new(section, start))?.into_iter_with_offsets() {
        let (at, function) = entry?;
        if function.func < next_function {
            return Err(invalid("functions are not in order", at, function.func));
        }
        next_function = function.func.saturating_add(1);
        let defined = desc.functions.get(function.func as usize).and(desc.defined_func(FuncIndex(function.func)));
        let defined = defined.ok_or_else(|| invalid("not a function with a body", at, function.func))?;
        let raw = function.hints.into_iter().collect::<Result<Vec<_>, _>>()?;
        read_function(&raw, at, function.func, body_of(wasm, desc, defined), &mut hints)?;
    }
    Ok(hints)
}

fn body_of<'a>(wasm: &'a [u8], desc: &ModuleDesc, defined: DefinedFuncIndex) -> FunctionBody<'a> {
    let range = &desc.bodies[defined.index()].bytes;
    FunctionBody::new(BinaryReader::new(&wasm[range.start as usize..range.end as usize], range.start as usize))
}

/// Finds the instruction of every hint of one function; `at` is where the hints are.
fn read_function(
    raw: &[RawHint],
    at: usize,
    function: u32,
    body: FunctionBody<'_>,
    hints: &mut Vec<BranchHint>,
) -> Result<(), DecodeError> {
    let start = body.range().start;
    let mut raw = raw.iter().peekable();
    for operator in body.get_operators_reader()?.into_iter_with_offsets() {
        let (operator, offset) = operator?;
        let Some(hint) = raw.next_if(|hint| hint.func_offset as usize + start == offset) else { continue };
        if !matches!(operator, Operator::If { .. } | Operator::BrIf { .. }) {
            return Err(invalid("invalid target", at, function));
        }
        hints.push(BranchHint { offset: offset as u32, taken: hint.taken });
    }
    match raw.next() {
        // Out of order, twice the same, or between instructions.
        Some(_) => Err(invalid("no instruction where it points", at, function)),
        None => Ok(()),
    }
}
