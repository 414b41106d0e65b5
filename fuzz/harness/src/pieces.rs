//! Bodies of a module in pieces: locals and operations as bytes, to be changed and put together again.
//!
//! Everything else of the module is copied as it is, custom sections left out.
//!
//! Invariant: [`join`] of [`split`] is the module, without its custom sections.
//!
//! Does not know: what operations mean.

use wasm_encoder::{CodeSection, Module, RawSection};
use wasmparser::{CompositeInnerType, Parser, Payload, TypeRef, ValType};

/// A body: its locals as bytes, and its operations one by one, the final `end` left out.
#[derive(Clone)]
pub(crate) struct Pieces {
    pub(crate) locals: Vec<u8>,
    pub(crate) operations: Vec<Vec<u8>>,
}

/// The bodies, in order; `None` where the bytes are no module.
pub(crate) fn split(wasm: &[u8]) -> Option<Vec<Pieces>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CodeSectionEntry(body) = payload.ok()? else { continue };
        let mut reader = body.get_operators_reader().ok()?;
        let start = reader.original_position();
        let mut operations = Vec::new();
        while !reader.eof() {
            let from = reader.original_position();
            reader.read().ok()?;
            operations.push(wasm[from..reader.original_position()].to_vec());
        }
        operations.pop();
        bodies.push(Pieces { locals: wasm[body.range().start..start].to_vec(), operations });
    }
    Some(bodies)
}

/// Where the groups of locals begin: behind their number.
pub(crate) fn locals_start(locals: &[u8]) -> Option<usize> {
    locals.iter().position(|byte| byte & 0x80 == 0).map(|last| last + 1)
}

/// Parameters and results.
pub(crate) type Signature = (Vec<ValType>, Vec<ValType>);

/// Parameters and results of each type; `None` for those that are no functions.
pub(crate) fn function_types(wasm: &[u8]) -> Option<Vec<Option<Signature>>> {
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

/// Parameters and results of all functions, by index.
pub(crate) fn signatures(wasm: &[u8]) -> Option<Vec<Signature>> {
    let types = function_types(wasm)?;
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ok()?.ty {
                        functions.push(types.get(ty as usize)?.clone()?);
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    functions.push(types.get(ty.ok()? as usize)?.clone()?);
                }
            }
            _ => {}
        }
    }
    Some(functions)
}

/// Numbers of parameters, by function index.
pub(crate) fn parameter_counts(wasm: &[u8]) -> Option<Vec<u32>> {
    Some(signatures(wasm)?.iter().map(|(params, _)| params.len() as u32).collect())
}

/// The module with other bodies.
pub(crate) fn join(wasm: &[u8], bodies: &[Pieces]) -> Vec<u8> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm).filter_map(Result::ok) {
        if let Payload::CodeSectionStart { .. } = payload {
            let mut section = CodeSection::new();
            for body in bodies {
                let mut bytes = body.locals.clone();
                body.operations.iter().for_each(|operation| bytes.extend_from_slice(operation));
                bytes.push(0x0b);
                section.raw(&bytes);
            }
            module.section(&section);
        } else if let Some((id, range)) = payload.as_section()
            && id != 0
        {
            module.section(&RawSection { id, data: &wasm[range] });
        }
    }
    module.finish()
}

/// The module with bytes put into its bodies: of each body, in order, positions from where it starts (its locals) and what
/// is put there. Everything else is copied, custom sections too; bodies beyond the list stay as they are. `None` where the
/// bytes are no module.
pub(crate) fn splice(wasm: &[u8], insertions: &[Vec<(usize, Vec<u8>)>]) -> Option<Vec<u8>> {
    let mut module = Module::new();
    let mut code: Option<CodeSection> = None;
    let mut left = 0;
    let mut index = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        if let Payload::CodeSectionStart { count, .. } = payload {
            code = Some(CodeSection::new());
            left = count;
        } else if let Payload::CodeSectionEntry(body) = &payload {
            let bytes = &wasm[body.range()];
            let mut changed = Vec::with_capacity(bytes.len() + 64);
            let mut copied = 0;
            for (position, inserted) in insertions.get(index).map(Vec::as_slice).unwrap_or_default() {
                changed.extend_from_slice(bytes.get(copied..*position)?);
                changed.extend_from_slice(inserted);
                copied = *position;
            }
            changed.extend_from_slice(&bytes[copied..]);
            code.get_or_insert_default().raw(&changed);
            index += 1;
            left -= 1;
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &wasm[range] });
        }
        if left == 0
            && let Some(code) = code.take()
        {
            module.section(&code);
        }
    }
    Some(module.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_module() {
        let text = "(module (func (param i32) (result i32) (local i64) local.get 0 (if (then nop)) i32.const 1))";
        let wasm = wat::parse_str(text).expect("valid text");
        let bodies = split(&wasm).expect("valid bodies");
        assert_eq!(join(&wasm, &bodies), wasm);
    }
}
