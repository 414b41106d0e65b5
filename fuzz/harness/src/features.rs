//! What a fuzzer is told of a case beside what its execution notes: the settings of stored cases.
//!
//! Operations and the code generator's configuration are noted where they are compiled (`runtime/compile/src/features.rs`).
//! Without `--cfg fuzzing` nobody is told anything.
//!
//! Invariant: equal cases have equal features.
//!
//! Does not know: who listens.

/// Sends features, digested, to `sink` from now on.
#[cfg(fuzzing)]
pub fn observe(sink: fn(u64)) {
    wattest_abi::features::observe(sink);
}

/// Does nothing: this build notes no features.
#[cfg(not(fuzzing))]
pub fn observe(_: fn(u64)) {}

/// Notes the settings of a case: configuration, form, rule of NaNs.
#[cfg(fuzzing)]
pub(crate) fn note_settings(case: &crate::envelope::Envelope) {
    use wattest_abi::features::{Kind, note};
    let digest = |text: &str| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |all, byte| (all ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    for (key, value) in &case.settings {
        // A seed is no axis: every value of it would be a feature.
        if !key.contains("seed") {
            note(Kind::Setting, digest(key), digest(value));
        }
    }
}
