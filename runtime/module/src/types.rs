//! WebAssembly types.
//!
//! The specification's types ([spec](https://webassembly.github.io/spec/core/syntax/types.html)) as plain data. Concrete
//! heap types refer to the module's own type index; canonical identity across modules is the engine's business.
//!
//! Invariant: values of these types carry no module; they are only meaningful beside the `ModuleDesc` they came from.
//!
//! Does not know: how types are laid out or compared at run time.

use crate::TypeIndex;
use serde::{Deserialize, Serialize};
use wattest_abi::ValueKind;
use wattest_abi::gc::FieldKind;

/// A heap type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HeapType {
    /// Any function.
    Func,
    /// No function: the bottom of functions.
    NoFunc,
    /// Any host value.
    Extern,
    /// The bottom of host values.
    NoExtern,
    /// Any internal value.
    Any,
    /// Values with identity.
    Eq,
    /// Unboxed 31-bit integers.
    I31,
    /// Any struct.
    Struct,
    /// Any array.
    Array,
    /// The bottom of internal values.
    None,
    /// Any exception.
    Exn,
    /// The bottom of exceptions.
    NoExn,
    /// A type of the module, and those below it.
    Concrete(TypeIndex),
    /// A type of the module without those below it.
    Exact(TypeIndex),
}

impl HeapType {
    /// The type of the module that it names, exactly or not.
    pub const fn concrete(self) -> Option<TypeIndex> {
        match self {
            HeapType::Concrete(ty) | HeapType::Exact(ty) => Some(ty),
            _ => None,
        }
    }

    /// The heap type with the type of the module that it names, if it names one, replaced.
    #[must_use]
    pub fn map_concrete(self, map: impl FnOnce(TypeIndex) -> TypeIndex) -> HeapType {
        match self {
            HeapType::Concrete(ty) => HeapType::Concrete(map(ty)),
            HeapType::Exact(ty) => HeapType::Exact(map(ty)),
            other => other,
        }
    }
}

/// A reference type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefType {
    /// Whether null is a value of the type.
    pub nullable: bool,
    /// What is referred to.
    pub heap: HeapType,
    /// For a concrete heap type: whether it is a function type (of a function reference), which decides the machine
    /// representation. For abstract ones it follows from the heap type.
    pub is_func: bool,
}

impl RefType {
    /// `funcref`.
    pub const FUNC: RefType = RefType { nullable: true, heap: HeapType::Func, is_func: true };
    /// `externref`.
    pub const EXTERN: RefType = RefType { nullable: true, heap: HeapType::Extern, is_func: false };
}

/// A value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference.
    Ref(RefType),
}

impl ValType {
    /// The machine-level kind.
    ///
    /// ```
    /// use wattest_abi::ValueKind;
    /// use wattest_module::{RefType, ValType};
    /// assert_eq!(ValType::Ref(RefType::FUNC).kind(), ValueKind::FuncRef);
    /// ```
    pub const fn kind(self) -> ValueKind {
        match self {
            ValType::I32 => ValueKind::I32,
            ValType::I64 => ValueKind::I64,
            ValType::F32 => ValueKind::F32,
            ValType::F64 => ValueKind::F64,
            ValType::V128 => ValueKind::V128,
            ValType::Ref(ty) if ty.is_func => ValueKind::FuncRef,
            ValType::Ref(_) => ValueKind::Ref,
        }
    }
}

/// A function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FuncType {
    /// Parameter types.
    pub params: Vec<ValType>,
    /// Result types.
    pub results: Vec<ValType>,
}

/// What a field or element stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StorageType {
    /// Packed 8-bit integer.
    I8,
    /// Packed 16-bit integer.
    I16,
    /// A value.
    Val(ValType),
}

/// A field of a struct or the element of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FieldType {
    /// What is stored.
    pub storage: StorageType,
    /// Whether it can be set.
    pub mutable: bool,
}

impl FieldType {
    /// How the field is stored.
    pub const fn kind(self) -> FieldKind {
        match self.storage {
            StorageType::I8 => FieldKind::I8,
            StorageType::I16 => FieldKind::I16,
            StorageType::Val(ty) => FieldKind::Value(ty.kind()),
        }
    }
}

