//! The target: an instruction set, the CPU's features, and the code generator's settings.
//!
//! Invariant: two targets with equal [`Target::fingerprint`]s generate equal code from equal inputs.
//!
//! Does not know: modules.

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use std::fmt;
use wattest_abi::Tunables;
use wattest_abi::tunables::{OptLevel, RegAlloc};

/// Which of the host CPU's features code may use.
///
/// ```
/// use wattest_compile::CpuFeatures;
/// let features = CpuFeatures::without(&["avx"]).unwrap();
/// assert!(features.is_disabled("avx2"));
/// assert!(CpuFeatures::without(&["mmx"]).is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CpuFeatures {
    disabled: Vec<&'static str>,
}

/// Features that can be switched off, each with those that need it.
const FEATURES: &[(&str, &[&str])] = &[
    ("sse3", &["ssse3", "sse41", "sse42", "avx", "avx2", "fma"]),
    ("ssse3", &["sse41", "sse42", "avx", "avx2", "fma"]),
    ("sse41", &["sse42", "avx", "avx2", "fma"]),
    ("sse42", &["avx", "avx2", "fma"]),
    (
        "avx",
        &["avx2", "fma", "avx_vnni", "avx512f", "avx512dq", "avx512vl", "avx512bitalg", "avx512vbmi", "avx512vnni"],
    ),
    ("avx2", &["avx_vnni", "avx512f", "avx512dq", "avx512vl", "avx512bitalg", "avx512vbmi", "avx512vnni"]),
    ("fma", &[]),
    ("avx_vnni", &[]),
    ("avx512f", &["avx512dq", "avx512vl", "avx512bitalg", "avx512vbmi", "avx512vnni"]),
    ("avx512dq", &[]),
    ("avx512vl", &[]),
    ("avx512bitalg", &[]),
    ("avx512vbmi", &[]),
    ("avx512vnni", &[]),
    ("popcnt", &[]),
    ("bmi1", &[]),
    ("bmi2", &[]),
    ("lzcnt", &[]),
    ("cmpxchg16b", &[]),
];

impl CpuFeatures {
    /// Every feature of the host.
    pub fn native() -> CpuFeatures {
        CpuFeatures::default()
    }

    /// The names that [`CpuFeatures::without`] takes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FEATURES.iter().map(|(name, _)| *name)
    }

    /// The host's features but `names` and those that need them.
    pub fn without(names: &[&str]) -> Result<CpuFeatures, TargetError> {
        let mut disabled = Vec::new();
        for name in names {
            let row = FEATURES.iter().find(|(feature, _)| feature == name);
            let (feature, dependents) = row.ok_or_else(|| TargetError::UnknownFeature((*name).to_string()))?;
            disabled.push(*feature);
            disabled.extend_from_slice(dependents);
            if ["sse3", "ssse3", "sse41", "sse42"].contains(feature) {
                let avx512 = FEATURES.iter().map(|(name, _)| *name).filter(|name| name.starts_with("avx"));
                disabled.extend(avx512);
            }
        }
        disabled.sort_unstable();
        disabled.dedup();
        Ok(CpuFeatures { disabled })
    }

    /// The names of those that are switched off, in alphabetical order.
    pub fn disabled(&self) -> &[&'static str] {
        &self.disabled
    }

    /// Whether `name` is switched off.
    pub fn is_disabled(&self, name: &str) -> bool {
        self.disabled.contains(&name)
    }
}

/// Why no target could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// The code generator has no support for the host.
    UnsupportedHost(String),
    /// The host CPU lacks a feature that all code needs.
    MissingCpuFeature(&'static str),
    /// No feature has that name.
    UnknownFeature(String),
    /// The code generator refused a setting.
    Setting(String),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::UnsupportedHost(message) => write!(f, "cannot generate code for this host: {message}"),
            TargetError::MissingCpuFeature(name) => write!(f, "the host CPU lacks {name}"),
            TargetError::UnknownFeature(name) => write!(f, "unknown CPU feature `{name}`"),
            TargetError::Setting(message) => write!(f, "code generator setting refused: {message}"),
        }
    }
}

