//! Adapters as their users describe them, and adapter modules as they come out.
//!
//! An [`Adapter`] is a [`canon lower`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lower)
//! of a [`canon lift`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lift): the
//! core function that the lowering component calls. Whatever it needs is named by an identifier `I` of its user, who gets
//! the identifiers back as the imports of the module.
//!
//! Invariant: all here is plain data; an [`EncodedAdapters`] lists its imports in the order of the module's import section.
//!
//! Does not know: what an identifier stands for.

use crate::intrinsic::Intrinsic;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;
use wattest_canon::{CoreType, Encoding, Fault, TypeId, Width};

/// What a user may name things by.
pub trait ImportId: Copy + Eq + Hash + Debug {}

impl<I: Copy + Eq + Hash + Debug> ImportId for I {}

/// A component instance, numbered by whoever tells instances apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId(pub u32);

/// An adapter of one module, in the order of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdapterId(pub u32);

/// A core function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee<I> {
    /// One that is imported.
    Import(I),
    /// An adapter of the same module, added before.
    Adapter(AdapterId),
}

/// A linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory<I> {
    /// The memory.
    pub id: I,
    /// The width of its addresses.
    pub width: Width,
    /// The binary logarithm of its page size: 16, or 0 with the custom-page-sizes proposal.
    pub page_bits: u32,
}

/// The option `async` of a lift or a lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concurrency<I> {
    /// Absent.
    Sync,
    /// `async` without a callback. Of a lift: results go to `task.return`, the core function has none.
    Async,
    /// `async` with this callback; a lift only.
    Callback(I),
}

/// The [options](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-abi-options)
/// of a lift or a lower, and whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side<I> {
    /// The component instance that has the core function (lift) or calls it (lower). Handles are in its table.
    pub instance: InstanceId,
    /// The instance's `may_leave`: a mutable `i32` global, 1 when it may and 0 while its `realloc` or `post-return` runs.
    /// `None` when nothing can see it: then it is neither tested nor set.
    pub may_leave: Option<I>,
    /// The encoding of strings.
    pub encoding: Encoding,
    /// The memory, when the types need one.
    pub memory: Option<Memory<I>>,
    /// `(old, old bytes, align, new bytes) -> address`, all of the memory's width, when something is lowered to it.
    pub realloc: Option<Callee<I>>,
    /// Called with the core results; a lift only.
    pub post_return: Option<Callee<I>>,
    /// Whether results, and waiting for them, are the task's business.
    pub concurrency: Concurrency<I>,
}

/// When an adapter tells the host that it enters and leaves the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallScope {
    /// Only when a parameter contains a borrow, whose lending has to end, or the lift is asynchronous.
    WhenNeeded,
    /// Always: something can see which task is current.
    Always,
}

/// A call from one component instance into another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adapter<I> {
    /// The component function's parameters.
    pub params: Box<[TypeId]>,
    /// Its result.
    pub result: Option<TypeId>,
    /// Whether its type is `async`: a caller that lowers it without `async` must be allowed to block.
    pub is_async: bool,
    /// The callee's side.
    pub lift: Side<I>,
    /// The caller's side.
    pub lower: Side<I>,
    /// The core function that is lifted.
    pub callee: Callee<I>,
    /// Whether the call is a scope of its own for the host.
    pub scope: CallScope,
}

/// What an imported item has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImportKind {
    /// A function of these core types.
    Func(FuncType),
    /// A memory of at least 0 pages, with this page size.
    Memory {
        /// The width of its addresses.
        width: Width,
        /// The binary logarithm of its page size.
        page_bits: u32,
    },
    /// A mutable global of type `i32`.
    MayLeave,
}

/// A core value type that adapters use: those of the canonical ABI, and functions for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbiType {
    /// A value of the canonical ABI.
    Core(CoreType),
    /// `funcref`.
    FuncRef,
}

/// A core function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct FuncType {
    /// Parameters.
    pub params: Vec<AbiType>,
    /// Results.
    pub results: Vec<AbiType>,
}

/// Where an import comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source<I> {
    /// What the user named so.
    Given(I),
    /// A function of the host.
    Intrinsic(Intrinsic<I>),
}

/// An import of an adapter module. The module name is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Import<I> {
    /// The field name: the import's position in decimal, so that equal modules have equal bytes.
    pub name: String,
    /// What it has to be.
    pub kind: ImportKind,
    /// What it is.
    pub source: Source<I>,
}

/// An adapter as an export.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Export {
    /// The field name.
    pub name: String,
    /// The signature of the lowered function.
    pub ty: FuncType,
}

/// An adapter module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAdapters<I> {
    /// The core module. It has no start function, no segments that are active, and defines no memory, table or global.
    pub wasm: Vec<u8>,
    /// Its imports in order; each source stands here once.
    pub imports: Vec<Import<I>>,
    /// Its exports, one for each adapter in order.
    pub exports: Vec<Export>,
}

/// Why a call between components traps, besides what its callee does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdapterTrap {
    /// A fault of lifting or lowering.
    Fault(Fault),
    /// The caller's `may_leave` is not set.
    CannotLeave,
    /// An exception that the callee did not catch.
    UncaughtException,
}

impl AdapterTrap {
    const CANNOT_LEAVE: i32 = 0x40;
    const UNCAUGHT_EXCEPTION: i32 = 0x41;

    /// The operand of [`Intrinsic::Trap`]; `None` for faults that no guest causes.
    pub fn code(self) -> Option<i32> {
        match self {
            AdapterTrap::Fault(fault) => fault.code(),
            AdapterTrap::CannotLeave => Some(AdapterTrap::CANNOT_LEAVE),
            AdapterTrap::UncaughtException => Some(AdapterTrap::UNCAUGHT_EXCEPTION),
        }
    }

    /// The trap of an operand; `None` for a number that no adapter uses.
    pub fn from_code(code: i32) -> Option<AdapterTrap> {
        match code {
            AdapterTrap::CANNOT_LEAVE => Some(AdapterTrap::CannotLeave),
            AdapterTrap::UNCAUGHT_EXCEPTION => Some(AdapterTrap::UncaughtException),
            _ => Fault::from_code(code).map(AdapterTrap::Fault),
        }
    }
}

impl std::fmt::Display for AdapterTrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdapterTrap::Fault(fault) => write!(f, "{fault}"),
            AdapterTrap::CannotLeave => f.write_str("cannot leave component instance"),
            AdapterTrap::UncaughtException => f.write_str("uncaught exception at a component boundary"),
        }
    }
}
