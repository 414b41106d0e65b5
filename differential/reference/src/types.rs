//! Types, and their canonical form.
//!
//! The grammar of [types](https://webassembly.github.io/spec/core/syntax/types.html), and the equality of defined
//! types: two recursive groups are equal when they are once references into the group itself are written as positions
//! in it ([rolling](https://webassembly.github.io/spec/core/valid/conventions.html#rolling-and-unrolling)).
//!
//! Invariant: within one [`Types`], equal types have equal [`TypeId`]s, and a type's supertype has a lower id than it.
//!
//! Does not know: subtyping (see `matching`), nor how types are written in binaries.

use std::collections::BTreeMap;

/// A defined type of one [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// A [heap type](https://webassembly.github.io/spec/core/syntax/types.html#heap-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeapType {
    /// `any`: all internal values.
    Any,
    /// `eq`: comparable internal values.
    Eq,
    /// `i31`: unboxed integers.
    I31,
    /// `struct`: all structures.
    Struct,
    /// `array`: all arrays.
    Array,
    /// `none`: no internal value.
    None,
    /// `func`: all functions.
    Func,
    /// `nofunc`: no function.
    NoFunc,
    /// `extern`: all external values.
    Extern,
    /// `noextern`: no external value.
    NoExtern,
    /// `exn`: all exceptions.
    Exn,
    /// `noexn`: no exception.
    NoExn,
    /// A defined type.
    Def(TypeId),
    /// A position in the recursive group that is being defined.
    Rec(u32),
    /// `exact`: a defined type without its subtypes
    /// ([custom descriptors](https://github.com/WebAssembly/custom-descriptors/blob/main/proposals/custom-descriptors/Overview.md)).
    Exact(TypeId),
    /// `exact`: a position in the recursive group that is being defined.
    ExactRec(u32),
    /// `bot`: occurs in unreachable code only.
    Bot,
}

/// A [reference type](https://webassembly.github.io/spec/core/syntax/types.html#reference-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefType {
    /// Whether null belongs to it.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

/// A [value type](https://webassembly.github.io/spec/core/syntax/types.html#value-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValType {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `v128`.
    V128,
    /// A reference.
    Ref(RefType),
    /// `bot`: occurs in unreachable code only.
    Bot,
}

/// A [storage type](https://webassembly.github.io/spec/core/syntax/types.html#aggregate-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageType {
    /// `i8`.
    I8,
    /// `i16`.
    I16,
    /// A value.
    Val(ValType),
}

/// A field of a structure, or the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldType {
    /// Whether it can be assigned.
    pub mutable: bool,
    /// What it holds.
    pub storage: StorageType,
}

/// A [function type](https://webassembly.github.io/spec/core/syntax/types.html#function-types).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FuncType {
    /// Parameters.
    pub params: Vec<ValType>,
    /// Results.
    pub results: Vec<ValType>,
}

/// A [composite type](https://webassembly.github.io/spec/core/syntax/types.html#composite-types).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompType {
    /// A function.
    Func(FuncType),
    /// A structure.
    Struct(Vec<FieldType>),
    /// An array.
    Array(FieldType),
}

/// A [sub type](https://webassembly.github.io/spec/core/syntax/types.html#recursive-types).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubType {
    /// Whether it may have no subtypes.
    pub is_final: bool,
    /// Its declared supertype.
    pub supertype: Option<HeapType>,
    /// `describes`: the type whose structures have those of this one as descriptors.
    pub describes: Option<HeapType>,
    /// `descriptor`: the type of the descriptors that its structures have.
    pub descriptor: Option<HeapType>,
    /// Its structure.
    pub comp: CompType,
}

/// Bounds of a memory or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lower bound, in pages or entries.
    pub min: u64,
    /// Upper bound, in pages or entries.
    pub max: Option<u64>,
}

/// A [memory type](https://webassembly.github.io/spec/core/syntax/types.html#memory-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryType {
    /// Whether addresses are `i64`.
    pub is64: bool,
    /// Whether threads may share it.
    pub shared: bool,
    /// Size in pages.
    pub limits: Limits,
    /// Binary logarithm of the page size: 16 or 0.
    pub page_log2: u32,
}

