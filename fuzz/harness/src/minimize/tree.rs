//! Bodies as trees: which operations before an operation compute its operands, by the heights of the validator's stack.
//!
//! [`candidates`] lists what may stand for a body: an expression by a constant or by one of its own operands, a statement by
//! nothing, a block by what is in it.
//!
//! Invariant: candidates come largest change first, each shorter than the body in bytes or in operations.
//!
//! Does not know: whether a candidate is valid (most are), and whether it fails.

use super::labels::{retargeted, straight, unwrapped, without_a_catch};
use crate::pieces::{Pieces, Signature, signatures};
use std::collections::BTreeMap;
use wasm_encoder::{Encode, Instruction};
use wasmparser::types::{CoreTypeId, TypesRef};
use wasmparser::{HeapType, RefType, UnpackedIndex, ValType, ValidPayload, Validator, WasmFeatures};
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
    /// Arguments for each function of the module, where there are short ones.
    arguments: Vec<Option<Vec<Vec<u8>>>>,
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
            let numbers = validator.types(0).map(numbers_of_types).unwrap_or_default();
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
                    top: func.get_operand_type(0).flatten().map(|ty| by_number(ty, &numbers)),
                });
            }
            // The final `end` is no operation of the body.
            points.pop();
            let arguments = |(params, _): &Signature| {
                params.iter().map(|param| simplest(*param)).collect::<Option<Vec<_>>>().map(|all| all.concat())
            };
            return Some(Trees { points, arguments: signatures(wasm)?.iter().map(arguments).collect() });
        }
        None
    }

    /// The first operation of what ends behind operation `last` and adds `results` to the stack.
    pub(super) fn start(&self, last: usize, results: u32) -> Option<usize> {
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
                self.block(operations, open, last, &mut all);
            }
            let fewer = without_a_catch(&operations[last]).into_iter();
            all.extend(fewer.map(|less| Candidate { start: last, end: last + 1, instead: vec![less] }));
            self.direct_calls(operations, last, &mut all);
        }
        all.sort_by_key(|candidate| {
            std::cmp::Reverse((candidate.end - candidate.start).saturating_sub(candidate.instead.len()))
        });
        all
    }

    /// A block by what is in it, an `if` by either arm.
    fn block(&self, operations: &[Vec<u8>], open: usize, last: usize, all: &mut Vec<Candidate>) {
        let inside = &operations[open + 1..last];
        if operations[open][0] == IF {
            let is_else =
                |at: &usize| operations[*at] == [ELSE] && self.points[*at].depth_after == self.points[open].depth_after;
            let middle = (open + 1..last).find(is_else);
            let arms = [&operations[open + 1..middle.unwrap_or(last)], &operations[middle.unwrap_or(last)..last]];
            let arms = arms.map(|arm| if arm.first().is_some_and(|first| *first == [ELSE]) { &arm[1..] } else { arm });
            let condition = open.checked_sub(1).and_then(|end| self.start(end, 1));
            for arm in arms.into_iter().filter_map(retargeted) {
                if let Some(start) = condition {
                    all.push(Candidate { start, end: last + 1, instead: arm.clone() });
                }
                let dropped = [vec![encoded(&Instruction::Drop)], arm].concat();
                all.push(Candidate { start: open, end: last + 1, instead: dropped });
            }
            return;
        }
        let mut contents = vec![inside.to_vec()];
        for other in [unwrapped(inside), retargeted(inside)].into_iter().flatten() {
            if !contents.contains(&other) {
                contents.insert(0, other);
            }
        }
        contents.extend(cast(&operations[open..=last]));
        contents.extend((0..inside.len()).rev().filter_map(|jump| straight(inside, jump)));
        all.extend(contents.into_iter().map(|instead| Candidate { start: open, end: last + 1, instead }));
    }

    /// Calls of functions of this module with what the functions do instead, where that is shorter.
    pub(super) fn inlined(&self, bodies: &[Pieces], own: usize, params: &[u32]) -> Vec<Candidate> {
        let operations = &bodies[own].operations;
        let imported = self.arguments.len().saturating_sub(bodies.len());
        let one = |last: usize| {
            let [CALL | RETURN_CALL, function] = *operations[last].as_slice() else { return None };
            let callee = (function as usize).checked_sub(imported).filter(|callee| *callee != own)?;
            let (mut start, mut args) = (last, Vec::new());
            for _ in 0..*params.get(function as usize)? {
                let first = self.start(start.checked_sub(1)?, 1)?;
                args.insert(0, &operations[first..start]);
                start = first;
            }
            let instead = body_with(&bodies.get(callee)?.operations, &args)?;
            (instead.len() < last + 1 - start).then_some(Candidate { start, end: last + 1, instead })
        };
        (0..self.points.len().min(operations.len())).filter_map(one).collect()
    }

    /// For a call of a reference or a table's element: calls of every function, with the operand that says which gone, with
    /// the same arguments or with ones that need nothing.
    fn direct_calls(&self, operations: &[Vec<u8>], last: usize, all: &mut Vec<Candidate>) {
        let is_indirect = [CALL_REF, CALL_INDIRECT].contains(&operations[last][0]);
        let Some(start) = last.checked_sub(1).filter(|_| is_indirect).and_then(|end| self.start(end, 1)) else {
            return;
        };
        for (function, arguments) in (0..).zip(&self.arguments) {
            let call = encoded(&Instruction::Call(function));
            all.push(Candidate { start, end: last + 1, instead: vec![call.clone()] });
            // What was given to the other stays where it is, behind what never comes back.
            let instead = arguments.iter().flatten().cloned().chain([call]).collect::<Vec<_>>();
            if instead.len() > 1 && instead.len() <= last + 1 - start {
                all.push(Candidate { start, end: last + 1, instead });
            }
        }
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
        let simple = self.points[last].top.map(simple).unwrap_or_default();
        for constant in constants.map(|one| vec![one]).chain(simple) {
            let (length, bytes) = (constant.len(), constant.iter().map(Vec::len).sum::<usize>());
            let own: usize = operations[start..=last].iter().map(Vec::len).sum();
            if (length, bytes) < (last + 1 - start, own) {
                all.push(whole(constant));
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

/// First bytes of operations.
const UNREACHABLE: u8 = 0x00;
const BLOCK: u8 = 0x02;
const IF: u8 = 0x04;
const ELSE: u8 = 0x05;
const RETURN: u8 = 0x0f;
const CALL: u8 = 0x10;
const CALL_INDIRECT: u8 = 0x11;
const RETURN_CALL: u8 = 0x12;
const RETURN_CALL_INDIRECT: u8 = 0x13;
const CALL_REF: u8 = 0x14;
const RETURN_CALL_REF: u8 = 0x15;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const LOCAL_TEE: u8 = 0x22;
const GC: u8 = 0xfb;

/// Behind [`GC`]: casts that trap, to a type and to the same with null, and the branch that does not.
const REF_CAST: u8 = 22;
const REF_CAST_NULL: u8 = 23;
const BR_ON_CAST: u8 = 24;

/// The bit of a branch's flags that says that null may be cast, too.
const TO_NULL: u8 = 2;

/// A body with short arguments for its parameters and no locals, so that it can stand in another.
fn body_with(body: &[Vec<u8>], args: &[&[Vec<u8>]]) -> Option<Vec<Vec<u8>>> {
    let one = |operation: &Vec<u8>| match operation.as_slice() {
        [LOCAL_GET, param] => match args.get(*param as usize)? {
            [arg] => Some(arg.clone()),
            _ => None,
        },
        [LOCAL_GET | LOCAL_SET | LOCAL_TEE | RETURN, ..] => None,
        // A tail call ends the callee only.
        [RETURN_CALL, rest @ ..] => Some([&[CALL], rest].concat()),
        [RETURN_CALL_INDIRECT, rest @ ..] => Some([&[CALL_INDIRECT], rest].concat()),
        [RETURN_CALL_REF, rest @ ..] => Some([&[CALL_REF], rest].concat()),
        _ => Some(operation.clone()),
    };
    body.iter().map(one).collect()
}

/// A cast instead of a block that a branch with a value of the type leaves, and that traps otherwise.
fn cast(block: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let [open, inside @ .., branch, trap, _] = block else { return None };
    let [GC, BR_ON_CAST, flags, 0, types @ ..] = branch.as_slice() else { return None };
    if open[0] != BLOCK || trap.as_slice() != [UNREACHABLE] {
        return None;
    }
    // Two heap types, each a number whose last byte has no top bit.
    let to = &types[types.iter().position(|byte| byte & 0x80 == 0)? + 1..];
    let mut cast = vec![GC, if flags & TO_NULL == 0 { REF_CAST } else { REF_CAST_NULL }];
    cast.extend_from_slice(to);
    Some(inside.iter().cloned().chain([cast]).collect())
}

/// An operation's bytes.
pub(super) fn encoded(instruction: &Instruction<'_>) -> Vec<u8> {
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

/// The zeros of all types of numbers.
pub(super) fn constants() -> Vec<Vec<u8>> {
    let types = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];
    types.into_iter().flat_map(simple).flatten().collect()
}

/// Short expressions of a type: the zero or the null, and objects that need nothing.
fn simple(ty: ValType) -> Vec<Vec<Vec<u8>>> {
    let number = constant(match ty {
        ValType::I32 => Value::I32(0),
        ValType::I64 => Value::I64(0),
        ValType::F32 => Value::F32(0),
        ValType::F64 => Value::F64(0),
        ValType::V128 => Value::V128(0),
        ValType::Ref(ty) => return objects(ty),
    });
    number.into_iter().map(|number| vec![number]).collect()
}

/// A short expression of a type that is valid, as far as its own name tells.
fn simplest(ty: ValType) -> Option<Vec<Vec<u8>>> {
    let all = simple(ty);
    let needs_object = matches!(ty, ValType::Ref(ty) if !ty.is_nullable());
    all.into_iter().nth(usize::from(needs_object))
}

fn objects(ty: RefType) -> Vec<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    if let Ok(null) = wasm_encoder::RefType::try_from(ty).map(|ty| Instruction::RefNull(ty.heap_type)) {
        all.push(vec![encoded(&null)]);
    }
    let zero = || encoded(&Instruction::I32Const(0));
    match ty.heap_type() {
        HeapType::Concrete(UnpackedIndex::Module(index)) | HeapType::Exact(UnpackedIndex::Module(index)) => {
            all.push(vec![encoded(&Instruction::StructNewDefault(index))]);
            all.push(vec![zero(), encoded(&Instruction::ArrayNewDefault(index))]);
        }
        _ => all.push(vec![zero(), encoded(&Instruction::RefI31)]),
    }
    all
}

/// Types of the module by what the validator calls them, the first of equal ones.
fn numbers_of_types(types: TypesRef<'_>) -> BTreeMap<CoreTypeId, u32> {
    (0..types.core_type_count_in_module()).rev().map(|index| (types.core_type_at_in_module(index), index)).collect()
}

/// The type with the module's own numbers.
fn by_number(ty: ValType, numbers: &BTreeMap<CoreTypeId, u32>) -> ValType {
    let ValType::Ref(reference) = ty else { return ty };
    let number = |index: UnpackedIndex| match index {
        UnpackedIndex::Id(id) => numbers.get(&id).map_or(index, |number| UnpackedIndex::Module(*number)),
        other => other,
    };
    let heap_type = match reference.heap_type() {
        HeapType::Concrete(index) => HeapType::Concrete(number(index)),
        HeapType::Exact(index) => HeapType::Exact(number(index)),
        other => other,
    };
    RefType::new(reference.is_nullable(), heap_type).map_or(ty, ValType::Ref)
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
    fn a_branch_that_may_not_fail_is_a_cast() {
        let text =
            |body: &str| format!("(module (type $a (array i8)) (func (param anyref) (result (ref null $a)) {body}))");
        let operations =
            |body: &str| split(&wat::parse_str(text(body)).expect("valid text")).expect("bodies")[0].operations.clone();
        let block =
            operations("(block (result (ref null $a)) local.get 0 br_on_cast 0 anyref (ref null $a) unreachable)");
        assert_eq!(cast(&block), Some(operations("local.get 0 ref.cast (ref null $a)")));
        assert_eq!(cast(&operations("(block (result (ref null $a)) unreachable)")), None);
    }

    #[test]
    fn what_a_function_does_stands_for_its_call() {
        let text = "(module (tag) (func (param i32 i32) local.get 1 drop throw 0)
            (func (call 0 (i32.add (i32.const 1) (i32.const 2)) (i32.const 3))))";
        let wasm = wat::parse_str(text).expect("valid text");
        let trees = Trees::of(&wasm, 1).expect("valid");
        let bodies = split(&wasm).expect("bodies");
        let found = trees.inlined(&bodies, 1, &[2, 0]);
        let expected = [vec![0x41, 3], vec![0x1a], vec![0x08, 0]];
        assert!(
            matches!(found.as_slice(), [one] if (one.start, one.end) == (0, 5) && one.instead == expected),
            "{found:?}"
        );
    }

    #[test]
    fn calls_become_direct() {
        let text = "(module (table 1 funcref) (func) (func (call_indirect (i32.const 0))))";
        let wasm = wat::parse_str(text).expect("valid text");
        let trees = Trees::of(&wasm, 1).expect("valid");
        let found = trees.candidates(&split(&wasm).expect("bodies")[1].operations, &Observed::new());
        let call = vec![encoded(&Instruction::Call(0))];
        assert!(found.iter().any(|one| (one.start, one.end) == (0, 2) && one.instead == call));
    }

    #[test]
    fn expressions_statements_and_blocks_are_found() {
        // A sum: by a constant, by its first operand, by its second.
        check("(i32.add (local.get 0) (i32.popcnt (local.get 0)))", &[(0, 4, 1), (0, 4, 2), (1, 4, 0)]);
        check("(local.set 0 (i32.const 1)) (local.get 0)", &[(0, 2, 0)]);
        check("(block (result i32) (nop) (local.get 0))", &[(0, 4, 2), (0, 4, 1)]);
    }

    #[test]
    fn objects_need_nothing() {
        let text = "(module (type $s (struct (field i32))) (func (param i32) (drop (struct.new $s (local.get 0)))))";
        let wasm = wat::parse_str(text).expect("valid text");
        let trees = Trees::of(&wasm, 0).expect("valid");
        let found = trees.candidates(&split(&wasm).expect("bodies")[0].operations, &Observed::new());
        let instead = vec![encoded(&Instruction::StructNewDefault(0))];
        assert!(found.iter().any(|one| (one.start, one.end) == (0, 2) && one.instead == instead), "{found:?}");
    }

    #[test]
    fn either_arm_stands_for_a_condition() {
        check(
            "(if (result i32) (local.get 0) (then (i32.const 1)) (else nop (i32.const 2)))",
            &[(0, 7, 1), (0, 7, 2), (1, 7, 2)],
        );
    }
}
