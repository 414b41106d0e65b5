//! What can be wrong with a component, by audience.
//!
//! A component that is not valid, that uses what is not supported, or that is too large
//! ([limits](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)) ends in a
//! [`ComponentError`]; a plan that does not follow from its graph, which would be our own error, in one too.
//!
//! Invariant: nothing a component contains panics the pipeline.
//!
//! Does not know: how errors are shown.

use thiserror::Error;

/// Why a component was not compiled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The binary is malformed or not valid.
    #[error("invalid component at byte {offset}: {message}")]
    Invalid {
        /// Byte offset in the binary.
        offset: usize,
        /// What is wrong.
        message: String,
    },
    /// Something valid that cannot be run.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// A limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A limit or rule of interface types.
    #[error(transparent)]
    Type(#[from] wattest_canon::TypeError),
    /// A plan that does not mean what its graph means. Ours to mend; the component is not run.
    #[error("internal error: the plan was rejected: {0}")]
    Rejected(String),
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the component has too many {}: more than {max}", what.name())]
pub struct LimitError {
    /// Of what.
    pub what: Limit,
    /// The limit.
    pub max: u64,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// What is limited.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit {
            $($(#[$doc])* $name,)*
        }

        impl Limit {
            /// In the plural.
            pub const fn name(self) -> &'static str {
                match self { $(Limit::$name => $text,)* }
            }
        }
    };
}

limits! {
    /// Bytes of the binary.
    Bytes "bytes";
    /// Definitions in all nested components.
    Definitions "definitions";
    /// Nesting of components and instances.
    Depth "levels of nesting";
    /// Component instances after instantiation of nested components.
    Instances "component instances";
    /// Steps of symbolic instantiation.
    Steps "steps of instantiation";
    /// Nodes of the graph.
    Nodes "values";
    /// Effects of the graph.
    Effects "core instances and resource types";
    /// Operands of all nodes.
    Operands "arguments and options";
    /// Rows of the export tree.
    Exports "exports";
    /// Adapter modules.
    Groups "adapter modules";
    /// Bytes of all emitted adapter modules.
    AdapterBytes "bytes of adapters";
    /// Operations of the plan.
    Operations "operations";
}

impl Limit {
    /// Checks a count against its limit.
    ///
    /// # Errors
    /// When it is above.
    pub fn check(self, count: u64, max: u32) -> Result<(), LimitError> {
        let max = u64::from(max);
        if count <= max { Ok(()) } else { Err(LimitError { what: self, max }) }
    }
}
