//! The option table: one row per engine option.
//!
//! A row gives the builder method, the key that the CLI and [`Config::set`](crate::Config::set) take, its values, its
//! default and its documentation. Nothing else in the tree lists options.
//!
//! Invariant: every row is reachable by its method and by its key, with the same effect.
//!
//! Does not know: what the options do to code; see `wattest_abi::tunables`.

use wattest_abi::tunables::{CallPath, OptLevel, RegAlloc};
use wattest_compile::CpuFeatures;

/// How an option's value is written.
pub(crate) trait OptionValue: Sized {
    /// The accepted spellings, for messages.
    const VALUES: &'static str;

    /// Parses a value.
    fn parse(text: &str) -> Option<Self>;

    /// Prints a value so that it parses back.
    fn print(&self) -> String;
}

impl OptionValue for bool {
    const VALUES: &'static str = "true | false";

    fn parse(text: &str) -> Option<bool> {
        match text {
            "true" | "yes" | "y" | "on" | "1" | "" => Some(true),
            "false" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

macro_rules! integer_values {
    ($($ty:ty),*) => {
        $(
            impl OptionValue for $ty {
                const VALUES: &'static str = "a number, with KiB, MiB or GiB";

                fn parse(text: &str) -> Option<$ty> {
                    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit() && c != '_') {
                        Some(end) => text.split_at(end),
                        None => (text, ""),
                    };
                    let factor: u64 = match unit {
                        "" => 1,
                        "k" | "K" | "KiB" => 1 << 10,
                        "m" | "M" | "MiB" => 1 << 20,
                        "g" | "G" | "GiB" => 1 << 30,
                        _ => return None,
                    };
                    let number = digits.replace('_', "").parse::<u64>().ok()?;
                    number.checked_mul(factor)?.try_into().ok()
                }

                fn print(&self) -> String {
                    self.to_string()
                }
            }
        )*
    };
}
integer_values!(u32, u64, usize);

macro_rules! named_values {
    ($($ty:ident { $($variant:ident = $text:literal),* } $values:literal;)*) => {
        $(
            impl OptionValue for $ty {
                const VALUES: &'static str = $values;

                fn parse(text: &str) -> Option<$ty> {
                    match text {
                        $($text => Some($ty::$variant),)*
                        _ => None,
                    }
                }

                fn print(&self) -> String {
                    match self {
                        $($ty::$variant => $text,)*
                    }
                    .to_owned()
                }
            }
        )*
    };
}
named_values! {
    OptLevel { None = "none", Speed = "speed", SpeedAndSize = "speed-and-size" } "none | speed | speed-and-size";
    RegAlloc { Backtracking = "backtracking", SinglePass = "single-pass" } "backtracking | single-pass";
    CallPath { Direct = "direct", Entry = "entry" } "direct | entry";
    Strategy { OnDemand = "on-demand", Pooling = "pooling" } "on-demand | pooling";
}

impl OptionValue for CpuFeatures {
    const VALUES: &'static str = "names of CPU features, with + between them, or nothing";

    fn parse(text: &str) -> Option<CpuFeatures> {
        let names: Vec<&str> = text.split('+').filter(|name| !name.is_empty()).collect();
        CpuFeatures::without(&names).ok()
    }

    fn print(&self) -> String {
        self.disabled().join("+")
    }
}

/// Where memories come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Mapped when needed, unmapped when dropped.
    OnDemand,
    /// From slots of one large reservation, reused.
    Pooling,
}

/// A row of the option table, for listings.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// The key.
    pub key: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// The accepted values.
    pub values: &'static str,
    /// Prints the default.
    pub default: fn() -> String,
}

