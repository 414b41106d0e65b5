//! The registry of targets: one row is one property that can be driven by bytes.
//!
//! Invariant: every row has a libFuzzer shim of its name, and the other way round.
//!
//! Does not know: libFuzzer.

use crate::case::Case;
use crate::diff_core::Checker;
use crate::stats::Judgement;
use crate::vote::Suspect;
use crate::worker::judge;
use std::cell::RefCell;

/// A target.
pub struct Target {
    /// Its name: the binary, the first part of a replay line.
    pub name: &'static str,
    /// Checks one input; panics where the property does not hold. Whether the input is worth keeping.
    pub fuzz: fn(&[u8]) -> bool,
}

/// The table.
pub const TARGETS: &[Target] = &[Target { name: "diff_core", fuzz: fuzz_diff_core }];

/// Checks one input of the target called `name`.
///
/// # Panics
///
/// Where the property does not hold, or there is no such target.
pub fn fuzz(name: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the target is registered");
    (target.fuzz)(bytes)
}

thread_local! {
    static CHECKER: RefCell<Checker> = RefCell::new(Checker::new());
}

fn fuzz_diff_core(bytes: &[u8]) -> bool {
    let Some(case) = Case::from_bytes(bytes) else { return false };
    CHECKER.with_borrow_mut(|checker| {
        let outcome = checker.check_knowingly(&case);
        if let Some(found) = &outcome.disagreement
            && let Judgement::Voted(vote) = judge(checker, &case, found)
        {
            let known =
                format!("disagreement with {}: {}; the reference {}", found.subject, found.what, vote.reference);
            // A new bug of the oracle is for the campaign to report; a crash here would hide what lies behind it.
            assert!(vote.suspect == Suspect::Oracle, "{known}");
        }
        outcome.useful
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_an_input() {
        let check = |bytes: &[u8]| {
            fuzz("diff_core", bytes);
        };
        check(&[]);
        check(&[0; 100]);
        check(&[0xff; 300]);
        check(b"\0asm\x01\0\0\0");
    }
}
