//! Custom sections that mean something: branch hints.
//!
//! The section `metadata.code.branch_hint` of the
//! [proposal](https://github.com/WebAssembly/branch-hinting/blob/main/proposals/branch-hinting/Overview.md). The contents
//! of a custom section never make a module invalid, so decoding does not look at them: this is for whoever asks.
//!
//! Invariant: a hint that passes is for an `if` or a `br_if` of a function with a body, and the only one for it.
//!
//! Does not know: what hints are good for.

use crate::error::ModuleError;
use crate::module::{Features, Module};
use std::collections::BTreeMap;
use wasmparser::{BinaryReader, BranchHintSectionReader, FunctionBody, Operator, Parser, Payload};

const BRANCH_HINT: &str = "metadata.code.branch_hint";

impl Module {
    /// Checks a module and the contents of its custom sections.
    ///
    /// # Errors
    /// As [`Module::decode`], or when a custom section that has a meaning departs from its format.
    pub fn check_custom_sections(bytes: &[u8], features: Features) -> Result<(), ModuleError> {
        Module::decode(bytes, features)?;
        let mut hints = None;
        let mut imported = 0;
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let ty = import?.ty;
                        let is_func = matches!(ty, wasmparser::TypeRef::Func(_) | wasmparser::TypeRef::FuncExact(_));
                        imported += u32::from(is_func);
                    }
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                Payload::CustomSection(section) if section.name() == BRANCH_HINT => {
                    let at = section.data_offset();
                    if hints.replace((section.data(), at)).is_some() {
                        return Err(annotation(at, "duplicate section"));
                    }
                    if !bodies.is_empty() {
                        return Err(annotation(at, "the section comes after the code"));
                    }
                }
                _ => {}
            }
        }
        hints.map_or(Ok(()), |(data, at)| check_hints(data, at, imported, &bodies))
    }
}

fn annotation(offset: usize, text: &str) -> ModuleError {
    ModuleError::invalid(offset, format!("@{BRANCH_HINT} annotation: {text}"))
}

/// `branchhintsec`: functions in increasing order, and of each its hints in increasing order.
fn check_hints(data: &[u8], at: usize, imported: u32, bodies: &[FunctionBody<'_>]) -> Result<(), ModuleError> {
    let mut last_func = None;
    for func in BranchHintSectionReader::new(BinaryReader::new(data, at))?.into_iter_with_offsets() {
        let (at, func) = func?;
        if last_func.replace(func.func) >= Some(func.func) {
            return Err(annotation(at, "functions are not in order"));
        }
        let body = func.func.checked_sub(imported).and_then(|index| bodies.get(index as usize));
        let body = body.ok_or_else(|| annotation(at, "not a function with a body"))?;
        let targets = targets(body)?;
        let mut last_offset = None;
        for hint in func.hints.into_iter_with_offsets() {
            let (at, hint) = hint?;
            if last_offset.replace(hint.func_offset) >= Some(hint.func_offset) {
                return Err(annotation(at, "duplicate annotation, or hints that are not in order"));
            }
            match targets.get(&hint.func_offset) {
                Some(true) => {}
                Some(false) => return Err(annotation(at, "invalid target")),
                None => return Err(annotation(at, "not an instruction")),
            }
        }
    }
    Ok(())
}

/// Instructions by their offset from the start of the body, and whether they can be hinted.
fn targets(body: &FunctionBody<'_>) -> Result<BTreeMap<u32, bool>, ModuleError> {
    let start = body.range().start;
    let mut targets = BTreeMap::new();
    for operator in body.get_operators_reader()?.into_iter_with_offsets() {
        let (operator, at) = operator?;
        targets.insert((at - start) as u32, matches!(operator, Operator::If { .. } | Operator::BrIf { .. }));
    }
    Ok(targets)
}
