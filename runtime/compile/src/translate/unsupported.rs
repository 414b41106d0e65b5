//! Operators of proposals that have no chapter yet.
//!
//! Each becomes a typed error, so that enabling a proposal's validation before its chapter is written is safe.
//!
//! Invariant: nothing is emitted.
//!
//! Does not know: what they would do.

use super::{Step, Translator};
use crate::CompileErrorKind;

impl Translator<'_> {
    pub(super) fn unsupported(&mut self, proposal: &'static str) -> Step {
        Err(CompileErrorKind::Unsupported(proposal))
    }
}
