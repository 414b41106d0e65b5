//! Functions that are called once, put in place of their call.
//!
//! Their parameters and locals become locals of the caller, which the arguments are put into. The result may be longer than
//! the caller and what is left of the callee, but has one function less to call; what it stores and loads again is then
//! brought together by [`forwarded`].
//!
//! Invariant: every candidate calls one function less, or has fewer operations.
//!
//! Does not know: whether a candidate is valid, and whether it fails.

use super::labels::leaves;
use super::tree::{Candidate, Trees, encoded};
use crate::pieces::{Pieces, Signature, locals_start, signatures};
use wasm_encoder::{BlockType, Encode, Instruction};
use wasmparser::{BinaryReader, ValType};

const RETURN: u8 = 0x0f;
const CALL: u8 = 0x10;
const RETURN_CALL: u8 = 0x12;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const LOCAL_TEE: u8 = 0x22;

/// The bodies with one call, at a time, replaced by what the function does, whose own body does nothing any more.
pub(super) fn inlined(wasm: &[u8], bodies: &[Pieces]) -> Vec<Vec<Pieces>> {
    let Some(signatures) = signatures(wasm) else { return Vec::new() };
    let Some(imported) = signatures.len().checked_sub(bodies.len()) else { return Vec::new() };
    let mut all = Vec::new();
    for (caller, pieces) in bodies.iter().enumerate() {
        for (at, operation) in pieces.operations.iter().enumerate() {
            let Some((CALL | RETURN_CALL, function)) = operation.split_first().map(|(first, rest)| (*first, rest))
            else {
                continue;
            };
            let Ok(function) = BinaryReader::new(function, 0).read_var_u32() else { continue };
            let callee = (function as usize).checked_sub(imported).filter(|callee| *callee != caller);
            let Some(callee) = callee.filter(|callee| *callee < bodies.len()) else { continue };
            let own = signatures[imported + caller].0.len();
            let changed = in_place(pieces, at, own, &bodies[callee], &signatures[function as usize]);
            if let Some(changed) = changed {
                let mut bodies = bodies.to_vec();
                bodies[caller] = changed;
                bodies[callee] = Pieces { locals: vec![0], operations: vec![encoded(&Instruction::Unreachable)] };
                all.push(bodies);
            }
        }
    }
    all
}

/// A body with its call at `at` replaced by the callee's body.
fn in_place(
    caller: &Pieces,
    at: usize,
    params: usize,
    callee: &Pieces,
    (callee_params, results): &Signature,
) -> Option<Pieces> {
    let first = params as u32 + local_count(&caller.locals)?;
    let mut inside = Vec::new();
    for param in (0..callee_params.len() as u32).rev() {
        inside.push(encoded(&Instruction::LocalSet(first + param)));
    }
    let moved: Vec<Vec<u8>> = callee.operations.iter().map(|operation| with_locals_from(operation, first)).collect();
    // A return in the end is none.
    let moved = match moved.split_last() {
        Some((last, rest)) if last.as_slice() == [RETURN] => rest.to_vec(),
        _ => moved,
    };
    if leaves(&moved)? {
        let ty = match results.as_slice() {
            [] => BlockType::Empty,
            [one] => BlockType::Result(wasm_encoder::ValType::try_from(*one).ok()?),
            _ => return None,
        };
        inside.push(encoded(&Instruction::Block(ty)));
        inside.extend(returns_as_branches(&moved)?);
        inside.push(encoded(&Instruction::End));
    } else {
        inside.extend(moved);
    }
    if caller.operations[at][0] == RETURN_CALL {
        inside.push(vec![RETURN]);
    }
    let mut operations = caller.operations.clone();
    operations.splice(at..=at, inside);
    let locals = with_more_locals(&caller.locals, callee_params, &callee.locals)?;
    Some(Pieces { locals, operations })
}

/// Returns as branches out of the block that is around the operations; calls in the place of a return are left alone.
fn returns_as_branches(operations: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let (mut depth, mut all) = (0, Vec::new());
    for operation in operations {
        all.push(match operation.as_slice() {
            [RETURN] => encoded(&Instruction::Br(depth)),
            other => other.to_vec(),
        });
        depth = super::labels::depth_behind(operation, depth)?;
    }
    Some(all)
}

