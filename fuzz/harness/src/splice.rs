//! The third source of modules: the official suite's, with bodies exchanged.
//!
//! A module of the suite has what no generator thinks of; a body of another one in its place, of a function of the same type,
//! does it with other neighbours. Indices of the body that the new home does not have are taken modulo what it has. What
//! does not validate stays as it was.
//!
//! Invariant: the pool is a function of the suites' files; memories and tables of its modules stay small.
//!
//! Does not know: what the suite asserts.

use crate::pieces::{Pieces, join, split};
use crate::source::Source;
use std::sync::OnceLock;
use wasm_encoder::Instruction;
use wasmparser::{BinaryReader, Operator, OperatorsReader, Parser, Payload, Validator, WasmFeatures};
use wattest_differential::{FuncSignature, Shape};
use wattest_spec_tests::script::{Command, ModuleSource};
use wattest_spec_tests::{Script, Suites};

/// Bytes of a module of the pool.
const BYTES_MAX: usize = 20_000;

/// Pages, and elements, of its memories and tables.
const SIZE_MAX: u64 = 64;

/// Bodies that are exchanged in one module.
const EXCHANGES_MAX: usize = 6;

/// A module of the suite that every engine runs.
struct Donor {
    wasm: Vec<u8>,
    bodies: Vec<Pieces>,
    /// Types of the functions with those bodies.
    signatures: Vec<FuncSignature>,
}

/// What the oracle implements.
fn features() -> WasmFeatures {
    let mut features = WasmFeatures::WASM3;
    for missing in [WasmFeatures::GC, WasmFeatures::FUNCTION_REFERENCES, WasmFeatures::EXCEPTIONS] {
        features.remove(missing);
    }
    features.insert(WasmFeatures::REFERENCE_TYPES | WasmFeatures::WIDE_ARITHMETIC | WasmFeatures::CUSTOM_PAGE_SIZES);
    features
}

/// The pool, read once; empty where there are no suites.
fn pool() -> &'static [Donor] {
    static POOL: OnceLock<Vec<Donor>> = OnceLock::new();
    POOL.get_or_init(|| {
        let Ok(suites) = Suites::locate() else { return Vec::new() };
        let texts = suites.files().filter_map(|file| file.read().ok());
        let scripts = texts.filter_map(|text| Script::parse(&text).ok());
        let modules = scripts.flat_map(|script| script.directives).filter_map(|directive| match directive.command {
            Command::Module(_, ModuleSource::Binary(wasm)) => Some(wasm),
            _ => None,
        });
        modules.filter_map(donor).collect()
    })
}

/// The module, if it is one for the pool.
fn donor(wasm: Vec<u8>) -> Option<Donor> {
    if wasm.len() > BYTES_MAX || Validator::new_with_features(features()).validate_all(&wasm).is_err() {
        return None;
    }
    let shape = Shape::of(&wasm).ok()?;
    let bounded = |minimum: u64, maximum: Option<u64>, log2: u8| {
        minimum.max(maximum.unwrap_or(minimum)) << log2 <= SIZE_MAX << 16
    };
    let memories = shape.memories.iter().all(|memory| bounded(memory.minimum, memory.maximum, memory.page_bytes_log2));
    let tables = shape.tables.iter().all(|table| bounded(table.minimum, table.maximum, 10));
    let unbounded = shape.memories.iter().any(|memory| memory.maximum.is_none())
        || shape.tables.iter().any(|table| table.maximum.is_none());
    let bodies = split(&wasm)?;
    let grows = bodies.iter().flat_map(|body| &body.operations).any(|bytes| {
        matches!(operator(bytes), Some(Operator::MemoryGrow { .. } | Operator::TableGrow { .. }))
    });
    let own = shape.functions.get(shape.imported_functions as usize..)?;
    let callable = shape.export_names.iter().skip(shape.imported_functions as usize).any(Option::is_some);
    let signatures = own.to_vec();
    let fits = memories && tables && !(unbounded && grows) && callable && signatures.len() == bodies.len();
    fits.then_some(Donor { wasm, bodies, signatures })
}

