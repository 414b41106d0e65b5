//! Bodies as trees: which operations before an operation compute its operands, by the heights of the validator's stack.
//!
//! [`candidates`] lists what may stand for a body: an expression by a constant or by one of its own operands, a statement by
//! nothing, a block by what is in it.
//!
//! Invariant: candidates come largest change first, each shorter than the body in bytes or in operations.
//!
//! Does not know: whether a candidate is valid (most are), and whether it fails.

use std::collections::BTreeMap;
use wasm_encoder::{Encode, Instruction};
use wasmparser::{ValType, ValidPayload, Validator, WasmFeatures};
use wattest_differential::Value;

/// The stacks around an operation.
#[derive(Clone, Copy, Debug)]
struct Point {
    height_before: u32,
    height_after: u32,
    depth_before: u32,
    depth_after: u32,
    /// Type on top afterwards; `None` where there is nothing or anything.
    top: Option<ValType>,
}

/// A body cut at its operations, and what their stacks are.
pub(super) struct Trees {
    points: Vec<Point>,
}

/// A range of operations and what may stand for it.
#[derive(Debug)]
pub(super) struct Candidate {
    /// First operation.
    pub start: usize,
    /// Behind the last one.
    pub end: usize,
    /// Instead of them.
    pub instead: Vec<Vec<u8>>,
}

/// Values that expressions had, by the position of their last operation.
pub(super) type Observed = BTreeMap<usize, Value>;

impl Trees {
    /// The trees of a body, by position among the module's bodies; `None` where the module is not valid.
    pub(super) fn of(wasm: &[u8], body: usize) -> Option<Trees> {
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut seen = 0;
        for payload in wasmparser::Parser::new(0).parse_all(wasm) {
            let ValidPayload::Func(to_validate, code) = validator.payload(&payload.ok()?).ok()? else { continue };
            if seen < body {
                seen += 1;
                continue;
            }
            let mut func = to_validate.into_validator(Default::default());
            let mut reader = code.get_binary_reader();
            func.read_locals(&mut reader).ok()?;
            let mut points = Vec::new();
            let mut operators = wasmparser::OperatorsReader::new(reader);
            while !operators.eof() {
                let (operator, offset) = operators.read_with_offset().ok()?;
                let (height_before, depth_before) = (func.operand_stack_height(), func.control_stack_height());
                func.op(offset, &operator).ok()?;
                points.push(Point {
                    height_before,
                    height_after: func.operand_stack_height(),
                    depth_before,
                    depth_after: func.control_stack_height(),
                    top: func.get_operand_type(0).flatten(),
                });
            }
            // The final `end` is no operation of the body.
            points.pop();
            return Some(Trees { points });
        }
        None
    }

    /// The first operation of what ends behind operation `last` and adds `results` to the stack.
    fn start(&self, last: usize, results: u32) -> Option<usize> {
        let end = self.points.get(last)?;
        let floor = end.height_after.checked_sub(results)?;
        let mut at = last;
        loop {
            let point = &self.points[at];
            if point.depth_before < end.depth_after {
                return None;
            }
            if point.depth_before == end.depth_after && point.height_before <= floor {
                return (point.height_before == floor).then_some(at);
            }
            at = at.checked_sub(1)?;
        }
    }

    /// The operation that opens the block that operation `end` closes.
    fn opening(&self, end: usize) -> Option<usize> {
        let depth = self.points.get(end)?.depth_after;
        (0..end).rev().find(|at| self.points[*at].depth_before == depth)
    }

    /// Positions behind which an expression of one number ends, with its type.
    pub(super) fn expressions(&self) -> impl Iterator<Item = (usize, ValType)> {
        let ends = self.points.iter().enumerate();
        ends.filter_map(|(at, point)| {
            let start = self.start(at, 1)?;
            let ty = point.top.filter(|ty| !ty.is_reference_type())?;
            (start < at).then_some((at, ty))
        })
    }