/// A [table type](https://webassembly.github.io/spec/core/syntax/types.html#table-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableType {
    /// Whether indices are `i64`.
    pub is64: bool,
    /// Size in entries.
    pub limits: Limits,
    /// The entries.
    pub element: RefType,
}

/// A [global type](https://webassembly.github.io/spec/core/syntax/types.html#global-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalType {
    /// Whether it can be assigned.
    pub mutable: bool,
    /// What it holds.
    pub content: ValType,
}

/// An [external type](https://webassembly.github.io/spec/core/syntax/types.html#external-types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternType {
    /// A function: of a defined type, or exactly of one.
    Func(HeapType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A tag; its type is a function's.
    Tag(TypeId),
}

impl HeapType {
    /// The defined type that it is, exactly or not.
    #[must_use]
    pub fn def(self) -> Option<TypeId> {
        match self {
            HeapType::Def(id) | HeapType::Exact(id) => Some(id),
            _ => None,
        }
    }

    /// `exact_1 x`: the type `id`, exact when this one is.
    #[must_use]
    pub fn exact_as(self, id: TypeId) -> HeapType {
        if matches!(self, HeapType::Exact(_)) { HeapType::Exact(id) } else { HeapType::Def(id) }
    }
}

impl RefType {
    /// A nullable reference.
    #[must_use]
    pub const fn null(heap: HeapType) -> RefType {
        RefType { nullable: true, heap }
    }

    /// A reference that is never null.
    #[must_use]
    pub const fn non_null(heap: HeapType) -> RefType {
        RefType { nullable: false, heap }
    }
}

impl ValType {
    /// Whether locals and fields of this type [have a
    /// default](https://webassembly.github.io/spec/core/valid/types.html#defaultable-types).
    #[must_use]
    pub fn is_defaultable(self) -> bool {
        !matches!(self, ValType::Ref(RefType { nullable: false, .. }))
    }

    fn map(self, id: &impl Fn(HeapType) -> HeapType) -> ValType {
        match self {
            ValType::Ref(ty) => ValType::Ref(RefType { nullable: ty.nullable, heap: id(ty.heap) }),
            other => other,
        }
    }
}

impl StorageType {
    /// The type of the
    /// [unpacked](https://webassembly.github.io/spec/core/valid/instructions.html#aggregate-reference-instructions)
    /// value.
    #[must_use]
    pub fn unpacked(self) -> ValType {
        match self {
            StorageType::I8 | StorageType::I16 => ValType::I32,
            StorageType::Val(ty) => ty,
        }
    }

    /// Size in data segments, in bytes; 0 for references, which have none.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            StorageType::I8 => 1,
            StorageType::I16 => 2,
            StorageType::Val(ValType::I32 | ValType::F32) => 4,
            StorageType::Val(ValType::I64 | ValType::F64) => 8,
            StorageType::Val(ValType::V128) => 16,
            StorageType::Val(ValType::Ref(_) | ValType::Bot) => 0,
        }
    }
}

impl FieldType {
    fn map(self, id: &impl Fn(HeapType) -> HeapType) -> FieldType {
        let storage = match self.storage {
            StorageType::Val(ty) => StorageType::Val(ty.map(id)),
            packed => packed,
        };
        FieldType { mutable: self.mutable, storage }
    }
}

impl SubType {
    /// The type with every heap type replaced.
    #[must_use]
    pub fn map(&self, id: &impl Fn(HeapType) -> HeapType) -> SubType {
        let comp = match &self.comp {
            CompType::Func(ty) => CompType::Func(FuncType {
                params: ty.params.iter().map(|ty| ty.map(id)).collect(),
                results: ty.results.iter().map(|ty| ty.map(id)).collect(),
            }),
            CompType::Struct(fields) => CompType::Struct(fields.iter().map(|field| field.map(id)).collect()),
            CompType::Array(field) => CompType::Array(field.map(id)),
        };
        SubType {
            is_final: self.is_final,
            supertype: self.supertype.map(id),
            describes: self.describes.map(id),
            descriptor: self.descriptor.map(id),
            comp,
        }
    }

