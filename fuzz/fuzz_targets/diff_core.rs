//! The libFuzzer shim of the property `diff_core`.
//!
//! Invariant: the property itself is `wattest_harness::diff_core`, the same code as under `cargo prove` and `cargo test`.
//!
//! Does not know: cases.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use std::cell::RefCell;
use wattest_harness::case::Case;
use wattest_harness::diff_core::Checker;
use wattest_harness::quarantine;

thread_local! {
    static CHECKER: RefCell<Checker> = RefCell::new(Checker::new());
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(case) = Case::from_bytes(bytes) else { return Corpus::Reject };
    let outcome = CHECKER.with_borrow_mut(|checker| checker.check(&case));
    if let Some(found) = &outcome.disagreement
        && quarantine::explain(&case, found).is_none()
    {
        panic!("disagreement with {}: {}", found.subject, found.what);
    }
    if outcome.useful { Corpus::Keep } else { Corpus::Reject }
});
