//! `emi`: a program and its equivalents do the same.
//!
//! A generated module is rewritten without changing its meaning: code that is never reached, blocks and loops that end at
//! once, handlers that never catch, values that take a detour through locals, globals or memories of their own, constants
//! split in two, calls that become calls by reference or lie in a block of their type. The rewritten module runs in the same
//! configuration as the original, and must do what that did, step by step; what differs is the code generator's fault, since
//! both went through it.
//!
//! Invariant: a rewriting keeps all index spaces and adds only at their ends.
//!
//! Does not know: what the module computes.

use super::core::{case_of, envelope};
use super::subject::endless_row;
use super::{Outcome, Target};
use crate::case::Case;
use crate::envelope::Envelope;
use crate::pieces::{Pieces, join, split};
use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use wasm_encoder::{BlockType, Catch, Encode, Instruction, ValType};
use wasmparser::{BinaryReader, FunctionBody, Operator, OperatorsReader, Parser, Payload, Validator, WasmFeatures};
use wattest_differential::{CONFIGS, Engine, NanRule, Program, WattestEngine, compare};

/// Rewritings of one module.
const REWRITES_MAX: usize = 60;

/// What the rewritings need to know of a module.
#[derive(Default)]
struct Facts {
    /// The type of each function, by index.
    types: Vec<u32>,
    /// Functions that may be referred to.
    declared: BTreeSet<u32>,
    imported: u32,
}

fn facts(wasm: &[u8]) -> Option<Facts> {
    let mut facts = Facts::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    if let wasmparser::TypeRef::Func(ty) = import.ok()?.ty {
                        facts.types.push(ty);
                        facts.imported += 1;
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    facts.types.push(ty.ok()?);
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.ok()?;
                    if export.kind == wasmparser::ExternalKind::Func {
                        facts.declared.insert(export.index);
                    }
                }
            }
            _ => {}
        }
    }
    Some(facts)
}

fn encoded(instructions: &[Instruction<'_>]) -> Vec<Vec<u8>> {
    let encode = |instruction: &Instruction<'_>| {
        let mut bytes = Vec::new();
        instruction.encode(&mut bytes);
        bytes
    };
    instructions.iter().map(encode).collect()
}

/// The operator in some bytes.
fn operator(bytes: &[u8]) -> Option<Operator<'_>> {
    OperatorsReader::new(BinaryReader::new(bytes, 0)).read().ok()
}

/// Code that changes nothing, for any place where code can be reached or not.
fn nothing(source: &mut Source<'_>) -> Vec<Vec<u8>> {
    use Instruction as I;
    let empty = BlockType::Empty;
    match source.below(9) {
        0 => encoded(&[I::Nop]),
        1 => encoded(&[I::Block(empty), I::End]),
        2 => encoded(&[I::Loop(empty), I::End]),
        3 => encoded(&[I::I32Const(0), I::If(empty), I::Unreachable, I::End]),
        // A condition that only an optimizer can know.
        4 => encoded(&[I::I32Const(96), I::I32Ctz, I::I32Const(5), I::I32Ne, I::If(empty), I::Unreachable, I::End]),
        5 => encoded(&[I::Block(empty), I::Br(0), I::End]),
        6 => {
            let catch = [Catch::All { label: 0 }];
            encoded(&[I::Block(empty), I::TryTable(empty, (&catch[..]).into()), I::Nop, I::End, I::End])
        }
        7 => encoded(&[I::I64Const(-1), I::F64ConvertI64U, I::Drop]),
        _ => encoded(&[
            I::Block(empty),
            I::Block(empty),
            I::I32Const(1),
            I::BrTable((&[0u32, 1][..]).into(), 0),
            I::End,
            I::End,
        ]),
    }
}

