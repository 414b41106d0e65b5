//! Index spaces of the pipeline as types.
//!
//! One newtype per index space
//! ([index spaces](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#index-spaces) of a component
//! that has been flattened). Mixing them up does not compile.
//!
//! Invariant: an index says nothing without the table it indexes; none is made from an index of another space.
//!
//! Does not know: what the tables hold.

use serde::{Deserialize, Serialize};

macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident $letter:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            pub struct $name(pub u32);

            impl $name {
                /// The index as a position in a vector.
                pub const fn index(self) -> usize {
                    self.0 as usize
                }

                /// A position in a vector as the index. Tables hold fewer than 2³² rows: each has a limit.
                pub fn at(position: usize) -> $name {
                    $name(u32::try_from(position).unwrap_or(u32::MAX))
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    write!(f, concat!($letter, "{}"), self.0)
                }
            }
        )*
    };
}

indices! {
    /// A node of a graph.
    NodeId "n";
    /// A position between effects: `k` is the moment just before effect `k`; the number of effects is the moment after all
    /// of them.
    Position "p";
    /// A component instance, numbered in the order of instantiation; the root is 0.
    ComponentIndex "i";
    /// A core module that is part of the component.
    ModuleIndex "m";
    /// Something the host supplies: a row of [`crate::Statics::imports`].
    ImportIndex "h";
    /// A core function type.
    SignatureIndex "s";
    /// A component function type.
    FuncTypeIndex "f";
    /// An adapter module of a plan.
    AdapterIndex "a";
    /// A row of an export tree.
    ExportIndex "x";
}

/// What a slot holds, and which space of slots it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SlotKind {
    /// A core instance, of a module of the component, of the host, or of adapters. Written by [`crate::Op::Instantiate`]
    /// and [`crate::Op::Adapters`].
    Instance,
    /// A core function taken from an instance. Written by [`crate::Op::Load`].
    Func,
    /// A table taken from an instance. Written by [`crate::Op::Load`].
    Table,
    /// A memory taken from an instance. Written by [`crate::Op::Load`].
    Memory,
    /// A global taken from an instance. Written by [`crate::Op::Load`].
    Global,
    /// A tag taken from an instance. Written by [`crate::Op::Load`].
    Tag,
    /// A resource type: its index is its [`wattest_canon::ResourceId`]. Those of the host come first and are there from the
    /// start, the others are written by [`crate::Op::Resource`].
    Resource,
    /// A core function the runtime makes: a row of [`crate::Linear::trampolines`]. There from the start.
    Trampoline,
    /// A component function lifted for the host: a row of [`crate::Linear::lifts`]. There from the start.
    Lift,
    /// A row of [`crate::Linear::imports`]. There from the start.
    Import,
    /// The flags of a component instance, a mutable `i32` global of the runtime: its index is the [`ComponentIndex`]. There
    /// from the start. Bit 0 is `may_leave`, bit 1 is `may_enter`; both start as 1.
    Flags,
}

/// A place of a plan: a kind and a dense index within the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The space.
    pub kind: SlotKind,
    /// The index in it.
    pub index: u32,
}

impl SlotKind {
    /// All of them, in order.
    pub const ALL: [SlotKind; 11] = [
        SlotKind::Instance,
        SlotKind::Func,
        SlotKind::Table,
        SlotKind::Memory,
        SlotKind::Global,
        SlotKind::Tag,
        SlotKind::Resource,
        SlotKind::Trampoline,
        SlotKind::Lift,
        SlotKind::Import,
        SlotKind::Flags,
    ];

    /// The word that slots of the kind begin with in text.
    pub const fn word(self) -> &'static str {
        match self {
            SlotKind::Instance => "instance",
            SlotKind::Func => "func",
            SlotKind::Table => "table",
            SlotKind::Memory => "memory",
            SlotKind::Global => "global",
            SlotKind::Tag => "tag",
            SlotKind::Resource => "resource",
            SlotKind::Trampoline => "trampoline",
            SlotKind::Lift => "lift",
            SlotKind::Import => "import",
            SlotKind::Flags => "flags",
        }
    }

    /// Whether an operation writes slots of the kind (for resources: those that the component defines).
    pub const fn is_written(self) -> bool {
        !matches!(self, SlotKind::Trampoline | SlotKind::Lift | SlotKind::Import | SlotKind::Flags)
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.kind.word(), self.index)
    }
}
