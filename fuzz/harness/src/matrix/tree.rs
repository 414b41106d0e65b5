//! Expression trees over operations of the table: what a function of the matrix computes.
//!
//! A tree is encoded as WebAssembly and evaluated by the reference's plain functions
//! ([numerics](https://webassembly.github.io/spec/core/exec/numerics.html)), so that one value has two origins.
//!
//! Invariant: [`Tree::encode`] leaves the values that [`Tree::evaluate`] pushes, in the same order; trees are a few levels
//! deep, whatever chooses them.
//!
//! Does not know: functions, memories' shapes, engines.

use crate::generate::ops::{Care, Op, Table};
use std::sync::OnceLock;
use wasm_encoder::{BlockType, Encode, Instruction, MemArg};
use wasmparser::{BinaryReader, Operator, OperatorsReader};
use wattest_differential::ValueType;
use wattest_reference::TrapClass;
use wattest_reference::access::{self, lane_access};
use wattest_reference::numerics::{
    Conversion, Float, Integer, LaneAccess, Relaxed, VectorFloat, VectorInteger, shuffle,
};
use wattest_reference::value::Slot;

/// What an operation reduces to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Integer(Integer),
    Float(Float),
    Conversion(Conversion),
    VectorInteger(VectorInteger),
    VectorFloat(VectorFloat),
    Relaxed(Relaxed),
    Lane(LaneAccess, u8),
    Shuffle(u128),
}

/// An operation on the stack alone.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// The operator's name.
    pub name: String,
    bytes: Vec<u8>,
    rule: Rule,
    /// Operand types.
    pub params: Vec<ValueType>,
    /// Result types.
    pub results: Vec<ValueType>,
    /// Width of the lanes whose NaNs engines may choose; 0 where there are none.
    pub nan_bits: u32,
}

/// A load of the table.
#[derive(Clone, Debug)]
pub(crate) struct LoadOperation {
    pub name: String,
    make: fn(MemArg) -> Instruction<'static>,
    rule: LoadRule,
    pub result: ValueType,
}

#[derive(Clone, Copy, Debug)]
enum LoadRule {
    Plain(access::Load),
    Atomic(access::AtomicLoad),
}

/// A store of the table.
#[derive(Clone, Debug)]
pub(crate) struct StoreOperation {
    pub name: String,
    make: fn(MemArg) -> Instruction<'static>,
    rule: StoreRule,
    pub operand: ValueType,
}

#[derive(Clone, Copy, Debug)]
enum StoreRule {
    Plain(access::Store),
    Atomic(access::AtomicStore),
}

/// A load or store of one lane.
#[derive(Clone, Debug)]
pub(crate) struct LaneOperation {
    pub name: String,
    make: fn(MemArg, u8) -> Instruction<'static>,
    pub bytes: u8,
    pub is_store: bool,
}

/// An atomic read-modify-write or compare-and-exchange.
#[derive(Clone, Debug)]
pub(crate) struct UpdateOperation {
    pub name: String,
    make: fn(MemArg) -> Instruction<'static>,
    pub rule: UpdateRule,
    pub ty: ValueType,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum UpdateRule {
    Update(access::Update),
    Exchange(access::Exchange),
}

/// A place in memory: at a local that holds an address, and an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub local: u32,
    pub offset: u64,
}

impl At {
    fn memarg(self, align: u32) -> MemArg {
        MemArg { offset: self.offset, align, memory_index: 0 }
    }
}

impl LoadOperation {
    pub fn encode(&self, at: At, code: &mut Vec<u8>) {
        Instruction::LocalGet(at.local).encode(code);
        self.instruction(at.offset, 0).encode(code);
    }

    /// It, behind an address.
    pub fn instruction(&self, offset: u64, memory_index: u32) -> Instruction<'static> {
        (self.make)(MemArg { offset, align: self.alignment().trailing_zeros(), memory_index })
    }

    /// How many bytes it reads.
    pub fn bytes(&self) -> u32 {
        match self.rule {
            LoadRule::Plain(rule) => rule.bytes(),
            LoadRule::Atomic(rule) => rule.bytes(),
        }
    }

    /// What its address has to be a multiple of.
    pub fn alignment(&self) -> u32 {
        if let LoadRule::Atomic(rule) = self.rule { rule.bytes() } else { 1 }
    }

    /// The value that the bytes of a cell mean.
    pub fn value(&self, cell: u128) -> Slot {
        match self.rule {
            LoadRule::Plain(rule) => rule.value(cell),
            LoadRule::Atomic(rule) => rule.value(cell),
        }
    }
}