/// What may stand for an operation, or go with it; `None` where there is nothing.
fn instead(bytes: &[u8], facts: &Facts, source: &mut Source<'_>) -> Option<Vec<Vec<u8>>> {
    use Instruction as I;
    let own = bytes.to_vec();
    Some(match operator(bytes)? {
        Operator::LocalSet { local_index } => {
            let mut all = vec![own.clone()];
            all.extend(encoded(&[I::LocalGet(local_index), I::LocalSet(local_index)]));
            all
        }
        Operator::LocalGet { local_index } if source.percent(50) => {
            let mut all = vec![own.clone(), own];
            all.extend(encoded(&[I::Drop]));
            let _ = local_index;
            all
        }
        Operator::LocalGet { local_index } => encoded(&[I::LocalGet(local_index), I::LocalTee(local_index)]),
        Operator::LocalTee { local_index } => encoded(&[I::LocalSet(local_index), I::LocalGet(local_index)]),
        Operator::I32Const { value } => {
            let part = source.u32() as i32;
            encoded(&[I::I32Const(value.wrapping_sub(part)), I::I32Const(part), I::I32Add])
        }
        Operator::I64Const { value } => {
            let part = source.u64() as i64;
            encoded(&[I::I64Const(value ^ part), I::I64Const(part), I::I64Xor])
        }
        Operator::F32Const { value } => encoded(&[I::I32Const(value.bits() as i32), I::F32ReinterpretI32]),
        Operator::F64Const { value } => encoded(&[I::I64Const(value.bits() as i64), I::F64ReinterpretI64]),
        Operator::Call { function_index } => {
            let ty = *facts.types.get(function_index as usize)?;
            match source.below(3) {
                0 if facts.declared.contains(&function_index) => encoded(&[I::RefFunc(function_index), I::CallRef(ty)]),
                1 => {
                    let mut all = encoded(&[I::Block(BlockType::FunctionType(ty))]);
                    all.push(own);
                    all.extend(encoded(&[I::End]));
                    all
                }
                _ => {
                    // A handler that never catches: what the callee throws cannot be, no module here throws.
                    let mut all = encoded(&[I::TryTable(BlockType::FunctionType(ty), (&[][..]).into())]);
                    all.push(own);
                    all.extend(encoded(&[I::End]));
                    all
                }
            }
        }
        Operator::Return => encoded(&[I::Block(BlockType::Empty), I::End]).into_iter().chain([own]).collect(),
        Operator::I32Eqz => encoded(&[I::I32Const(0), I::I32Eq]),
        Operator::I64Eqz => encoded(&[I::I64Const(0), I::I64Eq]),
        Operator::I32Add => encoded(&[I::I32Const(-1), I::I32Xor, I::I32Const(1), I::I32Add, I::I32Sub]),
        Operator::I64Mul => encoded(&[I::I64Const(-1), I::I64Mul, I::I64Mul, I::I64Const(-1), I::I64Mul]),
        Operator::I32WrapI64 => encoded(&[I::I64Const(0x5a5a_5a5a_0000_0000), I::I64Xor, I::I32WrapI64]),
        Operator::Select => {
            let mut all = encoded(&[I::I32Eqz, I::I32Eqz]);
            all.push(own);
            all
        }
        _ => return None,
    })
}

/// A spill: the operand on top goes through a fresh local. Only where its type is plain from the operation before it.
fn spill(body: &mut Pieces, at: usize) -> Option<()> {
    let ty = match operator(&body.operations[at])? {
        Operator::I32Const { .. }
        | Operator::I32Add
        | Operator::I32Mul
        | Operator::I32Xor
        | Operator::I32Load { .. } => ValType::I32,
        Operator::I64Const { .. } | Operator::I64Add | Operator::I64Mul | Operator::I64Load { .. } => ValType::I64,
        Operator::F32Add | Operator::F32Mul | Operator::F32Load { .. } => ValType::F32,
        Operator::F64Add | Operator::F64Mul | Operator::F64Load { .. } => ValType::F64,
        Operator::I8x16Add | Operator::I32x4Add | Operator::V128Xor | Operator::V128Load { .. } => ValType::V128,
        _ => return None,
    };
    let local = add_local(body, ty)?;
    let detour = encoded(&[Instruction::LocalSet(local), Instruction::LocalGet(local)]);
    body.operations.splice(at + 1..at + 1, detour);
    Some(())
}