    /// The declared supertype of a type outside its group.
    #[must_use]
    pub fn super_id(&self) -> Option<TypeId> {
        self.supertype.and_then(HeapType::def)
    }

    /// The type that a type outside its group describes.
    #[must_use]
    pub fn described_id(&self) -> Option<TypeId> {
        self.describes.and_then(HeapType::def)
    }

    /// The type of the descriptors of a type outside its group.
    #[must_use]
    pub fn descriptor_id(&self) -> Option<TypeId> {
        self.descriptor.and_then(HeapType::def)
    }
}

/// Replaces the defined types of an external type by `ids`.
pub(crate) fn map_extern(ty: ExternType, ids: &[TypeId]) -> ExternType {
    match ty {
        ExternType::Func(heap) => ExternType::Func(map_heap(heap, ids)),
        ExternType::Tag(id) => ExternType::Tag(ids[id.0 as usize]),
        ExternType::Table(ty) => ExternType::Table(TableType { element: map_ref(ty.element, ids), ..ty }),
        ExternType::Global(ty) => {
            ExternType::Global(GlobalType { content: ty.content.map(&|heap| map_heap(heap, ids)), ..ty })
        }
        memory @ ExternType::Memory(_) => memory,
    }
}

/// Replaces a defined type of a reference type by that of `ids`.
pub(crate) fn map_ref(ty: RefType, ids: &[TypeId]) -> RefType {
    RefType { nullable: ty.nullable, heap: map_heap(ty.heap, ids) }
}

fn map_heap(heap: HeapType, ids: &[TypeId]) -> HeapType {
    match heap {
        HeapType::Def(id) => HeapType::Def(ids[id.0 as usize]),
        HeapType::Exact(id) => HeapType::Exact(ids[id.0 as usize]),
        other => other,
    }
}

/// Defined types in canonical form.
#[derive(Clone, Debug, Default)]
pub struct Types {
    defs: Vec<SubType>,
    /// Rolled groups in order of definition, with their first id.
    groups: Vec<(Vec<SubType>, u32)>,
    known: BTreeMap<Vec<SubType>, u32>,
}

impl Types {
    /// Adds a rolled recursive group, unless an equal one is there, and returns its first id: its members follow.
    pub fn add_group(&mut self, group: Vec<SubType>) -> TypeId {
        if let Some(first) = self.known.get(&group) {
            return TypeId(*first);
        }
        let first = self.defs.len() as u32;
        let unroll = |heap| match heap {
            HeapType::Rec(position) => HeapType::Def(TypeId(first + position)),
            HeapType::ExactRec(position) => HeapType::Exact(TypeId(first + position)),
            other => other,
        };
        self.defs.extend(group.iter().map(|ty| ty.map(&unroll)));
        self.groups.push((group.clone(), first));
        self.known.insert(group, first);
        TypeId(first)
    }

    /// Adds a function type of its own group.
    pub fn add_func(&mut self, ty: FuncType) -> TypeId {
        let comp = CompType::Func(ty);
        self.add_group(vec![SubType { is_final: true, supertype: None, describes: None, descriptor: None, comp }])
    }

    /// Adds all types of `other` and says which of these is which of those.
    pub fn adopt(&mut self, other: &Types) -> Vec<TypeId> {
        let mut ids: Vec<TypeId> = Vec::with_capacity(other.defs.len());
        for (group, _) in &other.groups {
            let members = group.iter().map(|ty| ty.map(&|heap| map_heap(heap, &ids))).collect();
            let first = self.add_group(members);
            ids.extend((0..group.len() as u32).map(|position| TypeId(first.0 + position)));
        }
        ids
    }

    /// A type, unrolled.
    #[must_use]
    pub fn get(&self, id: TypeId) -> &SubType {
        &self.defs[id.0 as usize]
    }

    /// A function type.
    #[must_use]
    pub fn func(&self, id: TypeId) -> Option<&FuncType> {
        match &self.get(id).comp {
            CompType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// How many defined types there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.defs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.defs.is_empty()
    }
}
