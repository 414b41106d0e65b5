//! Core modules as inert descriptions.
//!
//! [`decode`] turns a binary into a [`ModuleDesc`]: types, imports, index spaces, segments, and function bodies as byte
//! ranges, all validated ([spec](https://webassembly.github.io/spec/core/valid/index.html)). Nothing here is compiled or
//! run.
//!
//! Invariant: a `ModuleDesc` that `decode` returned is valid; every index in it is in range.
//!
//! Does not know: code generators, the virtual machine, stores.
#![forbid(unsafe_code)]

mod bodies;
mod canonical;
mod consistency;
mod constant;
mod convert;
mod decode;
mod desc;
mod error;
mod features;
mod hints;
mod indices;
mod names;
mod traffic;
mod types;

pub use canonical::{map_concrete, roll_group};
pub use constant::{ConstExpr, ConstOp};
pub use decode::{Limits, check_custom_sections, decode};
pub use desc::{
    BodyFacts, DataKind, DataSegment, ElementItems, ElementKind, ElementSegment, Export, FunctionBody, GlobalInit,
    Import, ImportKind, ModuleDesc, TableInit,
};
pub use error::DecodeError;
pub use features::{Feature, Features};
pub use hints::BranchHint;
pub use indices::{
    DataIndex, DefinedFuncIndex, DefinedGlobalIndex, DefinedMemoryIndex, DefinedTableIndex, ElementIndex, FuncIndex,
    GlobalIndex, MemoryIndex, TableIndex, TagIndex, TypeIndex,
};
pub use names::Names;
pub use types::{
    ArrayType, CompositeType, Descriptor, EntityType, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType,
    StorageType, StructType, SubType, TableType, TagType, ValType,
};
