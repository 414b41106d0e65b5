//! The libFuzzer shim of the property `graph`.
//!
//! Invariant: the property is library code of the harness, the same as under `cargo prove` and `cargo test`.
//!
//! Does not know: graphs.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if wattest_harness::targets::fuzz("graph", bytes) { Corpus::Keep } else { Corpus::Reject }
});