/// A struct type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StructType {
    /// The fields.
    pub fields: Vec<FieldType>,
}

/// An array type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArrayType(pub FieldType);

/// A composite type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CompositeType {
    /// Function.
    Func(FuncType),
    /// Struct.
    Struct(StructType),
    /// Array.
    Array(ArrayType),
}

/// The descriptor that every object of a type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Descriptor {
    /// The descriptor's type.
    pub ty: TypeIndex,
    /// Where objects hold it: before this field. That is the number of fields of the nearest supertype without descriptor,
    /// so all types below one with a descriptor hold it at the same place.
    pub before: u32,
}

/// An element of a recursion group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubType {
    /// Whether the type can have no subtypes.
    pub is_final: bool,
    /// The declared supertype.
    pub supertype: Option<TypeIndex>,
    /// The type whose objects have objects of this one as descriptors.
    pub describes: Option<TypeIndex>,
    /// The descriptor of this type's objects.
    pub descriptor: Option<Descriptor>,
    /// The structure.
    pub composite: CompositeType,
}

impl SubType {
    /// A type that neither has a descriptor nor is one.
    pub const fn new(is_final: bool, supertype: Option<TypeIndex>, composite: CompositeType) -> SubType {
        SubType { is_final, supertype, describes: None, descriptor: None, composite }
    }
}

/// A table type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableType {
    /// Element type.
    pub element: RefType,
    /// Whether indices are 64 bits wide.
    pub table64: bool,
    /// Initial number of elements.
    pub minimum: u64,
    /// Largest number of elements.
    pub maximum: Option<u64>,
}

/// A memory type; sizes in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoryType {
    /// Whether addresses are 64 bits wide.
    pub memory64: bool,
    /// Whether the memory is shared between threads.
    pub shared: bool,
    /// Initial number of pages.
    pub minimum: u64,
    /// Largest number of pages.
    pub maximum: Option<u64>,
    /// Base-two logarithm of the page size in bytes: 16 unless the custom-page-sizes proposal says 0.
    pub page_bytes_log2: u8,
}

impl MemoryType {
    /// Bytes per page.
    pub const fn page_bytes(&self) -> u64 {
        1 << self.page_bytes_log2
    }

    /// Width of addresses in bits.
    pub const fn index_bits(&self) -> u32 {
        if self.memory64 { 64 } else { 32 }
    }

    /// The largest number of pages the address width allows, whatever the declared maximum.
    pub const fn pages_max(&self) -> u64 {
        if self.memory64 {
            // A 64-bit memory of one-byte pages cannot express 2^64 pages.
            if self.page_bytes_log2 == 0 { u64::MAX } else { 1 << (64 - self.page_bytes_log2 as u32) }
        } else if self.page_bytes_log2 == 0 {
            u32::MAX as u64
        } else {
            1 << (32 - self.page_bytes_log2 as u32)
        }
    }
}

/// A global type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GlobalType {
    /// Value type.
    pub content: ValType,
    /// Whether it can be set.
    pub mutable: bool,
}

/// A tag type: the type of an exception's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TagType {
    /// A function type without results.
    pub ty: TypeIndex,
}

/// The type of an import or export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntityType {
    /// A function of the given type.
    Func(TypeIndex),
    /// An imported function of the given type and of none below it.
    FuncExact(TypeIndex),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A tag.
    Tag(TagType),
}

/// `i32`, `funcref`, `(ref null 3)`: the text format's spelling.
impl std::fmt::Display for ValType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(ty) => ty.fmt(f),
        }
    }
}

impl std::fmt::Display for RefType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.heap {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::Concrete(ty) => {
                let null = if self.nullable { "null " } else { "" };
                return write!(f, "(ref {null}{})", ty.0);
            }
            HeapType::Exact(ty) => {
                let null = if self.nullable { "null " } else { "" };
                return write!(f, "(ref {null}(exact {}))", ty.0);
            }
        };
        match (self.nullable, self.heap) {
            (true, HeapType::Func | HeapType::Extern) => write!(f, "{name}ref"),
            (true, _) => write!(f, "(ref null {name})"),
            (false, _) => write!(f, "(ref {name})"),
        }
    }
}

/// `(i32, i64) -> (f32)`.
impl std::fmt::Display for FuncType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}