/// An operation whose locals are counted from `first` on.
fn with_locals_from(operation: &[u8], first: u32) -> Vec<u8> {
    match operation.split_first() {
        Some((kind @ (&LOCAL_GET | &LOCAL_SET | &LOCAL_TEE), rest)) => {
            let Ok(local) = BinaryReader::new(rest, 0).read_var_u32() else { return operation.to_vec() };
            let mut moved = vec![*kind];
            (first + local).encode(&mut moved);
            moved
        }
        _ => operation.to_vec(),
    }
}

/// How many locals these groups declare.
fn local_count(locals: &[u8]) -> Option<u32> {
    let mut reader = BinaryReader::new(locals, 0);
    let mut count = 0u32;
    for _ in 0..reader.read_var_u32().ok()? {
        count = count.checked_add(reader.read_var_u32().ok()?)?;
        reader.read::<ValType>().ok()?;
    }
    Some(count)
}

/// Groups of locals, one for each parameter behind them, and other groups behind those.
fn with_more_locals(locals: &[u8], params: &[ValType], others: &[u8]) -> Option<Vec<u8>> {
    let groups = |locals: &[u8]| BinaryReader::new(locals, 0).read_var_u32().ok();
    let mut all = Vec::new();
    (groups(locals)? + params.len() as u32 + groups(others)?).encode(&mut all);
    all.extend_from_slice(locals.get(locals_start(locals)?..)?);
    for param in params {
        1u32.encode(&mut all);
        wasm_encoder::ValType::try_from(*param).ok()?.encode(&mut all);
    }
    all.extend_from_slice(others.get(locals_start(others)?..)?);
    Some(all)
}

/// Expressions that are put into a local, moved to where the local is read next.
pub(super) fn forwarded(trees: &Trees, operations: &[Vec<u8>]) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        let Some((&LOCAL_SET, local)) = operation.split_first() else { continue };
        let Some(start) = at.checked_sub(1).and_then(|last| trees.start(last, 1)) else { continue };
        let reads = |other: &Vec<u8>| other.split_first() == Some((&LOCAL_GET, local));
        let Some(read) = operations[at + 1..].iter().position(reads).map(|offset| at + 1 + offset) else { continue };
        let instead = operations[at + 1..read].iter().chain(&operations[start..at]).cloned().collect();
        all.push(Candidate { start, end: read + 1, instead });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::{join, split};

    #[test]
    fn a_callee_becomes_part_of_its_caller() {
        let text = "(module
            (func $f (param i32 i64) (result i32) (local f32)
                (if (local.get 0) (then (return (i32.const 1)))) (local.set 2 (f32.const 1)) (i32.wrap_i64 (local.get 1)))
            (func (param f64) (result i32) (local i32) (i32.add (call $f (local.get 1) (i64.const 5)) (i32.const 2))))";
        let wasm = wat::parse_str(text).expect("valid text");
        let bodies = split(&wasm).expect("bodies");
        let found = inlined(&wasm, &bodies);
        assert_eq!(found.len(), 1);
        let expected = "(module
            (func $f (param i32 i64) (result i32) unreachable)
            (func (param f64) (result i32) (local i32 i32 i64 f32)
                local.get 1 i64.const 5 local.set 3 local.set 2
                block (result i32)
                    local.get 2 if i32.const 1 br 1 end f32.const 1 local.set 4 local.get 3 i32.wrap_i64
                end
                i32.const 2 i32.add))";
        let expected = split(&wat::parse_str(expected).expect("valid text")).expect("bodies");
        assert_eq!(found[0][1].operations, expected[1].operations);
        wasmparser::Validator::new().validate_all(&join(&wasm, &found[0])).expect("valid");
    }

    #[test]
    fn what_is_stored_is_brought_to_where_it_is_read() {
        let text = "(module (func (param i32) (result i32)
            (local.set 0 (i32.const 7)) nop (i32.eqz (local.get 0))))";
        let wasm = wat::parse_str(text).expect("valid text");
        let operations = &split(&wasm).expect("bodies")[0].operations;
        let found = forwarded(&Trees::of(&wasm, 0).expect("valid"), operations);
        let instead = vec![operations[2].clone(), operations[0].clone()];
        assert!(
            matches!(found.as_slice(), [one] if (one.start, one.end) == (0, 4) && one.instead == instead),
            "{found:?}"
        );
    }
}
