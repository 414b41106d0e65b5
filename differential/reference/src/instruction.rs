//! Instructions as they are executed.
//!
//! The abstract syntax of [instructions](https://webassembly.github.io/spec/core/syntax/instructions.html), flattened:
//! labels are resolved to positions, blocks have gone, handlers of `try_table` are ranges of positions.
//!
//! Invariant: heights count slots from the first local of the function; indices have been validated.
//!
//! Does not know: how instructions are executed.

use crate::access::{AtomicLoad, AtomicStore, Exchange, Load, Store, Update};
use crate::numerics::{Conversion, Float, Integer, LaneAccess, Relaxed, VectorFloat, VectorInteger};
use crate::types::{RefType, StorageType, TypeId};

/// A branch: the top `arity` slots go down to `height`, execution goes on at `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jump {
    /// Position of the next instruction.
    pub to: u32,
    /// Slots below the kept ones.
    pub height: u32,
    /// How many slots are kept.
    pub arity: u32,
}

/// Where a memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which memory.
    pub memory: u32,
    /// Added to the address.
    pub offset: u64,
}

/// An instruction. Variants have the names of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the instruction of its name")]
pub enum Instr {
    Integer(Integer),
    Float(Float),
    Conversion(Conversion),
    VectorInteger(VectorInteger),
    VectorFloat(VectorFloat),
    Relaxed(Relaxed),
    Lane(LaneAccess, u8),
    /// Its lanes are in the pool.
    Shuffle(u32),
    /// Numbers up to 64 bits and null.
    Const(u64),
    /// A vector from the pool.
    ConstVector(u32),
    Drop,
    Select,
    LocalGet(u32),
    LocalSet(u32),
    LocalTee(u32),
    GlobalGet(u32),
    GlobalSet(u32),
    Unreachable,
    Br(Jump),
    BrIf(Jump),
    /// The branch of `if` to its `else`.
    BrIfZero(u32),
    /// The table is in the pool; its last entry is the default.
    BrTable(u32),
    BrOnNull(Jump),
    BrOnNonNull(Jump),
    /// `br_on_cast` when `on` is true, else `br_on_cast_fail`; the type is in the pool.
    BrOnCast {
        on: bool,
        to: u32,
        jump: Jump,
    },
    /// `br_on_cast_desc_eq` when `on` is true, else `br_on_cast_desc_eq_fail`.
    BrOnCastDescEq {
        on: bool,
        nullable: bool,
        jump: Jump,
    },
    Return,
    Call(u32),
    CallRef,
    CallIndirect {
        ty: TypeId,
        table: u32,
    },
    ReturnCall(u32),
    ReturnCallRef,
    ReturnCallIndirect {
        ty: TypeId,
        table: u32,
    },
    Throw(u32),
    ThrowRef,
    Load(Load, Place),
    Store(Store, Place),
    /// Bytes, lane.
    LoadLane(u8, u8, Place),
    /// Bytes, lane.
    StoreLane(u8, u8, Place),
    Memory(MemoryInstr),
    Table(TableInstr),
    Reference(ReferenceInstr),
    Aggregate(AggregateInstr),
}

/// A memory instruction that is no plain access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the instruction of its name")]
pub enum MemoryInstr {
    AtomicLoad(AtomicLoad, Place),
    AtomicStore(AtomicStore, Place),
    Update(Update, Place),
    Exchange(Exchange, Place),
    /// Bytes.
    Wait(u8, Place),
    Notify(Place),
    Size(u32),
    Grow(u32),
    Fill(u32),
    Copy {
        to: u32,
        from: u32,
    },
    Init {
        memory: u32,
        data: u32,
    },
    DataDrop(u32),
}

/// A table instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the instruction of its name")]
pub enum TableInstr {
    Get(u32),
    Set(u32),
    Size(u32),
    Grow(u32),
    Fill(u32),
    Copy { to: u32, from: u32 },
    Init { table: u32, elem: u32 },
    ElemDrop(u32),
}

/// A reference instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the instruction of its name")]
pub enum ReferenceInstr {
    Func(u32),
    IsNull,
    AsNonNull,
    Eq,
    /// The type is in the pool.
    Test(u32),
    /// The type is in the pool.
    Cast(u32),
    GetDesc,
    /// Whether null passes.
    CastDescEq(bool),
    I31,
    I31GetS,
    I31GetU,
}

/// An instruction on structures and arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the instruction of its name")]
pub enum AggregateInstr {
    StructNew {
        ty: TypeId,
        fields: u32,
    },
    StructNewDefault {
        ty: TypeId,
        fields: u32,
    },
    StructNewDesc {
        ty: TypeId,
        fields: u32,
    },
    StructNewDefaultDesc {
        ty: TypeId,
        fields: u32,
    },
    StructGet(Field),
    StructSet(Field),
    ArrayNew(TypeId),
    ArrayNewDefault(TypeId),
    ArrayNewFixed {
        ty: TypeId,
        len: u32,
    },
    ArrayNewData {
        ty: TypeId,
        data: u32,
        element: Element,
    },
    ArrayNewElem {
        ty: TypeId,
        elem: u32,
    },
    ArrayGet(Packing),
    ArraySet(Packing),
    ArrayLen,
    ArrayFill(Packing),
    ArrayCopy,
    ArrayInitData {
        data: u32,
        element: Element,
    },
    ArrayInitElem {
        elem: u32,
    },
    /// A conversion between `anyref` and `externref`, which changes the type alone.
    Convert,
}

/// A field by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Which field.
    pub index: u32,
    /// How it is kept.
    pub packing: Packing,
}

/// How a field is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Its width in bits; 0 when it is not packed.
    pub bits: u8,
    /// Whether reading extends the sign.
    pub signed: bool,
}

impl Packing {
    /// How a field of a storage type is kept.
    #[must_use]
    pub fn of(storage: StorageType, signed: bool) -> Packing {
        let bits = match storage {
            StorageType::I8 => 8,
            StorageType::I16 => 16,
            StorageType::Val(_) => 0,
        };
        Packing { bits, signed }
    }
}

/// Width of an array element in a data segment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element(pub u8);

/// A clause of `try_table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Catch {
    /// Which tag; all when none.
    pub tag: Option<u32>,
    /// Whether the exception itself is kept as well.
    pub with_ref: bool,
    /// Where to.
    pub jump: Jump,
}

/// The [handler](https://webassembly.github.io/spec/core/exec/runtime.html#exception-handlers) of a `try_table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// First position inside.
    pub start: u32,
    /// First position after.
    pub end: u32,
    /// In order.
    pub catches: Vec<Catch>,
}

/// A function body or constant expression.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Parameters.
    pub params: u32,
    /// Locals besides the parameters.
    pub locals: u32,
    /// Results.
    pub results: u32,
    /// The most slots it ever has, locals included.
    pub slots: u32,
    /// Ends in [`Instr::Return`].
    pub instrs: Vec<Instr>,
    /// Of each instruction, its first byte in the module.
    pub offsets: Vec<u32>,
    /// Of each instruction, the number of the operator that it is the first one of.
    pub operators: Vec<u16>,
    /// Branch tables.
    pub tables: Vec<Vec<Jump>>,
    /// Vectors.
    pub vectors: Vec<u128>,
    /// Types of casts.
    pub casts: Vec<RefType>,
    /// Innermost first.
    pub handlers: Vec<Handler>,
}
