//! `graph` as a target: random component graphs against their plans.
//!
//! Invariant: the one module of a case holds the steps by which the graph is built, seventeen bytes each.
//!
//! Does not know: graphs.

use super::{Outcome, Target};
use crate::envelope::Envelope;
use crate::graphs;

/// The target.
pub(super) struct GraphTarget;

impl Target for GraphTarget {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        // A graph of a seed has up to some hundred steps; the first bytes choose how many.
        let length = bytes.first().map_or(0, |byte| usize::from(*byte) * 16);
        let steps = bytes.get(1..).unwrap_or_default();
        Some(Envelope::new("graph").module("steps", steps[..length.min(steps.len())].to_vec()))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        match graphs::check(&graphs::steps_of(case.bytes(0))) {
            Ok(checked) => Outcome { checks: 1, useful: checked.effects > 0, ..Outcome::default() },
            Err(defect) => Outcome::failed("pipeline", defect),
        }
    }
}