    /// What may stand for parts of the body, the largest parts first.
    pub(super) fn candidates(&self, operations: &[Vec<u8>], observed: &Observed) -> Vec<Candidate> {
        let mut all = Vec::new();
        for last in 0..self.points.len().min(operations.len()) {
            if let Some(start) = self.start(last, 0) {
                all.push(Candidate { start, end: last + 1, instead: Vec::new() });
            }
            if let Some(start) = self.start(last, 1) {
                self.expression(operations, observed, start, last, &mut all);
            }
            if self.points[last].depth_after < self.points[last].depth_before
                && let Some(open) = self.opening(last)
            {
                let inside = operations[open + 1..last].to_vec();
                all.push(Candidate { start: open, end: last + 1, instead: inside });
            }
        }
        all.sort_by_key(|candidate| {
            std::cmp::Reverse((candidate.end - candidate.start).saturating_sub(candidate.instead.len()))
        });
        all
    }

    /// For the expression in `start..=last`: constants, then each of its operands.
    fn expression(
        &self,
        operations: &[Vec<u8>],
        observed: &Observed,
        start: usize,
        last: usize,
        all: &mut Vec<Candidate>,
    ) {
        let whole = |instead| Candidate { start, end: last + 1, instead };
        let constants = observed.get(&last).map(|value| constant(*value)).into_iter().flatten();
        let zero = self.points[last].top.and_then(zero);
        for constant in constants.chain(zero) {
            if start < last || constant.len() < operations[last].len() {
                all.push(whole(vec![constant]));
            }
        }
        let mut end = last;
        while end > start {
            let Some(first) = self.start(end - 1, 1).filter(|first| *first >= start) else { return };
            all.push(whole(operations[first..end].to_vec()));
            end = first;
        }
    }
}

fn encoded(instruction: &Instruction<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    instruction.encode(&mut bytes);
    bytes
}

/// The operation that gives a number.
fn constant(value: Value) -> Option<Vec<u8>> {
    Some(encoded(&match value {
        Value::I32(bits) => Instruction::I32Const(bits as i32),
        Value::I64(bits) => Instruction::I64Const(bits as i64),
        Value::F32(bits) => Instruction::F32Const(f32::from_bits(bits).into()),
        Value::F64(bits) => Instruction::F64Const(f64::from_bits(bits).into()),
        Value::V128(bits) => Instruction::V128Const(bits as i128),
        Value::Func(_) | Value::Extern(_) => return None,
    }))
}

/// The zero or the null of a type.
fn zero(ty: ValType) -> Option<Vec<u8>> {
    constant(match ty {
        ValType::I32 => Value::I32(0),
        ValType::I64 => Value::I64(0),
        ValType::F32 => Value::F32(0),
        ValType::F64 => Value::F64(0),
        ValType::V128 => Value::V128(0),
        ValType::Ref(ty) => {
            let ty = wasm_encoder::RefType::try_from(ty).ok()?;
            return Some(encoded(&Instruction::RefNull(ty.heap_type)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::split;

    /// The candidates of a body's text, as lengths of what goes and of what comes.
    fn check(body: &str, expected: &[(usize, usize, usize)]) {
        let text = format!("(module (func (param i32) (result i32) {body}))");
        let wasm = wat::parse_str(&text).expect("valid text");
        let operations = &split(&wasm).expect("bodies")[0].operations;
        let trees = Trees::of(&wasm, 0).expect("valid");
        let found = trees.candidates(operations, &Observed::new());
        let found: Vec<_> = found.iter().map(|one| (one.start, one.end, one.instead.len())).collect();
        for one in expected {
            assert!(found.contains(one), "{body}: {one:?} in {found:?}");
        }
    }

    #[test]
    fn expressions_statements_and_blocks_are_found() {
        // A sum: by a constant, by its first operand, by its second.
        check("(i32.add (local.get 0) (i32.popcnt (local.get 0)))", &[(0, 4, 1), (0, 4, 2), (1, 4, 0)]);
        check("(local.set 0 (i32.const 1)) (local.get 0)", &[(0, 2, 0)]);
        check("(block (result i32) (nop) (local.get 0))", &[(0, 4, 2), (0, 4, 1)]);
    }
}
