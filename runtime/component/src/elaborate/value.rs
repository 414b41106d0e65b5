//! Symbolic values: what an index stands for during elaboration.
//!
//! One kind of value for each
//! [sort](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions).
//!
//! Invariant: a value is a few words and `Copy`; instances, closures and functions are in arenas, which only grow.
//!
//! Does not know: how values come about.

use crate::decode::ast::{ScopeIndex, Symbol};
use crate::graph::{CoreEntity, Side};
use crate::ids::{FuncTypeIndex, ImportIndex, ModuleIndex, NodeId};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Range;
use wattest_canon::{ResourceId, TypeId};

/// A place of an [`Arena`].
pub(super) struct Id<T>(u32, PhantomData<T>);

impl<T> Clone for Id<T> {
    fn clone(&self) -> Id<T> {
        *self
    }
}

impl<T> Copy for Id<T> {}

/// Values of one type that are never freed before the end.
pub(super) struct Arena<T>(Vec<T>);

impl<T> Default for Arena<T> {
    fn default() -> Arena<T> {
        Arena(Vec::new())
    }
}

impl<T> Arena<T> {
    pub fn push(&mut self, value: T) -> Id<T> {
        self.0.push(value);
        // Every entry costs a step, of which there are fewer than 2³².
        Id(self.0.len() as u32 - 1, PhantomData)
    }

    pub fn get(&self, id: Id<T>) -> &T {
        &self.0[id.0 as usize]
    }
}

pub(super) type ClosureId = Id<Closure>;
pub(super) type FuncId = Id<FuncValue>;

/// A scope with what it takes from outside.
#[derive(Clone)]
pub(super) struct Closure {
    pub scope: ScopeIndex,
    /// Positions in `Elaborator::captured`.
    pub captures: Range<u32>,
}

/// An item of a component-level index space.
#[derive(Clone, Copy)]
pub(super) enum Item {
    Func(FuncId),
    Module(ModuleValue),
    Component(ClosureId),
    Instance(InstanceId),
    Type(TypeValue),
}

/// A core module.
#[derive(Clone, Copy)]
pub(super) enum ModuleValue {
    Static(ModuleIndex),
    Host(NodeId, ImportIndex),
}

/// A type.
#[derive(Clone, Copy)]
pub(super) enum TypeValue {
    Value(TypeId),
    Func(FuncTypeIndex),
    Resource(NodeId, ResourceId),
    Instance(ClosureId),
    Component,
}

/// A component function.
#[derive(Clone)]
pub(super) enum FuncValue {
    Host { import: NodeId, ty: FuncTypeIndex },
    Lifted { callee: NodeId, side: Side<NodeId> },
}

impl FuncValue {
    pub const fn ty(&self) -> FuncTypeIndex {
        match self {
            FuncValue::Host { ty, .. } => *ty,
            FuncValue::Lifted { side, .. } => side.ty,
        }
    }
}

/// An item of a core index space.
#[derive(Clone, Copy)]
pub(super) struct CoreItem {
    pub node: NodeId,
    pub ty: CoreEntity,
}

/// A core instance.
#[derive(Clone, Copy)]
pub(super) enum CoreInstance {
    Static(NodeId, ModuleIndex),
    Host(NodeId, ImportIndex),
    /// A synthetic one, by number.
    Bundle(u32),
}

/// A component instance that is complete: its exports.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct InstanceId(u32);

/// All of them.
#[derive(Default)]
pub(super) struct Instances {
    count: u32,
    // ORDER: only looked up.
    exports: HashMap<(InstanceId, Symbol), Item>,
}

impl Instances {
    pub fn add(&mut self, exports: Vec<(Symbol, Item)>) -> InstanceId {
        let id = InstanceId(self.count);
        self.count += 1;
        self.exports.extend(exports.into_iter().map(|(name, item)| ((id, name), item)));
        id
    }

    pub fn get(&self, id: InstanceId, name: Symbol) -> Option<Item> {
        self.exports.get(&(id, name)).copied()
    }
}
