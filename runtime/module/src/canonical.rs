//! Canonical types within a module.
//!
//! Two types are the same when their recursion groups are structurally the same
//! ([spec](https://webassembly.github.io/spec/core/valid/conventions.html#rolling-and-unrolling)). Groups are compared in a
//! rolled form in which references into the group are relative and all others canonical, so one hash lookup per group
//! suffices and the work is linear in the size of the type section, whatever the types' unrolled size.
//!
//! Invariant: `canonical[i] <= i`, and `canonical[canonical[i]] == canonical[i]`.
//!
//! Does not know: other modules; an engine-wide registry rolls groups by [`roll_group`] over its own identifiers.

use crate::{CompositeType, Descriptor, FieldType, FuncType, RefType, StorageType, SubType, TypeIndex, ValType};
use std::collections::HashMap;

/// Marks a reference into the group itself.
const RELATIVE: u32 = 1 << 31;

impl TypeIndex {
    /// In a rolled type: the reference to position `position` of its own group.
    ///
    /// ```
    /// assert_eq!(wattest_module::TypeIndex::in_group(1).group_position(), Some(1));
    /// ```
    pub const fn in_group(position: u32) -> TypeIndex {
        TypeIndex(RELATIVE | position)
    }

    /// In a rolled type: the position in its own group that this refers to, if it refers to that.
    pub fn group_position(self) -> Option<u32> {
        (self.0 & RELATIVE != 0).then_some(self.0 & !RELATIVE)
    }
}

/// The rolled form of the recursion group of types `group` that starts at type `start`: references into the group become
/// relative, references to earlier types are replaced by `canonical`. Two groups are the same types exactly when their
/// rolled forms are equal.
pub fn roll_group(start: u32, group: &[SubType], canonical: &[TypeIndex]) -> Vec<SubType> {
    let roll = |index: TypeIndex| {
        if index.0 >= start { TypeIndex(RELATIVE | (index.0 - start)) } else { canonical[index.index()] }
    };
    group.iter().map(|ty| map_concrete(ty, roll)).collect()
}

/// `ty` with every reference to a concrete type, the supertype included, replaced.
///
/// ```
/// use wattest_module::{ArrayType, CompositeType, FieldType, HeapType, RefType, StorageType, SubType, TypeIndex, ValType};
/// use wattest_module::map_concrete;
/// let array = |index| {
///     let element = RefType { nullable: true, heap: HeapType::Concrete(TypeIndex(index)), is_func: false };
///     let field = FieldType { storage: StorageType::Val(ValType::Ref(element)), mutable: true };
///     SubType::new(true, None, CompositeType::Array(ArrayType(field)))
/// };
/// assert_eq!(map_concrete(&array(1), |index| TypeIndex(index.0 + 1)), array(2));
/// ```
pub fn map_concrete(ty: &SubType, map: impl Fn(TypeIndex) -> TypeIndex) -> SubType {
    let value = |ty: ValType| match ty {
        ValType::Ref(ty) => ValType::Ref(RefType { heap: ty.heap.map_concrete(&map), ..ty }),
        other => other,
    };
    let field = |field: FieldType| {
        let storage = match field.storage {
            StorageType::Val(ty) => StorageType::Val(value(ty)),
            packed => packed,
        };
        FieldType { storage, mutable: field.mutable || wattest_abi::mutant!(registry_ignores_mutability) }
    };
    SubType {
        is_final: ty.is_final,
        supertype: ty.supertype.map(&map),
        describes: ty.describes.map(&map),
        descriptor: ty.descriptor.map(|found| Descriptor { ty: map(found.ty), before: found.before }),
        composite: match &ty.composite {
            CompositeType::Func(func) => {
                let list = |types: &[ValType]| types.iter().map(|ty| value(*ty)).collect();
                CompositeType::Func(FuncType { params: list(&func.params), results: list(&func.results) })
            }
            CompositeType::Struct(ty) => {
                let fields = ty.fields.iter().map(|one| field(*one)).collect();
                CompositeType::Struct(crate::StructType { fields })
            }
            CompositeType::Array(ty) => CompositeType::Array(crate::ArrayType(field(ty.0))),
        },
    }
}

/// Finds canonical representatives, group by group.
#[derive(Default)]
pub(crate) struct Canonicalizer {
    // ORDER: only looked up, never iterated.
    groups: HashMap<Vec<SubType>, u32>,
    canonical: Vec<TypeIndex>,
}

impl Canonicalizer {
    /// Adds the group of types that starts at `start`.
    pub fn add_group(&mut self, start: u32, group: &[SubType]) {
        let rolled = roll_group(start, group, &self.canonical);
        let first = *self.groups.entry(rolled).or_insert(start);
        self.canonical.extend((0..group.len() as u32).map(|position| TypeIndex(first + position)));
    }

    /// The representative of every type added.
    pub fn finish(self) -> Vec<TypeIndex> {
        self.canonical
    }
}