/// Adds a local at the end; `None` in a function whose parameters are not known here.
fn add_local(body: &mut Pieces, ty: ValType) -> Option<u32> {
    let params = body.params?;
    let mut whole = body.locals.clone();
    whole.push(0x0b);
    let reader = FunctionBody::new(BinaryReader::new(&whole, 0));
    let mut groups = Vec::new();
    for group in reader.get_locals_reader().ok()? {
        groups.push(group.ok()?);
    }
    let count: u32 = groups.iter().map(|(count, _)| count).sum();
    let start = crate::pieces::locals_start(&body.locals)?;
    let mut locals = Vec::new();
    (groups.len() as u32 + 1).encode(&mut locals);
    locals.extend_from_slice(&body.locals[start..]);
    1u32.encode(&mut locals);
    ty.encode(&mut locals);
    body.locals = locals;
    Some(params + count)
}

/// The rewritten module, and how many rewritings it took; `None` where none is valid.
fn rewrite(wasm: &[u8], source: &mut Source<'_>) -> Option<Vec<u8>> {
    let facts = facts(wasm)?;
    let mut bodies = split(wasm)?;
    let params = crate::pieces::parameter_counts(wasm)?;
    for (index, body) in bodies.iter_mut().enumerate() {
        body.params = params.get(index + facts.imported as usize).copied();
    }
    for _ in 0..source.between(8, REWRITES_MAX) {
        let index = source.below(bodies.len());
        let body = bodies.get_mut(index)?;
        let at = source.below(body.operations.len() + 1);
        match source.below(4) {
            0 => {
                let nothing = nothing(source);
                body.operations.splice(at..at, nothing);
            }
            1 if at < body.operations.len() => {
                spill(body, at);
            }
            _ => {
                // The next operation, from here on, that has an equivalent.
                for at in at..body.operations.len() {
                    if let Some(instead) = instead(&body.operations[at], &facts, source) {
                        body.operations.splice(at..=at, instead);
                        break;
                    }
                }
            }
        }
    }
    let rewritten = join(wasm, &bodies);
    Validator::new_with_features(WasmFeatures::all()).validate_all(&rewritten).is_ok().then_some(rewritten)
}

/// The target.
#[derive(Default)]
pub(super) struct Emi {
    engines: BTreeMap<usize, WattestEngine>,
}

impl Target for Emi {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = endless_row(&mut source);
        let seed = source.u64();
        let case = Case::from_bytes(bytes.get(16..).unwrap_or_default())?;
        let choices = crate::source::expand(seed);
        let rewritten = rewrite(&case.program.wasm, &mut Source::new(&choices))?;
        let case = envelope("emi", &case).set("form", "original").set("nans", "exact").set("subject", subject);
        Some(case.module("equivalent", rewritten))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let (Some(core), Ok(equivalent)) = (case_of(case), Program::new(case.bytes(1).to_vec())) else {
            return Outcome::default();
        };
        let row = core.recipe.subject % CONFIGS.len();
        let fuel = (0..CONFIGS.len()).find(|row| CONFIGS[*row].counts_fuel()).unwrap_or(0);
        let mut plan = core.recipe.plan.clone();
        // A call without end is found out by a configuration that ends it.
        let limited = self.engines.entry(fuel).or_insert_with(|| WattestEngine::new(fuel));
        let Ok(limited) = limited.run(&core.program, &plan) else { return Outcome::default() };
        if limited.steps.is_empty() {
            return Outcome::default();
        }
        plan.calls.truncate(limited.steps.len() - 1);
        let engine = self.engines.entry(row).or_insert_with(|| WattestEngine::new(row));
        let name = engine.name();
        let runs = (engine.run(&core.program, &plan), engine.run(&equivalent, &plan));
        let (mut original, mut other) = match runs {
            (Ok(original), Ok(other)) => (original, other),
            (Err(refusal), _) | (_, Err(refusal)) => return Outcome::failed(&name, refusal.to_string()),
        };
        for step in original.steps.iter_mut().chain(&mut other.steps) {
            // The same instruction lies elsewhere.
            step.offset = None;
        }
        match compare(&original, &other, NanRule::Exact) {
            Ok(()) => Outcome { checks: original.steps.len() as u64, useful: true, ..Outcome::default() },
            Err(mismatch) => Outcome::failed(&name, format!("the equivalent module: {mismatch}")),
        }
    }
}
