//! The libFuzzer shim of the property `component_abi`.
//!
//! Invariant: the property is library code of the harness, the same as under `cargo prove` and `cargo test`.
//!
//! Does not know: cases.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if wattest_harness::targets::fuzz("component_abi", bytes) { Corpus::Keep } else { Corpus::Reject }
});