impl std::error::Error for TargetError {}

/// An instruction set with features and settings.
pub struct Target {
    pub(crate) isa: OwnedTargetIsa,
    pub(crate) has_sse41: bool,
    pub(crate) has_ssse3: bool,
    pub(crate) has_fma: bool,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("triple", &self.isa.triple().to_string()).finish_non_exhaustive()
    }
}

impl Target {
    /// The machine this runs on, with the settings that `tunables` asks for. Code must be compiled with the same
    /// tunables.
    pub fn host(tunables: &Tunables, cpu: &CpuFeatures) -> Result<Target, TargetError> {
        let host = |message: &str| TargetError::UnsupportedHost(message.to_string());
        let setting = |error: settings::SetError| TargetError::Setting(error.to_string());
        let mut builder = cranelift_native::builder_with_options(true).map_err(host)?;
        if builder.triple().architecture != target_lexicon::Architecture::X86_64 {
            // The interpreter of other hosts' conventions (`vm`'s trampolines) is missing; refuse rather than guess.
            return Err(TargetError::UnsupportedHost(builder.triple().to_string()));
        }
        for name in &cpu.disabled {
            builder.set(&format!("has_{name}"), "false").map_err(setting)?;
        }
        let flags = shared_flags(tunables).map_err(setting)?;
        let isa = builder.finish(flags).map_err(|error| TargetError::Setting(error.to_string()))?;
        let has = |name: &str| isa.isa_flags().iter().any(|flag| flag.name == name && flag.as_bool() == Some(true));
        let (has_sse41, has_ssse3, has_fma) = (has("has_sse41"), has("has_ssse3"), has("has_fma"));
        Ok(Target { isa, has_sse41, has_ssse3, has_fma })
    }

    /// Instruction set, features and code generator version: artifacts made by a target with another fingerprint must
    /// not be run.
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut text = format!("cranelift {}\n{}\n", cranelift_codegen::VERSION, self.isa.triple());
        for flag in self.isa.isa_flags() {
            text.push_str(&format!("{flag}\n"));
        }
        text.into_bytes()
    }
}

fn shared_flags(tunables: &Tunables) -> Result<settings::Flags, settings::SetError> {
    let mut flags = settings::builder();
    let opt_level = match tunables.opt_level {
        OptLevel::None => "none",
        OptLevel::Speed => "speed",
        OptLevel::SpeedAndSize => "speed_and_size",
    };
    let regalloc = match tunables.regalloc {
        RegAlloc::Backtracking => "backtracking",
        RegAlloc::SinglePass => "single_pass",
    };
    let on_off = |on: bool| if on { "true" } else { "false" };
    let rows = [
        ("opt_level", opt_level),
        ("regalloc_algorithm", regalloc),
        // Under a fuzzer, once per function, not after every pass: see `compile_function`.
        ("enable_verifier", on_off(cfg!(debug_assertions) && !cfg!(fuzzing))),
        ("enable_nan_canonicalization", on_off(tunables.nan_canonicalization)),
        ("enable_heap_access_spectre_mitigation", on_off(tunables.spectre_mitigation)),
        ("enable_table_access_spectre_mitigation", on_off(tunables.spectre_mitigation)),
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "false"),
        ("machine_code_cfg_info", "false"),
        // The stack limit check covers the whole frame before it is touched, so no probes are needed.
        ("enable_probestack", "false"),
        ("use_colocated_libcalls", "false"),
        // Code is position independent all the same: it holds only relative references, checked when it is linked.
        ("is_pic", "false"),
    ];
    for (name, value) in rows {
        flags.set(name, value)?;
    }
    Ok(settings::Flags::new(flags))
}
