//! Canonical types within a module.
//!
//! Two types are the same when their recursion groups are structurally the same
//! ([spec](https://webassembly.github.io/spec/core/valid/conventions.html#rolling-and-unrolling)). Groups are compared in a
//! rolled form in which references into the group are relative and all others canonical, so one hash lookup per group
//! suffices and the work is linear in the size of the type section.
//!
//! Invariant: `canonical[i] <= i`, and `canonical[canonical[i]] == canonical[i]`.
//!
//! Does not know: other modules; an engine-wide registry rolls groups by [`roll_group`] over its own identifiers.

use crate::{CompositeType, FieldType, HeapType, RefType, StorageType, SubType, TypeIndex, ValType};
use std::collections::HashMap;

/// Marks a reference into the group itself.
const RELATIVE: u32 = 1 << 31;

/// The rolled form of the recursion group of types `group` that starts at type `start`: references into the group become
/// relative, references to earlier types are replaced by `canonical`. Two groups are the same types exactly when their
/// rolled forms are equal.
pub fn roll_group(start: u32, group: &[SubType], canonical: &[TypeIndex]) -> Vec<SubType> {
    let roller = Roller { start, canonical };
    group.iter().map(|ty| roller.roll(ty)).collect()
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

struct Roller<'a> {
    start: u32,
    canonical: &'a [TypeIndex],
}

impl Roller<'_> {
    fn roll(&self, ty: &SubType) -> SubType {
        SubType {
            is_final: ty.is_final,
            supertype: ty.supertype.map(|index| self.index(index)),
            composite: match &ty.composite {
                CompositeType::Func(func) => {
                    let list = |types: &[ValType]| types.iter().map(|ty| self.value(*ty)).collect();
                    CompositeType::Func(crate::FuncType { params: list(&func.params), results: list(&func.results) })
                }
                CompositeType::Struct(ty) => {
                    let fields = ty.fields.iter().map(|field| self.field(*field)).collect();
                    CompositeType::Struct(crate::StructType { fields })
                }
                CompositeType::Array(ty) => CompositeType::Array(crate::ArrayType(self.field(ty.0))),
            },
        }
    }

    fn field(&self, field: FieldType) -> FieldType {
        let storage = match field.storage {
            StorageType::Val(ty) => StorageType::Val(self.value(ty)),
            packed => packed,
        };
        FieldType { storage, mutable: field.mutable }
    }

    fn value(&self, ty: ValType) -> ValType {
        match ty {
            ValType::Ref(RefType { nullable, heap: HeapType::Concrete(index), is_func }) => {
                ValType::Ref(RefType { nullable, heap: HeapType::Concrete(self.index(index)), is_func })
            }
            other => other,
        }
    }

    fn index(&self, index: TypeIndex) -> TypeIndex {
        if index.0 >= self.start { TypeIndex(RELATIVE | (index.0 - self.start)) } else { self.canonical[index.index()] }
    }
}
