//! The linear plan: what instantiating a component comes to.
//!
//! A [`Plan`] is executed from front to back: [`Linear::ops`] are four kinds of operation, everything else is declared. It
//! does what [instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#component-definitions)
//! of the nested component would do, in the same order.
//!
//! How to execute it. Resolve [`Linear::imports`] by their paths. Make the flags of [`Statics::components`] and one handle
//! table for each. Then carry out the operations; a trap ends it and poisons the instance. A slot of a declared kind
//! ([`SlotKind::Trampoline`], [`SlotKind::Lift`], [`SlotKind::Import`], [`SlotKind::Flags`], host resources) is there from
//! the start; *its operands* are written before it can be called for the first time, so a trampoline may look them up when
//! it is called, or be completed when the last one is written.
//!
//! Invariant: each slot is written exactly once and before anything that could possibly use it, trampolines handed to a
//! start function included; indices within a kind are dense; nothing unused is there. [`crate::verify`] checks all of it.
//!
//! Does not know: how instances, functions or traps are made; names of the graph's nodes.

use crate::graph::{Args, Export, ModuleRef, Node, Statics};
use crate::ids::{AdapterIndex, ComponentIndex, ImportIndex, Slot, SlotKind};
use serde::{Deserialize, Serialize};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Instantiates a core module and runs its start function.
    Instantiate {
        /// The new instance.
        dst: Slot,
        /// Its module. A host's module is a slot of kind [`SlotKind::Import`].
        module: ModuleRef<Slot>,
        /// Its imports.
        args: Args<Slot>,
        /// The component instance that is then current.
        component: ComponentIndex,
    },
    /// Instantiates an adapter module. Runs no code.
    Adapters {
        /// The new instance.
        dst: Slot,
        /// A row of [`Linear::adapters`].
        adapter: AdapterIndex,
        /// Its imports, in order.
        args: Box<[Slot]>,
    },
    /// Takes an export out of an instance.
    Load {
        /// A function, table, memory, global or tag.
        dst: Slot,
        /// From an earlier operation.
        instance: Slot,
        /// Which export.
        export: LoadKey,
    },
    /// Makes a resource type.
    Resource {
        /// Its index is the number of the type.
        dst: Slot,
        /// A core function of type `[i32] -> []`.
        dtor: Option<Slot>,
        /// The component instance that defines it.
        component: ComponentIndex,
    },
}

impl Op {
    /// The slot that the operation writes.
    pub const fn dst(&self) -> Slot {
        match self {
            Op::Instantiate { dst, .. }
            | Op::Adapters { dst, .. }
            | Op::Load { dst, .. }
            | Op::Resource { dst, .. } => *dst,
        }
    }

    /// The slots that it reads, in order.
    pub fn for_each_operand(&self, mut f: impl FnMut(Slot)) {
        match self {
            Op::Instantiate { module, args, .. } => {
                if let ModuleRef::Host(import) = module {
                    f(*import);
                }
                match args {
                    Args::Positional(values) => values.iter().copied().for_each(f),
                    Args::Named(rows) => rows.iter().for_each(|(_, _, value)| f(*value)),
                }
            }
            Op::Adapters { args, .. } => args.iter().copied().for_each(f),
            Op::Load { instance, .. } => f(*instance),
            Op::Resource { dtor, .. } => dtor.iter().copied().for_each(f),
        }
    }

    /// Whether it is an effect of the component and not only bookkeeping of the plan.
    pub const fn is_effect(&self) -> bool {
        matches!(self, Op::Instantiate { .. } | Op::Resource { .. })
    }
}

/// Which export an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoadKey {
    /// Of an instance of a core module. The sort is the kind of the slot.
    Core(crate::graph::Key),
    /// Of an adapter module: the position among its exports, all of them functions. In the emitted module the export's name
    /// is this number in decimal.
    Adapter(u32),
}

/// A reference within the description of an adapter module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AdapterRef {
    /// An import of the module, by position.
    Import(u32),
    /// Another export of the same module, by position: a direct call.
    Export(u32),
}

/// An emitted adapter module.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Adapter {
    /// The module: a row of [`Linear::templates`]. Several adapter modules may share one.
    pub template: u32,
    /// How many imports it has.
    pub imports: u32,
    /// What each export is: a [`Node::Fused`], by which the plan is verified against its graph.
    pub exports: Vec<Node<AdapterRef>>,
    /// What those imports are that no export names as an operand, by position: [`Node::Flags`] and [`Node::Support`].
    pub support: Vec<(u32, Node<AdapterRef>)>,
}

/// How many slots of each kind there are, in the order of [`SlotKind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SlotCounts(pub [u32; SlotKind::ALL.len()]);

impl SlotCounts {
    /// How many of a kind.
    pub const fn of(self, kind: SlotKind) -> u32 {
        self.0[kind as usize]
    }
}

/// A plan without the tables it shares with its graph.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Linear {
    /// What has to be resolved before the first operation: rows of [`Statics::imports`] that are used (resource types always
    /// are), each once, in order. The position here is the index of its slot; a resource type has another slot besides, of
    /// kind [`SlotKind::Resource`], and only that one is used.
    pub imports: Vec<ImportIndex>,
    /// The operations, in order.
    pub ops: Vec<Op>,
    /// Core functions of the runtime: [`Node::Lower`], [`Node::Builtin`], [`Node::Support`], [`Node::TrapStub`]. The
    /// position is the index of the slot.
    pub trampolines: Vec<Node<Slot>>,
    /// Component functions for the host: [`Node::Lift`]. The position is the index of the slot.
    pub lifts: Vec<Node<Slot>>,
    /// The export tree. Values are slots of kind [`SlotKind::Lift`], [`SlotKind::Import`] and [`SlotKind::Resource`].
    pub exports: Vec<Export<Slot>>,
    /// Adapter modules.
    pub adapters: Vec<Adapter>,
    /// The distinct core modules emitted for them, as binaries.
    pub templates: Vec<Vec<u8>>,
    /// How many slots there are.
    pub counts: SlotCounts,
}

/// A component, ready to be instantiated: an artifact holds this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Types, modules, imports, component instances.
    pub statics: Statics,
    /// What to do.
    pub linear: Linear,
}
