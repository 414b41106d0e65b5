//! Counts of executed instructions by the proposal that brought them, and by operator.
//!
//! What a test run reached, as opposed to what it contained: the groups are those of the
//! [finished proposals](https://github.com/WebAssembly/proposals/blob/main/finished-proposals.md) and of the pending ones that
//! are defined here.
//!
//! Invariant: every instruction belongs to one group, the one that needs the latest proposal.
//!
//! Does not know: how instructions are executed.

use crate::instruction::{AggregateInstr, Code, Instr, MemoryInstr, Place, ReferenceInstr, TableInstr};
use crate::numerics::Integer;
use crate::operators::OPERATORS;
use crate::types::HeapType;
use crate::value::Slot;

macro_rules! groups {
    ($($name:ident = $text:literal;)*) => {
        /// A group of instructions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is the proposal of its name")]
        pub enum Group { $($name,)* }

        impl Group {
            /// Every group, in order.
            pub const ALL: &[Group] = &[$(Group::$name),*];

            /// Its name.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Group::$name => $text,)* }
            }
        }
    };
}

groups! {
    Core = "1.0";
    BulkMemory = "bulk memory";
    References = "reference types";
    Simd = "fixed-width SIMD";
    Relaxed = "relaxed SIMD";
    TailCalls = "tail calls";
    MultiMemory = "multiple memories";
    FunctionReferences = "typed function references";
    Gc = "garbage collection";
    CustomDescriptors = "custom descriptors";
    Exceptions = "exceptions";
    Threads = "threads";
    Wide = "wide arithmetic";
}

/// Counts by group, of executions with a boundary operand by operator, and by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    groups: [u64; Group::ALL.len()],
    operators: Vec<u64>,
    /// By the offset of an instruction's first byte.
    places: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { groups: [0; Group::ALL.len()], operators: vec![0; OPERATORS.len()], places: Vec::new() }
    }
}

impl Tally {
    /// Counts the instruction at `at`, its operands on `stack`.
    pub(crate) fn count(&mut self, code: &Code, at: usize, stack: &[Slot]) {
        self.groups[group(code, code.instrs[at]) as usize] += 1;
        let place = code.offsets[at] as usize;
        if self.places.len() <= place {
            self.places.resize(place + 1, 0);
        }
        self.places[place] += 1;
        let operator = usize::from(code.operators[at]);
        if let Some(row) = OPERATORS.get(operator) {
            let from = stack.len().saturating_sub(row.operands.into());
            if row.operands == 0 || stack[from..].iter().any(|slot| is_boundary(*slot)) {
                self.operators[operator] += 1;
            }
        }
    }

    /// Groups and how many instructions of each were executed.
    pub fn iter(&self) -> impl Iterator<Item = (Group, u64)> {
        Group::ALL.iter().copied().zip(self.groups)
    }

    /// Byte offsets of instructions that were executed, and how often each was: of a store with one module. Blocks, their ends
    /// and `nop` are no steps and have no counts.
    pub fn places(&self) -> impl Iterator<Item = (u32, u64)> {
        let counts = self.places.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(place, count)| (place as u32, *count))
    }

    /// Operators, and how often each was executed with no operand, or with one at a boundary.
    pub fn operators(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OPERATORS.iter().map(|row| row.name).zip(self.operators.iter().copied())
    }
}

/// Whether a value is one at which implementations change their ways, whatever its type: near zero, near a power of two
/// that limits a width, a float without a finite value; of a vector, one of its words. Any reference is.
fn is_boundary(slot: Slot) -> bool {
    const NEAR: u64 = 4;
    let number = |bits: u64| {
        let near = |limit: u64| bits.wrapping_sub(limit).wrapping_add(NEAR) <= 2 * NEAR;
        let limits = [0, 1 << 7, 1 << 8, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 63];
        let float32 = bits >> 32 == 0 && bits & 0x7f80_0000 == 0x7f80_0000;
        let negative_zero = bits == 1 << 31 || bits == 1 << 63;
        limits.into_iter().any(near) || float32 || negative_zero || bits >> 52 & 0x7ff == 0x7ff
    };
    let is_reference = (1..=6).contains(&(slot >> 32)) && slot as u32 >> 20 == 0;
    let (low, high) = (slot as u64, (slot >> 64) as u64);
    is_reference || if high == 0 { number(low) } else { [low, low >> 32, high, high >> 32].into_iter().any(number) }
}

fn group(code: &Code, instr: Instr) -> Group {
    match instr {
        Instr::Integer(op) if is_wide(op) => Group::Wide,
        Instr::VectorInteger(_)
        | Instr::VectorFloat(_)
        | Instr::Lane(..)
        | Instr::Shuffle(_)
        | Instr::ConstVector(_)
        | Instr::LoadLane(..)
        | Instr::StoreLane(..) => Group::Simd,
        Instr::Relaxed(_) => Group::Relaxed,
        Instr::BrOnNull(_) | Instr::BrOnNonNull(_) | Instr::CallRef | Instr::ReturnCallRef => Group::FunctionReferences,
        Instr::ReturnCall(_) | Instr::ReturnCallIndirect { .. } => Group::TailCalls,
        Instr::BrOnCastDescEq { .. }
        | Instr::Aggregate(AggregateInstr::StructNewDesc { .. } | AggregateInstr::StructNewDefaultDesc { .. }) => {
            Group::CustomDescriptors
        }
        Instr::BrOnCast { to, .. } => cast(code, to),
        Instr::Aggregate(_) => Group::Gc,
        Instr::Throw(_) | Instr::ThrowRef => Group::Exceptions,
        Instr::Load(_, place) | Instr::Store(_, place) => memory(place),
        Instr::Memory(instr) => memory_group(instr),
        Instr::Table(TableInstr::Copy { .. } | TableInstr::Init { .. } | TableInstr::ElemDrop(_)) => Group::BulkMemory,
        Instr::Table(_) => Group::References,
        Instr::Reference(instr) => reference_group(code, instr),
        _ => Group::Core,
    }
}

fn cast(code: &Code, to: u32) -> Group {
    let is_exact = matches!(code.casts[to as usize].heap, HeapType::Exact(_));
    if is_exact { Group::CustomDescriptors } else { Group::Gc }
}

fn is_wide(op: Integer) -> bool {
    matches!(op, Integer::I64Add128 | Integer::I64Sub128 | Integer::I64MulWideS | Integer::I64MulWideU)
}

fn memory(place: Place) -> Group {
    if place.memory > 0 { Group::MultiMemory } else { Group::Core }
}

fn memory_group(instr: MemoryInstr) -> Group {
    match instr {
        MemoryInstr::AtomicLoad(..)
        | MemoryInstr::AtomicStore(..)
        | MemoryInstr::Update(..)
        | MemoryInstr::Exchange(..)
        | MemoryInstr::Wait(..)
        | MemoryInstr::Notify(_) => Group::Threads,
        MemoryInstr::Size(0) | MemoryInstr::Grow(0) => Group::Core,
        MemoryInstr::Size(_) | MemoryInstr::Grow(_) => Group::MultiMemory,
        _ => Group::BulkMemory,
    }
}

fn reference_group(code: &Code, instr: ReferenceInstr) -> Group {
    match instr {
        ReferenceInstr::Func(_) | ReferenceInstr::IsNull => Group::References,
        ReferenceInstr::AsNonNull => Group::FunctionReferences,
        ReferenceInstr::GetDesc | ReferenceInstr::CastDescEq(_) => Group::CustomDescriptors,
        ReferenceInstr::Test(to) | ReferenceInstr::Cast(to) => cast(code, to),
        _ => Group::Gc,
    }
}
