//! `op_matrix` as a target: some operations of the table, over boundary values, in one configuration.
//!
//! A campaign runs the whole table once before it begins; here the same cases are drawn in pieces, with operands from
//! parameters or constants, so that every operation meets every configuration many times.
//!
//! Invariant: each operation of the table is drawn equally often.
//!
//! Does not know: how operations are checked.

use super::core::{DiffCore, envelope};
use super::{Outcome, Target};
use crate::diff_core::subject_count;
use crate::envelope::Envelope;
use crate::op_matrix::{self, VARIANTS};
use crate::source::Source;

/// Operations of one case.
const OPERATIONS: usize = 24;

/// The target.
#[derive(Default)]
pub(super) struct OpMatrix {
    core: DiffCore,
}

impl Target for OpMatrix {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let (nans, constants) = VARIANTS[source.below(VARIANTS.len())];
        let subject = source.below(subject_count());
        let first = usize::from(u16::from_le_bytes([source.byte(), source.byte()]));
        let seed = source.u64();
        let case = op_matrix::part(subject, nans, constants, seed, first, OPERATIONS)?;
        Some(envelope("op_matrix", &case))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        self.core.run(case)
    }
}