fn operator(bytes: &[u8]) -> Option<Operator<'_>> {
    OperatorsReader::new(BinaryReader::new(bytes, 0)).read().ok()
}

/// Numbers of what operations can name.
#[derive(Default)]
struct Room {
    types: u32,
    functions: u32,
    globals: u32,
    tables: u32,
}

fn room(wasm: &[u8]) -> Option<Room> {
    let shape = Shape::of(wasm).ok()?;
    let mut types = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::TypeSection(reader) = payload.ok()? {
            types = reader.count();
        }
    }
    Some(Room {
        types,
        functions: shape.functions.len() as u32,
        globals: shape.globals.len() as u32,
        tables: shape.tables.len() as u32,
    })
}

/// The operation with indices that the new home has.
fn moved(bytes: &[u8], room: &Room) -> Vec<u8> {
    let within = |index: u32, count: u32| if count == 0 { index } else { index % count };
    let instead = match operator(bytes) {
        Some(Operator::Call { function_index }) => Instruction::Call(within(function_index, room.functions)),
        Some(Operator::RefFunc { function_index }) => Instruction::RefFunc(within(function_index, room.functions)),
        Some(Operator::GlobalGet { global_index }) => Instruction::GlobalGet(within(global_index, room.globals)),
        Some(Operator::GlobalSet { global_index }) => Instruction::GlobalSet(within(global_index, room.globals)),
        Some(Operator::CallIndirect { type_index, table_index }) => Instruction::CallIndirect {
            type_index: within(type_index, room.types),
            table_index: within(table_index, room.tables),
        },
        _ => return bytes.to_vec(),
    };
    let mut moved = Vec::new();
    wasm_encoder::Encode::encode(&instead, &mut moved);
    moved
}

/// A module, and how many functions with bodies and operations it has; `None` where there are no suites.
pub fn generate(source: &mut Source<'_>) -> Option<(Vec<u8>, u32, u32)> {
    let pool = pool();
    let any = |source: &mut Source<'_>| pool.get(source.u32() as usize % pool.len().max(1));
    let home = any(source)?;
    let room = room(&home.wasm)?;
    let mut bodies = home.bodies.clone();
    for _ in 0..source.between(1, EXCHANGES_MAX) {
        let (at, guest) = (source.below(bodies.len()), any(source)?);
        let wanted = home.signatures.get(at)?;
        let start = source.below(guest.bodies.len());
        let Some(from) = (0..guest.bodies.len())
            .map(|step| (start + step) % guest.bodies.len())
            .find(|from| guest.signatures[*from] == *wanted)
        else {
            continue;
        };
        let mut body = guest.bodies[from].clone();
        body.operations.iter_mut().for_each(|bytes| *bytes = moved(bytes, &room));
        let own = std::mem::replace(&mut bodies[at], body);
        if Validator::new_with_features(features()).validate_all(&join(&home.wasm, &bodies)).is_err() {
            bodies[at] = own;
        }
    }
    let operations = bodies.iter().map(|body| body.operations.len() as u32).sum();
    Some((join(&home.wasm, &bodies), bodies.len() as u32, operations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};

    #[test]
    fn splices_are_valid_and_new() {
        let (mut spliced, mut made) = (0, 0);
        for seed in 0..200 {
            let bytes = expand(case_seed(8, seed));
            let Some((wasm, functions, _)) = generate(&mut Source::new(&bytes)) else { continue };
            made += 1;
            assert!(Validator::new_with_features(features()).validate_all(&wasm).is_ok(), "{seed}");
            assert!(functions > 0, "{seed}");
            spliced += u32::from(pool().iter().all(|donor| donor.wasm != wasm));
        }
        assert!(made == 200 && spliced > 60, "{spliced} of {made} are new, from {} modules", pool().len());
    }
}
