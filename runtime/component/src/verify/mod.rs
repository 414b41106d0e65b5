//! The proof that a plan means what its graph means.
//!
//! What linearization must preserve of
//! [instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md) is a table of
//! [`Property`]s. A structural validator holds the plan against the rules of plans, and a symbolic evaluator gives graph and
//! plan their denotation, which must be equal. Neither looks at how the plan was made.
//!
//! | Checked in | Properties |
//! |---|---|
//! | `structure` | P1, P2, P7, P8, P10, P20, P23 |
//! | `symbolic` | P3 (order, module, instance), P4, P5, P6, P9 (exactly once), P11, P17, P18, P19 |
//! | `types` | P13 (both memories, widths), P20, P21 |
//! | `template` | P3 (nothing effectful in adapters), P9 (imports and exports of the module) |
//! | `random/tests.rs`, the harness target `graph` | P12 (groupings denote the same), P22, P24 (every subset of passes), P25, and all of the above |
//! | traces of running components, the harness target `dfg` | P12 to P16 and P24 |
//!
//! Which test decides which property is a table in `fuzz/harness/tests/properties.rs`.
//!
//! Invariant: [`verify`] is linear in the sizes of graph and plan, and does not recurse; it never panics on any plan, so that
//! a plan from outside may be held against a graph.
//!
//! Does not know: schedules, emitters.

mod structure;
mod symbolic;
mod template;
mod types;

use crate::graph::Graph;
use crate::linear::Linear;
use thiserror::Error;

pub use template::verify_templates;

macro_rules! properties {
    ($($name:ident $text:literal;)*) => {
        /// What linearization must preserve.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Property {
            $(#[doc = $text] $name,)*
        }

        impl Property {
            /// All of them.
            pub const ALL: &[Property] = &[$(Property::$name),*];

            /// What it says.
            pub const fn text(self) -> &'static str {
                match self { $(Property::$name => $text,)* }
            }
        }
    };
}

properties! {
    P1 "every operand of an operation, latent ones included, is defined before it";
    P2 "every slot is written exactly once, indices are dense";
    P3 "instantiations keep order, module and component instance; nothing effectful is in between";
    P4 "resource definitions keep their place and number";
    P5 "instantiation arguments denote the same";
    P6 "destructors, post-returns, callbacks, reallocs, memories and tables denote the same";
    P7 "each value is extracted at most once";
    P8 "nothing unused is there";
    P9 "every reachable adapter is in exactly one adapter module, with matching imports";
    P10 "adapter modules depend on each other without cycles, through options too";
    P11 "an adapter module lies between its members' early and late bounds";
    P12 "any legal grouping gives equal traces";
    P13 "a transcoder sees both memories";
    P14 "verdicts on entering and leaving equal the specification's";
    P15 "a trap in an effect leaves no later effect";
    P16 "the current task and component instance are right";
    P17 "the export tree is equal";
    P18 "the import map equals the reachable imports, each once";
    P19 "distinct instances and resource types stay distinct";
    P20 "component instances and their ancestry are kept";
    P21 "signatures and memory widths agree";
    P22 "the same input gives the same bytes";
    P23 "the size is linear in effects and reachable values";
    P24 "passes commute with traces";
    P25 "text and serialized forms come back equal";
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{property:?} ({}): {message}", property.text())]
pub struct Defect {
    /// Which one.
    pub property: Property,
    /// Where and why.
    pub message: String,
}

impl Property {
    /// A violation.
    pub(crate) fn broken(self, message: impl Into<String>) -> Defect {
        Defect { property: self, message: message.into() }
    }

    /// Checks a condition.
    pub(crate) fn require(self, holds: bool, message: impl FnOnce() -> String) -> Result<(), Defect> {
        if holds { Ok(()) } else { Err(self.broken(message())) }
    }
}

/// Holds a plan against its graph, all but the binaries of adapter modules ([`verify_templates`]).
///
/// # Errors
/// The first property found broken.
pub fn verify(graph: &Graph, linear: &Linear) -> Result<(), Defect> {
    verify_graph(graph)?;
    structure::check(&graph.statics, linear)?;
    symbolic::check(graph, linear)
}

/// Whether two graphs over the same tables denote the same: the same effects on the same values, the same exports, the same
/// imports.
///
/// # Errors
/// The first property found broken.
pub fn same_meaning(a: &Graph, b: &Graph) -> Result<(), Defect> {
    symbolic::same(a, b)
}

/// Checks what must hold for a graph before there is a plan: types, and the ancestry of component instances.
///
/// # Errors
/// The first property found broken.
pub fn verify_graph(graph: &Graph) -> Result<(), Defect> {
    types::check(graph)
}
