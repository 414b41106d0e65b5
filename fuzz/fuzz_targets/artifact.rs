//! The libFuzzer shim of the property `artifact`.
//!
//! Invariant: the property is library code of the harness, the same as under `cargo prove` and `cargo test`.
//!
//! Does not know: cases.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(init: wattest_fuzz::counters::start(), |bytes: &[u8]| -> Corpus {
    if wattest_harness::targets::fuzz("artifact", bytes) { Corpus::Keep } else { Corpus::Reject }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    wattest_harness::targets::mutate_in_place("artifact", data, size, max_size, seed, fuzzer_mutate)
});
