//! Proposals of the component model as options.
//!
//! One row per proposal that the validator knows
//! ([feature gates](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#gated-features)): its name
//! and its default.
//!
//! Invariant: a binary that needs a proposal which is off is refused by validation.
//!
//! Does not know: proposals of core modules, see [`wattest_module::Features`].

use wasmparser::WasmFeatures;

macro_rules! proposals {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $flags:expr, default: $default:literal;)*) => {
        /// A proposal of the component model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Proposal {
            $($(#[$doc])* $name,)*
        }

        impl Proposal {
            /// Every proposal, in table order.
            pub const ALL: &[Proposal] = &[$(Proposal::$name),*];

            /// Its name, as options and reports spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Proposal::$name => $text,)* }
            }

            /// Whether it is on unless asked otherwise.
            pub const fn is_default(self) -> bool {
                match self { $(Proposal::$name => $default,)* }
            }

            fn flags(self) -> WasmFeatures {
                match self { $(Proposal::$name => $flags,)* }
            }
        }
    };
}

proposals! {
    /// `async` functions, streams, futures.
    Async = "component-async", WasmFeatures::CM_ASYNC, default: true;
    /// `async` lifts without a callback.
    AsyncStackful = "component-async-stackful", WasmFeatures::CM_ASYNC_STACKFUL, default: false;
    /// Asynchronous forms of cancellation.
    MoreAsyncBuiltins = "component-more-async-builtins", WasmFeatures::CM_MORE_ASYNC_BUILTINS, default: false;
    /// `thread.*`.
    Threading = "component-threading", WasmFeatures::CM_THREADING, default: false;
    /// `error-context`.
    ErrorContext = "component-error-context", WasmFeatures::CM_ERROR_CONTEXT, default: false;
    /// `list<T, N>`.
    FixedLengthLists = "component-fixed-length-lists", WasmFeatures::CM_FIXED_LENGTH_LISTS, default: true;
    /// `map<K, V>`.
    Map = "component-map", WasmFeatures::CM_MAP, default: true;
    /// Memories with 64-bit addresses, `i64` in `context.get` and `context.set`.
    Memory64 = "component-memory64", WasmFeatures::CM64, default: false;
    /// `implements` and `external-id` beside names.
    Implements = "component-implements", WasmFeatures::CM_IMPLEMENTS, default: true;
}

/// What a component and its core modules may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Features {
    /// Proposals of core modules.
    pub core: wattest_module::Features,
    component: u32,
}

impl Features {
    /// The default proposals of components above those of core modules.
    pub fn new(core: wattest_module::Features) -> Features {
        let on = Proposal::ALL.iter().filter(|proposal| proposal.is_default());
        on.fold(Features { core, component: 0 }, |set, proposal| set.with(*proposal))
    }

    /// Every proposal of components above those of core modules.
    pub fn all(core: wattest_module::Features) -> Features {
        Proposal::ALL.iter().fold(Features { core, component: 0 }, |set, proposal| set.with(*proposal))
    }

    /// The set with a proposal added.
    #[must_use]
    pub fn with(self, proposal: Proposal) -> Features {
        Features { component: self.component | 1 << proposal as u32, ..self }
    }

    /// The set with a proposal removed.
    #[must_use]
    pub fn without(self, proposal: Proposal) -> Features {
        Features { component: self.component & !(1 << proposal as u32), ..self }
    }

    /// Whether a proposal is in the set.
    pub fn contains(self, proposal: Proposal) -> bool {
        self.component & (1 << proposal as u32) != 0
    }

    /// The validator's flags.
    pub(crate) fn to_parser(self) -> WasmFeatures {
        let base = self.core.to_parser() | WasmFeatures::COMPONENT_MODEL;
        let on = Proposal::ALL.iter().filter(|proposal| self.contains(**proposal));
        on.fold(base, |flags, proposal| flags | proposal.flags())
    }
}

impl Default for Features {
    fn default() -> Features {
        Features::new(wattest_module::Features::default())
    }
}