impl StoreOperation {
    /// Behind an address and the value.
    pub fn encode(&self, offset: u64, code: &mut Vec<u8>) {
        self.instruction(offset, 0).encode(code);
    }

    /// The same for any memory.
    pub fn instruction(&self, offset: u64, memory_index: u32) -> Instruction<'static> {
        (self.make)(MemArg { offset, align: self.alignment().trailing_zeros(), memory_index })
    }

    /// How many bytes it writes.
    pub fn bytes(&self) -> u32 {
        match self.rule {
            StoreRule::Plain(rule) => rule.bytes(),
            StoreRule::Atomic(rule) => rule.bytes(),
        }
    }

    /// What its address has to be a multiple of.
    pub fn alignment(&self) -> u32 {
        if let StoreRule::Atomic(rule) = self.rule { rule.bytes() } else { 1 }
    }

    /// A cell after the value was stored in it.
    pub fn stored(&self, cell: u128, value: Slot) -> u128 {
        let raw = match self.rule {
            StoreRule::Plain(rule) => rule.raw(value),
            StoreRule::Atomic(rule) => rule.raw(value),
        };
        let width = mask(self.bytes() * 8);
        cell & !width | raw & width
    }
}

impl LaneOperation {
    /// Behind an address and a vector.
    pub fn encode(&self, offset: u64, lane: u8, code: &mut Vec<u8>) {
        self.instruction(offset, 0, lane).encode(code);
    }

    /// The same for any memory.
    pub fn instruction(&self, offset: u64, memory_index: u32, lane: u8) -> Instruction<'static> {
        (self.make)(MemArg { offset, align: 0, memory_index }, lane)
    }

    /// The vector with the lane replaced by the cell's first bytes; for a store, the cell with its first bytes replaced.
    pub fn moved(&self, cell: u128, vector: u128, lane: u8) -> u128 {
        let bits = u32::from(self.bytes) * 8;
        let shift = u32::from(lane) * bits;
        if self.is_store {
            cell & !mask(bits) | vector >> shift & mask(bits)
        } else {
            vector & !(mask(bits) << shift) | (cell & mask(bits)) << shift
        }
    }
}

impl UpdateOperation {
    /// Behind an address and the operands.
    pub fn encode(&self, offset: u64, code: &mut Vec<u8>) {
        self.instruction(offset, 0).encode(code);
    }

    /// The same for any memory.
    pub fn instruction(&self, offset: u64, memory_index: u32) -> Instruction<'static> {
        (self.make)(MemArg { offset, align: self.bytes().trailing_zeros(), memory_index })
    }

    /// How many bytes it reads and writes, and what its address has to be a multiple of.
    pub fn bytes(&self) -> u32 {
        match self.rule {
            UpdateRule::Update(rule) => rule.bytes(),
            UpdateRule::Exchange(rule) => rule.bytes(),
        }
    }

    /// The cell after it, and its result.
    pub fn reduce(&self, cell: u128, expected: Slot, operand: Slot) -> (u128, Slot) {
        let width = mask(self.bytes() * 8);
        let old = cell & width;
        let new = match self.rule {
            UpdateRule::Update(rule) => rule.replacement(old, operand),
            UpdateRule::Exchange(rule) if old == expected & width => rule.replacement(old, operand),
            UpdateRule::Exchange(_) => old,
        };
        (cell & !width | new & width, old)
    }
}

