//! `op_matrix` as a target: operations of the table in many surroundings, over boundary values, in one configuration.
//!
//! A campaign checks batches against the reference's plain functions, a thousand vectors per call. What differs is run
//! again alone, as a case of `diff_core`, so that wasmi and the whole reference vote and everything that reduces, replays
//! and writes regressions works on it; stored cases are of that form. A campaign also runs the whole table once before it
//! begins.
//!
//! Invariant: each operation of the catalogue is drawn equally often.
//!
//! Does not know: how operations are checked.

use super::core::{DiffCore, envelope};
use super::{Outcome, Target};
use crate::diff_core::subject_count;
use crate::envelope::Envelope;
#[cfg(feature = "wattest")]
use crate::matrix::{Batch, run::BatchEngines, run::Difference};
use crate::op_matrix::{self, VARIANTS};
use crate::source::Source;

/// Operations of one stored case.
const OPERATIONS: usize = 24;

/// The target.
#[derive(Default)]
pub(super) struct OpMatrix {
    core: DiffCore,
    #[cfg(feature = "wattest")]
    engines: BatchEngines,
}

/// Some operations, each alone in a function: what seeds of fuzzing are.
fn plain(bytes: &[u8]) -> Option<Envelope> {
    let mut source = Source::new(bytes);
    let (nans, constants) = VARIANTS[source.below(VARIANTS.len())];
    let subject = source.below(subject_count());
    let first = usize::from(u16::from_le_bytes([source.byte(), source.byte()]));
    let seed = source.u64();
    let case = op_matrix::part(subject, nans, constants, seed, first, OPERATIONS)?;
    Some(envelope("op_matrix", &case))
}

#[cfg(feature = "wattest")]
impl OpMatrix {
    /// The batch of these bytes, and its first difference, if there is one.
    fn batch(&mut self, bytes: &[u8]) -> (Batch, Outcome, Option<Difference>) {
        let batch = Batch::generate(&mut Source::new(bytes), subject_count());
        let checked = self.engines.check(&batch);
        let outcome = Outcome {
            checks: checked.checks,
            useful: checked.checks > 0,
            operations: checked.executions,
            value_classes: checked.value_classes,
            ..Outcome::default()
        };
        (batch, outcome, checked.difference)
    }

    /// The case of a difference alone; `None` where no other engine can run it.
    fn alone(batch: &Batch, difference: &Difference) -> Option<Envelope> {
        let (unit, vector, cell) = difference.place?;
        let case = batch.case(unit, vector, cell)?;
        Some(envelope("op_matrix", &case))
    }

    fn judge(&mut self, batch: &Batch, difference: &Difference) -> Outcome {
        let subject = batch.subject_name();
        let failed = Outcome::failed(&subject, difference.what.clone());
        let Some(case) = OpMatrix::alone(batch, difference) else { return failed };
        let mut outcome = self.core.run(&case);
        if outcome.disagreement.is_none() && outcome.explained.is_none() {
            // It shows in its surroundings only.
            outcome = failed;
        } else {
            outcome.case = Some(case.to_bytes());
        }
        outcome
    }
}

impl Target for OpMatrix {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        #[cfg(feature = "wattest")]
        {
            let (batch, _, difference) = self.batch(bytes);
            if let Some(case) = difference.and_then(|difference| OpMatrix::alone(&batch, &difference)) {
                return Some(case);
            }
        }
        plain(bytes)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        self.core.run(case)
    }

    fn run_of_many(&mut self, case: &Envelope) -> Outcome {
        self.core.run_of_many(case)
    }

    #[cfg(feature = "wattest")]
    fn check(&mut self, bytes: &[u8]) -> Option<Outcome> {
        if let Some(case) = Envelope::parse(bytes) {
            return Some(self.run(&case));
        }
        let (batch, outcome, difference) = self.batch(bytes);
        Some(match difference {
            None => outcome,
            Some(difference) => self.judge(&batch, &difference),
        })
    }
}
