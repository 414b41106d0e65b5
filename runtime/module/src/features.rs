//! Proposals as options.
//!
//! One row per proposal: its name, its default, whether this engine implements it. A module that needs a proposal which
//! is off is refused by validation.
//!
//! Invariant: a feature that is off by default is below phase 4 of the WebAssembly process
//! ([proposals](https://github.com/WebAssembly/proposals)) or not implemented yet.
//!
//! Does not know: how features change compiled code.

use wasmparser::WasmFeatures;

macro_rules! features {
    ($($name:ident = $text:literal, $flags:expr, default: $default:literal, implemented: $implemented:literal;)*) => {
        /// A proposal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Feature {
            $(#[doc = concat!("The `", $text, "` proposal.")] $name,)*
        }

        impl Feature {
            /// Every proposal, in table order.
            pub const ALL: &[Feature] = &[$(Feature::$name),*];

            /// The proposal's name, as options and reports spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Feature::$name => $text,)* }
            }

            /// Whether it is on unless asked otherwise.
            pub const fn is_default(self) -> bool {
                match self { $(Feature::$name => $default,)* }
            }

            /// Whether the runtime can execute it.
            pub const fn is_implemented(self) -> bool {
                match self { $(Feature::$name => $implemented,)* }
            }

            fn flags(self) -> WasmFeatures {
                match self { $(Feature::$name => $flags,)* }
            }
        }
    };
}

features! {
    MutableGlobal = "mutable-global", WasmFeatures::MUTABLE_GLOBAL, default: true, implemented: true;
    SaturatingFloatToInt = "saturating-float-to-int", WasmFeatures::SATURATING_FLOAT_TO_INT, default: true, implemented: true;
    SignExtension = "sign-extension", WasmFeatures::SIGN_EXTENSION, default: true, implemented: true;
    MultiValue = "multi-value", WasmFeatures::MULTI_VALUE, default: true, implemented: true;
    ReferenceTypes = "reference-types", WasmFeatures::REFERENCE_TYPES, default: true, implemented: true;
    BulkMemory = "bulk-memory", WasmFeatures::BULK_MEMORY, default: true, implemented: true;
    Simd = "simd", WasmFeatures::SIMD, default: true, implemented: true;
    RelaxedSimd = "relaxed-simd", WasmFeatures::RELAXED_SIMD, default: true, implemented: true;
    TailCall = "tail-call", WasmFeatures::TAIL_CALL, default: true, implemented: true;
    ExtendedConst = "extended-const", WasmFeatures::EXTENDED_CONST, default: true, implemented: true;
    MultiMemory = "multi-memory", WasmFeatures::MULTI_MEMORY, default: true, implemented: true;
    Memory64 = "memory64", WasmFeatures::MEMORY64, default: true, implemented: true;
    Threads = "threads", WasmFeatures::THREADS, default: true, implemented: true;
    FunctionReferences = "function-references", WasmFeatures::FUNCTION_REFERENCES, default: true, implemented: true;
    Gc = "gc", WasmFeatures::GC, default: true, implemented: true;
    Exceptions = "exceptions", WasmFeatures::EXCEPTIONS, default: true, implemented: true;
    WideArithmetic = "wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC, default: false, implemented: true;
    CustomPageSizes = "custom-page-sizes", WasmFeatures::CUSTOM_PAGE_SIZES, default: false, implemented: true;
    CustomDescriptors = "custom-descriptors", WasmFeatures::CUSTOM_DESCRIPTORS, default: false, implemented: true;
    LegacyExceptions = "legacy-exceptions", WasmFeatures::LEGACY_EXCEPTIONS, default: false, implemented: true;
    StackSwitching = "stack-switching", WasmFeatures::STACK_SWITCHING, default: false, implemented: false;
    CompactImports = "compact-imports", WasmFeatures::COMPACT_IMPORTS, default: false, implemented: true;
}

/// A set of proposals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Features(u32);

impl Features {
    /// No proposal: WebAssembly as first published.
    pub const MVP: Features = Features(0);

    /// WebAssembly 1.0.
    pub fn wasm1() -> Features {
        Features::MVP.with(Feature::MutableGlobal)
    }

    /// WebAssembly 2.0.
    pub fn wasm2() -> Features {
        let added = [
            Feature::SaturatingFloatToInt,
            Feature::SignExtension,
            Feature::MultiValue,
            Feature::ReferenceTypes,
            Feature::BulkMemory,
            Feature::Simd,
        ];
        added.into_iter().fold(Features::wasm1(), Features::with)
    }

    /// WebAssembly 3.0, implemented or not.
    pub fn wasm3() -> Features {
        let added = [
            Feature::RelaxedSimd,
            Feature::TailCall,
            Feature::ExtendedConst,
            Feature::MultiMemory,
            Feature::Memory64,
            Feature::FunctionReferences,
            Feature::Gc,
            Feature::Exceptions,
        ];
        added.into_iter().fold(Features::wasm2(), Features::with)
    }

    /// Everything that the runtime can execute.
    pub fn all_implemented() -> Features {
        Feature::ALL.iter().filter(|feature| feature.is_implemented()).fold(Features::MVP, |set, row| set.with(*row))
    }

    /// The set with `feature` added.
    #[must_use]
    pub fn with(self, feature: Feature) -> Features {
        Features(self.0 | 1 << feature as u32)
    }

    /// The set with `feature` removed.
    #[must_use]
    pub fn without(self, feature: Feature) -> Features {
        Features(self.0 & !(1 << feature as u32))
    }

    /// Turns `feature` on or off.
    pub fn set(&mut self, feature: Feature, on: bool) {
        *self = if on { self.with(feature) } else { self.without(feature) };
    }

    /// Whether `feature` is in the set.
    ///
    /// ```
    /// use wattest_module::{Feature, Features};
    /// assert!(Features::default().contains(Feature::Simd));
    /// assert!(!Features::wasm1().contains(Feature::Simd));
    /// ```
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u32) != 0
    }

    /// The proposals in the set, in table order.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.iter().copied().filter(move |feature| self.contains(*feature))
    }

    /// A stable number for compatibility checks.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The validator's flags.
    pub fn to_parser(self) -> WasmFeatures {
        let base = WasmFeatures::FLOATS | WasmFeatures::GC_TYPES;
        self.iter().fold(base, |flags, feature| flags | feature.flags())
    }
}

impl Default for Features {
    fn default() -> Features {
        Feature::ALL.iter().filter(|feature| feature.is_default()).fold(Features::MVP, |set, row| set.with(*row))
    }
}

impl std::str::FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(name: &str) -> Result<Feature, UnknownFeature> {
        Feature::ALL.iter().copied().find(|row| row.name() == name).ok_or_else(|| UnknownFeature(name.to_owned()))
    }
}

/// A name that no proposal has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown WebAssembly feature `{0}`")]
pub struct UnknownFeature(pub String);