macro_rules! options {
    ($($(#[doc = $doc:literal])* $name:ident($key:literal): $ty:ty = $default:expr;)*) => {
        /// The values of all options.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Options {
            $($(#[doc = $doc])* pub $name: $ty,)*
        }

        impl Default for Options {
            fn default() -> Options {
                Options { $($name: $default,)* }
            }
        }

        impl Options {
            /// Sets the option `key`. `None` when there is no such option, `Some(Err(values))` when it has no such
            /// value.
            pub fn set(&mut self, key: &str, value: &str) -> Option<Result<(), &'static str>> {
                match key {
                    $($key => Some(match <$ty>::parse(value) {
                        Some(value) => {
                            self.$name = value;
                            Ok(())
                        }
                        None => Err(<$ty>::VALUES),
                    }),)*
                    _ => None,
                }
            }

            /// The value of the option `key`.
            pub fn get(&self, key: &str) -> Option<String> {
                match key {
                    $($key => Some(self.$name.print()),)*
                    _ => None,
                }
            }
        }

        /// Every row.
        pub(crate) static ROWS: &[OptionRow] = &[$(OptionRow {
            key: $key,
            doc: concat!($($doc, "\n"),*),
            values: <$ty>::VALUES,
            default: || <$ty as OptionValue>::print(&$default),
        }),*];

        impl crate::Config {
            $(
                $(#[doc = $doc])*
                pub fn $name(&mut self, value: $ty) -> &mut Self {
                    self.options.$name = value;
                    self
                }
            )*
        }
    };
}

options! {
    /// Effort of the code generator.
    opt_level("opt-level"): OptLevel = OptLevel::Speed;
    /// Register allocator: backtracking gives faster code, single-pass compiles faster.
    regalloc("regalloc"): RegAlloc = RegAlloc::Backtracking;
    /// CPU features of the host that code does without, and with them those that build on them (`avx2+bmi1`): for tests of
    /// other code paths.
    cpu_without("cpu-without"): CpuFeatures = CpuFeatures::native();
    /// How functions of a module call each other: directly, or through an entry array that a later tier may update.
    call_path("call-path"): CallPath = CallPath::Direct;
    /// Compile functions on all cores.
    parallel_compilation("parallel-compilation"): bool = true;
    /// Bytes of address space reserved for a linear memory. From 4 GiB on, 32-bit memories need no bounds checks.
    memory_reservation("memory-reservation"): u64 = 4 << 30;
    /// Bytes of inaccessible address space after the reservation.
    memory_guard("memory-guard"): u64 = 32 << 20;
    /// Let a memory that outgrows its reservation move to a larger one.
    memory_may_move("memory-may-move"): bool = true;
    /// Check the bounds of every memory access explicitly.
    explicit_bounds("explicit-bounds"): bool = false;
    /// Detect traps by hardware faults instead of explicit checks.
    signals_based_traps("signals-based-traps"): bool = true;
    /// Mask indices after explicit bounds checks, against speculative reads.
    spectre_mitigation("spectre-mitigation"): bool = true;
    /// Map initial memory contents copy-on-write instead of copying them.
    copy_on_write("copy-on-write"): bool = true;
    /// Count fuel; see `Store::set_fuel`.
    fuel("fuel"): bool = false;
    /// Poll the engine's epoch; see `Engine::increment_epoch`.
    epoch("epoch"): bool = false;
    /// Make every NaN that an operation produces the canonical one.
    nan_canonicalization("nan-canonicalization"): bool = false;
    /// Use the deterministic profile's results for relaxed SIMD.
    relaxed_simd_deterministic("relaxed-simd-deterministic"): bool = false;
    /// Record instruction addresses, so that backtraces have byte offsets.
    addresses("addresses"): bool = true;
    /// Keep locals of numeric types in frames, too, where core dumps and `Backtrace::locals` find them.
    keep_locals("keep-locals"): bool = false;
    /// Collect garbage at every allocation and verify the heap afterwards: for tests.
    gc_stress("gc-stress"): bool = false;
    /// Bytes of native stack that WebAssembly may use.
    max_wasm_stack("max-wasm-stack"): usize = 512 << 10;
    /// Bytes of a stack of its own that are left to host functions, after what WebAssembly may use; see `Func::call_async`.
    host_stack("host-stack"): usize = 1 << 20;
    /// Guests that may be on stacks of their own at a time.
    own_stacks("own-stacks"): usize = 10_000;
    /// Stacks of their own that are kept for later guests.
    idle_stacks("idle-stacks"): usize = 256;
    /// Where memories come from.
    allocation("allocation"): Strategy = Strategy::OnDemand;
    /// On demand: reuse the address space of dropped memories.
    recycle_memories("recycle-memories"): bool = true;
    /// Slots of the pool: memories that may exist at a time.
    pooling_memories("pooling-memories"): u32 = 1000;
    /// Bytes that a pooled memory may have at most.
    pooling_memory_bytes("pooling-memory-bytes"): u64 = 4 << 30;
    /// Bytes at the start of a pooled memory that are reset by copying instead of by the kernel.
    pooling_keep_resident("pooling-keep-resident"): usize = 0;
}
