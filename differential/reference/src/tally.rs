//! Counts of executed instructions by the proposal that brought them.
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
use crate::types::HeapType;

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

/// Counts by group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; Group::ALL.len()]);

impl Tally {
    pub(crate) fn count(&mut self, code: &Code, instr: Instr) {
        self.0[group(code, instr) as usize] += 1;
    }

    /// Groups and how many instructions of each were executed.
    pub fn iter(&self) -> impl Iterator<Item = (Group, u64)> {
        Group::ALL.iter().copied().zip(self.0)
    }
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