/// The low bits.
pub(crate) fn mask(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

/// Bits of a value of this type.
pub(crate) fn width(ty: ValueType) -> u32 {
    match ty {
        ValueType::I32 | ValueType::F32 => 32,
        ValueType::I64 | ValueType::F64 => 64,
        _ => 128,
    }
}

/// How a condition chooses one of its alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Select,
    If,
    BrIf,
    /// Four alternatives: the condition is an index.
    BrTable,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Tree<'t> {
    /// An operand, from its local.
    Operand(usize),
    /// The same, loaded on the spot.
    Load(&'t LoadOperation, usize),
    /// A constant, or zero for no type of number.
    Constant(ValueType, u128),
    /// An operation.
    Apply(&'t Operation, Vec<Tree<'t>>),
    /// One of the alternatives, of this type.
    Choose(Choice, ValueType, Box<Tree<'t>>, Vec<Tree<'t>>),
    /// The same behind a fence.
    Fenced(Box<Tree<'t>>),
    /// A notification at an operand's cell, where nobody waits.
    Notify(usize, Box<Tree<'t>>),
    /// A wait of this width at an operand's cell for no time at all, and what is expected there.
    Wait(u32, usize, Box<Tree<'t>>),
}

/// Where the operands are.
pub(crate) struct Frame {
    /// The local that holds the address of the operands' cells.
    pub base: u32,
    /// The local of operand 0.
    pub first: u32,
}

/// Bytes of a cell: an operand or a result.
pub(crate) const CELL_BYTES: u64 = 16;

impl Tree<'_> {
    pub fn encode(&self, frame: &Frame, code: &mut Vec<u8>) {
        match self {
            Tree::Operand(index) => Instruction::LocalGet(frame.first + *index as u32).encode(code),
            Tree::Load(load, index) => {
                load.encode(At { local: frame.base, offset: *index as u64 * CELL_BYTES }, code);
            }
            Tree::Constant(ty, bits) => constant(*ty, *bits).encode(code),
            Tree::Apply(operation, operands) => {
                operands.iter().for_each(|operand| operand.encode(frame, code));
                code.extend_from_slice(&operation.bytes);
            }
            Tree::Choose(choice, ty, condition, alternatives) => {
                encode_choice(frame, *choice, *ty, condition, alternatives, code);
            }
            Tree::Fenced(tree) => {
                Instruction::AtomicFence.encode(code);
                tree.encode(frame, code);
            }
            Tree::Notify(index, count) => {
                let at = At { local: frame.base, offset: *index as u64 * CELL_BYTES };
                Instruction::LocalGet(at.local).encode(code);
                count.encode(frame, code);
                Instruction::MemoryAtomicNotify(at.memarg(2)).encode(code);
            }
            Tree::Wait(bytes, index, expected) => {
                let at = At { local: frame.base, offset: *index as u64 * CELL_BYTES };
                Instruction::LocalGet(at.local).encode(code);
                expected.encode(frame, code);
                Instruction::I64Const(0).encode(code);
                match bytes {
                    4 => Instruction::MemoryAtomicWait32(at.memarg(2)).encode(code),
                    _ => Instruction::MemoryAtomicWait64(at.memarg(3)).encode(code),
                }
            }
        }
    }

    /// Pushes its values.
    ///
    /// # Errors
    ///
    /// When it traps.
    pub fn evaluate(&self, cells: &[u128], types: &[ValueType], stack: &mut Vec<Slot>) -> Result<(), TrapClass> {
        match self {
            Tree::Operand(index) => stack.push(cells[*index] & mask(width(types[*index]))),
            Tree::Load(load, index) => stack.push(load.value(cells[*index])),
            Tree::Constant(_, bits) => stack.push(*bits),
            Tree::Apply(operation, operands) => {
                for operand in operands {
                    operand.evaluate(cells, types, stack)?;
                }
                reduce(operation.rule, stack)?;
            }
            Tree::Choose(choice, _, condition, alternatives) => {
                condition.evaluate(cells, types, stack)?;
                let condition = stack.pop().unwrap_or(0) as u32;
                let chosen = match choice {
                    Choice::BrTable => (condition as usize).min(alternatives.len() - 1),
                    _ => usize::from(condition == 0),
                };
                alternatives[chosen].evaluate(cells, types, stack)?;
            }
            Tree::Fenced(tree) => tree.evaluate(cells, types, stack)?,
            Tree::Notify(_, count) => {
                count.evaluate(cells, types, stack)?;
                stack.pop();
                stack.push(0);
            }
            Tree::Wait(bytes, index, expected) => {
                expected.evaluate(cells, types, stack)?;
                let expected = stack.pop().unwrap_or(0);
                // 1: another value is there; 2: nobody came in time.
                stack.push(if cells[*index] & mask(bytes * 8) == expected { 2 } else { 1 });
            }
        }
        Ok(())
    }

    /// Adds the operations that some operand of the vector or a constant reaches directly, by name.
    pub fn names(&self, add: &mut dyn FnMut(&str)) {
        match self {
            Tree::Operand(_) | Tree::Constant(..) => {}
            Tree::Load(load, _) => add(&load.name),
            Tree::Apply(operation, operands) => {
                if operands.iter().any(|operand| !matches!(operand, Tree::Apply(..) | Tree::Choose(..))) {
                    add(&operation.name);
                }
                operands.iter().for_each(|operand| operand.names(add));
            }
            Tree::Choose(choice, ty, condition, alternatives) => {
                if !matches!(choice, Choice::If | Choice::BrTable) || matches!(**condition, Tree::Operand(_)) {
                    add(match choice {
                        Choice::Select if *ty == ValueType::V128 => "TypedSelect",
                        Choice::Select => "Select",
                        Choice::If => "If",
                        Choice::BrIf => "BrIf",
                        Choice::BrTable => "BrTable",
                    });
                }
                condition.names(add);
                alternatives.iter().for_each(|alternative| alternative.names(add));
            }
            Tree::Fenced(tree) => {
                add("AtomicFence");
                tree.names(add);
            }
            Tree::Notify(..) => add("MemoryAtomicNotify"),
            Tree::Wait(4, ..) => add("MemoryAtomicWait32"),
            Tree::Wait(..) => add("MemoryAtomicWait64"),
        }
    }
}

fn encode_choice(
    frame: &Frame,
    choice: Choice,
    ty: ValueType,
    condition: &Tree<'_>,
    alternatives: &[Tree<'_>],
    code: &mut Vec<u8>,
) {
    let own = crate::generate::val_type(ty);
    match choice {
        Choice::Select => {
            alternatives.iter().for_each(|alternative| alternative.encode(frame, code));
            condition.encode(frame, code);
            match ty {
                ValueType::V128 => Instruction::TypedSelect(own).encode(code),
                _ => Instruction::Select.encode(code),
            }
        }
        Choice::If => {
            condition.encode(frame, code);
            Instruction::If(BlockType::Result(own)).encode(code);
            alternatives[0].encode(frame, code);
            Instruction::Else.encode(code);
            alternatives[1].encode(frame, code);
            Instruction::End.encode(code);
        }
        Choice::BrIf => {
            Instruction::Block(BlockType::Result(own)).encode(code);
            alternatives[0].encode(frame, code);
            condition.encode(frame, code);
            Instruction::BrIf(0).encode(code);
            Instruction::Drop.encode(code);
            alternatives[1].encode(frame, code);
            Instruction::End.encode(code);
        }
        Choice::BrTable => {
            let count = alternatives.len() as u32;
            Instruction::Block(BlockType::Result(own)).encode(code);
            (0..count).for_each(|_| Instruction::Block(BlockType::Empty).encode(code));
            condition.encode(frame, code);
            let targets: Vec<u32> = (0..count - 1).collect();
            Instruction::BrTable(targets.into(), count - 1).encode(code);
            for (index, alternative) in alternatives.iter().enumerate() {
                Instruction::End.encode(code);
                alternative.encode(frame, code);
                let out = count - 1 - index as u32;
                Instruction::Br(out).encode(code);
            }
            Instruction::End.encode(code);
        }
    }
}

fn reduce(rule: Rule, stack: &mut Vec<Slot>) -> Result<(), TrapClass> {
    match rule {
        Rule::Integer(rule) => rule.reduce(stack),
        Rule::Float(rule) => rule.reduce(stack),
        Rule::Conversion(rule) => rule.reduce(stack),
        Rule::VectorInteger(rule) => rule.reduce(stack),
        Rule::VectorFloat(rule) => rule.reduce(stack),
        Rule::Relaxed(rule) => rule.reduce(stack),
        Rule::Lane(rule, lane) => {
            rule.reduce(lane, stack);
            Ok(())
        }
        Rule::Shuffle(lanes) => {
            let (b, a) = (stack.pop().unwrap_or(0), stack.pop().unwrap_or(0));
            stack.push(shuffle(lanes, a, b));
            Ok(())
        }
    }
}

fn constant(ty: ValueType, bits: u128) -> Instruction<'static> {
    match ty {
        ValueType::I32 => Instruction::I32Const(bits as i32),
        ValueType::I64 => Instruction::I64Const(bits as i64),
        ValueType::F32 => Instruction::F32Const(f32::from_bits(bits as u32).into()),
        ValueType::F64 => Instruction::F64Const(f64::from_bits(bits as u64).into()),
        _ => Instruction::V128Const(bits as i128),
    }
}

/// Everything that a function of the matrix can be about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// A row of [`Catalogue::operations`].
    Operation(usize),
    Load(usize),
    Store(usize),
    Lane(usize),
    Update(usize),
    Choice(Choice),
    Fence,
    Notify,
    /// Of this many bytes; needs a shared memory.
    Wait(u32),
}

/// The operations, by kind.
pub(crate) struct Catalogue {
    /// Per row of the table, its operation once per lane.
    pub operations: Vec<Vec<Operation>>,
    pub loads: Vec<LoadOperation>,
    pub stores: Vec<StoreOperation>,
    pub lanes: Vec<LaneOperation>,
    pub updates: Vec<UpdateOperation>,
    /// All of these, one after the other.
    pub subjects: Vec<Subject>,
}

/// Reads the only operation of some bytes.
fn operator(bytes: &[u8]) -> Option<Operator<'_>> {
    OperatorsReader::new(BinaryReader::new(bytes, 0)).read().ok()
}

/// The name of an operator: what comes before its immediates.
fn name(operator: &Operator<'_>) -> String {
    let text = format!("{operator:?}");
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

fn neutral(types: &[wattest_reference::ValType]) -> Vec<ValueType> {
    use wattest_reference::ValType as V;
    let one = |ty: &V| match ty {
        V::I32 => ValueType::I32,
        V::I64 => ValueType::I64,
        V::F32 => ValueType::F32,
        V::F64 => ValueType::F64,
        _ => ValueType::V128,
    };
    types.iter().map(one).collect()
}

impl Operation {
    fn of(instruction: &Instruction<'_>, care: Care) -> Option<Operation> {
        let mut bytes = Vec::new();
        instruction.encode(&mut bytes);
        let operator = operator(&bytes)?;
        let (rule, (params, results)) = if let Some(rule) = Integer::of(&operator) {
            (Rule::Integer(rule), rule.signature())
        } else if let Some(rule) = Float::of(&operator) {
            (Rule::Float(rule), rule.signature())
        } else if let Some(rule) = Conversion::of(&operator) {
            (Rule::Conversion(rule), rule.signature())
        } else if let Some(rule) = VectorInteger::of(&operator) {
            (Rule::VectorInteger(rule), rule.signature())
        } else if let Some(rule) = VectorFloat::of(&operator) {
            (Rule::VectorFloat(rule), rule.signature())
        } else if let Some(rule) = Relaxed::of(&operator) {
            (Rule::Relaxed(rule), rule.signature())
        } else {
            let (rule, lane) = LaneAccess::of(&operator)?;
            (Rule::Lane(rule, lane), rule.signature())
        };
        let (params, results) = (neutral(params), neutral(results));
        let nan_bits = match (care, results.as_slice()) {
            (Care::Lanes32, _) => 32,
            (Care::Lanes64, _) => 64,
            (Care::Plain, [ValueType::F32]) => 32,
            (Care::Plain, [ValueType::F64]) => 64,
            _ => 0,
        };
        let name = name(&operator);
        drop(operator);
        Some(Operation { name, bytes, rule, params, results, nan_bits })
    }

    /// A shuffle by these lanes.
    pub fn shuffle(lanes: [u8; 16]) -> Operation {
        let mut bytes = Vec::new();
        Instruction::I8x16Shuffle(lanes).encode(&mut bytes);
        let vector = ValueType::V128;
        Operation {
            name: "I8x16Shuffle".to_owned(),
            bytes,
            rule: Rule::Shuffle(u128::from_le_bytes(lanes)),
            params: vec![vector, vector],
            results: vec![vector],
            nan_bits: 0,
        }
    }
}

/// Patterns of lanes that code generators have rules for, and some that they have not.
const SHUFFLES: [[u8; 16]; 14] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31],
    [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
    [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31],
    [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
    [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
    [4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7],
    [12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3],
    [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23],
    [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31],
    [31, 0, 30, 1, 29, 2, 28, 3, 27, 4, 26, 5, 25, 6, 24, 7],
    [0, 1, 2, 3, 4, 5, 6, 23, 8, 9, 10, 11, 12, 13, 14, 15],
    [1, 19, 7, 31, 16, 2, 25, 25, 0, 11, 30, 4, 17, 9, 21, 14],
];

macro_rules! updates {
    ($($kind:ident $ty:ident: $($name:ident)*;)*) => {
        const UPDATES: &[(UpdateRule, ValueType, &str, fn(MemArg) -> Instruction<'static>)] = &[$($((
            UpdateRule::$kind(access::$kind::$name),
            ValueType::$ty,
            stringify!($name),
            |memarg| Instruction::$name(memarg),
        ),)*)*];
    };
}

updates! {
    Update I32: I32AtomicRmwAdd I32AtomicRmwSub I32AtomicRmwAnd I32AtomicRmwOr I32AtomicRmwXor I32AtomicRmwXchg
        I32AtomicRmw8AddU I32AtomicRmw8SubU I32AtomicRmw8AndU I32AtomicRmw8OrU I32AtomicRmw8XorU I32AtomicRmw8XchgU
        I32AtomicRmw16AddU I32AtomicRmw16SubU I32AtomicRmw16AndU I32AtomicRmw16OrU I32AtomicRmw16XorU
        I32AtomicRmw16XchgU;
    Update I64: I64AtomicRmwAdd I64AtomicRmwSub I64AtomicRmwAnd I64AtomicRmwOr I64AtomicRmwXor I64AtomicRmwXchg
        I64AtomicRmw8AddU I64AtomicRmw8SubU I64AtomicRmw8AndU I64AtomicRmw8OrU I64AtomicRmw8XorU I64AtomicRmw8XchgU
        I64AtomicRmw16AddU I64AtomicRmw16SubU I64AtomicRmw16AndU I64AtomicRmw16OrU I64AtomicRmw16XorU
        I64AtomicRmw16XchgU I64AtomicRmw32AddU I64AtomicRmw32SubU I64AtomicRmw32AndU I64AtomicRmw32OrU
        I64AtomicRmw32XorU I64AtomicRmw32XchgU;
    Exchange I32: I32AtomicRmwCmpxchg I32AtomicRmw8CmpxchgU I32AtomicRmw16CmpxchgU;
    Exchange I64: I64AtomicRmwCmpxchg I64AtomicRmw8CmpxchgU I64AtomicRmw16CmpxchgU I64AtomicRmw32CmpxchgU;
}

macro_rules! atomic_accesses {
    ($const:ident $kind:ident: $($name:ident $ty:ident;)*) => {
        const $const: &[(access::$kind, ValueType, &str, fn(MemArg) -> Instruction<'static>)] = &[$((
            access::$kind::$name,
            ValueType::$ty,
            stringify!($name),
            |memarg| Instruction::$name(memarg),
        ),)*];
    };
}

