//! Counters of meaning: features of executions as libFuzzer's extra counters.
//!
//! libFuzzer clears every byte of the section `__libfuzzer_extra_counters` before an execution and looks at it afterwards,
//! as at the counters of the compiler. A feature (two operations in a row, an operation of CLIF with its type, two axes of
//! the configuration) counts in the byte that its digest falls on.
//!
//! Invariant: the section holds counters of one byte and nothing else.
//!
//! Does not know: what features mean.
#![expect(unsafe_code, reason = "a section is named for libFuzzer to find")]

use std::sync::atomic::{AtomicU8, Ordering};

/// Counters: several times as many as there are features, which are some thousands.
const COUNTERS: usize = 1 << 15;

// SAFETY: the section's name is libFuzzer's own, and it expects bytes in it, of any number.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
#[used]
static SEEN: [AtomicU8; COUNTERS] = [const { AtomicU8::new(0) }; COUNTERS];

/// Sends features here from now on.
pub fn start() {
    wattest_harness::features::observe(count);
}

fn count(feature: u64) {
    let counter = &SEEN[(feature % COUNTERS as u64) as usize];
    // Threads of a guest may lose counts against each other: how many there were hardly matters.
    counter.store(counter.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
}
