//! The feature sink: what a fuzzer is told of the meaning of an execution, beside the counters of its compiler.
//!
//! This module exists only under `--cfg fuzzing`, which cargo-fuzz sets; an ordinary build holds none of it. A feature is a
//! kind and two words, digested to 64 bits; what becomes of it is the sink's business (libFuzzer's extra counters).
//!
//! Invariant: without a sink, noting a feature does nothing; nothing ever depends on what was noted.
//!
//! Does not know: fuzzers, who notes features.

use std::sync::OnceLock;

/// What a feature is about. A row is one call of [`note`] somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Two operations, one behind the other, in a body that is compiled.
    OperationPair,
    /// An operation of the code generator's intermediate language and the type of its result.
    Clif,
    /// Such an operation and the one that made its first operand.
    ClifPair,
    /// An axis of the configuration and its value, and pairs of them.
    Axis,
    /// A key of a stored case and its value.
    Setting,
}

static SINK: OnceLock<fn(u64)> = OnceLock::new();

/// Sends features to `sink` from now on; the first sink stays.
pub fn observe(sink: fn(u64)) {
    // A second sink is the same one: a process has one fuzzer.
    let _ = SINK.set(sink);
}

/// Whether somebody listens: what is costly to find out need not be.
pub fn is_observed() -> bool {
    SINK.get().is_some()
}

/// Notes a feature.
pub fn note(kind: Kind, first: u64, second: u64) {
    if let Some(sink) = SINK.get() {
        sink(digest(kind, first, second));
    }
}

fn digest(kind: Kind, first: u64, second: u64) -> u64 {
    let mut word = 0x9e37_79b9_7f4a_7c15 ^ kind as u64;
    for part in [first, second] {
        word = (word ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word ^= word >> 29;
        word = word.wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 32;
    }
    word
}