atomic_accesses! {
    ATOMIC_LOADS AtomicLoad:
    I32AtomicLoad I32; I64AtomicLoad I64; I32AtomicLoad8U I32; I32AtomicLoad16U I32; I64AtomicLoad8U I64;
    I64AtomicLoad16U I64; I64AtomicLoad32U I64;
}

atomic_accesses! {
    ATOMIC_STORES AtomicStore:
    I32AtomicStore I32; I64AtomicStore I64; I32AtomicStore8 I32; I32AtomicStore16 I32; I64AtomicStore8 I64;
    I64AtomicStore16 I64; I64AtomicStore32 I64;
}

impl Catalogue {
    /// The catalogue, made once.
    pub fn get() -> &'static Catalogue {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(Catalogue::build)
    }

    fn build() -> Catalogue {
        let mut all = Catalogue {
            operations: Vec::new(),
            loads: Vec::new(),
            stores: Vec::new(),
            lanes: Vec::new(),
            updates: Vec::new(),
            subjects: Vec::new(),
        };
        for row in &Table::get().rows {
            all.add(&row.op, row.result);
        }
        for (rule, result, name, make) in ATOMIC_LOADS {
            let rule = LoadRule::Atomic(*rule);
            all.loads.push(LoadOperation { name: (*name).to_owned(), make: *make, rule, result: *result });
        }
        for (rule, operand, name, make) in ATOMIC_STORES {
            let rule = StoreRule::Atomic(*rule);
            all.stores.push(StoreOperation { name: (*name).to_owned(), make: *make, rule, operand: *operand });
        }
        for (rule, ty, name, make) in UPDATES {
            all.updates.push(UpdateOperation { name: (*name).to_owned(), make: *make, rule: *rule, ty: *ty });
        }
        all.subjects.extend((0..all.operations.len()).map(Subject::Operation));
        all.subjects.extend((0..all.loads.len()).map(Subject::Load));
        all.subjects.extend((0..all.stores.len()).map(Subject::Store));
        all.subjects.extend((0..all.lanes.len()).map(Subject::Lane));
        all.subjects.extend((0..all.updates.len()).map(Subject::Update));
        all.subjects.extend([Choice::Select, Choice::If, Choice::BrIf, Choice::BrTable].map(Subject::Choice));
        all.subjects.extend([Subject::Fence, Subject::Notify, Subject::Wait(4), Subject::Wait(8)]);
        all
    }

    fn add(&mut self, op: &Op, result: Option<ValueType>) {
        const AT: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };
        match op {
            Op::Plain { instruction, care, .. } => {
                self.operations.push(Operation::of(instruction, *care).into_iter().collect())
            }
            Op::Wide { instruction, .. } => {
                self.operations.push(Operation::of(instruction, Care::Leak).into_iter().collect())
            }
            Op::Extract { lanes, make } | Op::Replace { lanes, make, .. } => {
                let lanes = (0..*lanes).filter_map(|lane| Operation::of(&make(lane), Care::Leak));
                self.operations.push(lanes.collect());
            }
            Op::Shuffle => self.operations.push(SHUFFLES.iter().map(|lanes| Operation::shuffle(*lanes)).collect()),
            Op::Load { make, .. } => {
                let mut bytes = Vec::new();
                make(AT).encode(&mut bytes);
                if let (Some(operator), Some(result)) = (operator(&bytes), result)
                    && let Some((rule, _)) = access::Load::of(&operator)
                {
                    let rule = LoadRule::Plain(rule);
                    self.loads.push(LoadOperation { name: name(&operator), make: *make, rule, result });
                }
            }
            Op::Store { make, operand, .. } => {
                let mut bytes = Vec::new();
                make(AT).encode(&mut bytes);
                if let Some(operator) = operator(&bytes)
                    && let Some((rule, _)) = access::Store::of(&operator)
                {
                    let rule = StoreRule::Plain(rule);
                    self.stores.push(StoreOperation { name: name(&operator), make: *make, rule, operand: *operand });
                }
            }
            Op::MemoryLane { make, .. } => {
                let mut bytes = Vec::new();
                make(AT, 0).encode(&mut bytes);
                if let Some(operator) = operator(&bytes)
                    && let Some((bytes, _, _, is_store)) = lane_access(&operator)
                {
                    self.lanes.push(LaneOperation { name: name(&operator), make: *make, bytes, is_store });
                }
            }
            Op::Special(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_in_the_catalogue() {
        let catalogue = Catalogue::get();
        let rows = &Table::get().rows;
        let expected = rows.iter().filter(|row| !matches!(row.op, Op::Special(_))).count();
        let atomic = ATOMIC_LOADS.len() + ATOMIC_STORES.len() + UPDATES.len();
        assert_eq!(catalogue.subjects.len(), expected + atomic + 8);
        for (index, operations) in catalogue.operations.iter().enumerate() {
            assert!(!operations.is_empty(), "row {index}");
        }
    }
}
