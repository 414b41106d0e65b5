//! Index spaces as types.
//!
//! One newtype per index space of the specification
//! ([spec](https://webassembly.github.io/spec/core/syntax/modules.html#indices)), and one per *defined* subspace, which
//! counts definitions only. Mixing them up does not compile.
//!
//! Invariant: an index of one space is never made from an index of another without naming both.
//!
//! Does not know: what the indices refer to.

use serde::{Deserialize, Serialize};

macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            pub struct $name(pub u32);

            impl $name {
                /// The index as a position in a vector.
                pub const fn index(self) -> usize {
                    self.0 as usize
                }
            }
        )*
    };
}

indices! {
    /// A type of the module.
    TypeIndex;
    /// A function, imports first.
    FuncIndex;
    /// A function defined in the module.
    DefinedFuncIndex;
    /// A table, imports first.
    TableIndex;
    /// A table defined in the module.
    DefinedTableIndex;
    /// A memory, imports first.
    MemoryIndex;
    /// A memory defined in the module.
    DefinedMemoryIndex;
    /// A global, imports first.
    GlobalIndex;
    /// A global defined in the module.
    DefinedGlobalIndex;
    /// A tag, imports first.
    TagIndex;
    /// An element segment.
    ElementIndex;
    /// A data segment.
    DataIndex;
}
