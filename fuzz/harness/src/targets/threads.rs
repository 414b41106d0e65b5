//! `threads` as a target: litmus programs on OS threads, in every configuration.
//!
//! Invariant: the one module of a case holds the choices by which the program is made.
//!
//! Does not know: the memory model.

use super::{Outcome, Target};
use crate::envelope::Envelope;
use crate::litmus::{Program, run};
use crate::source::Source;
use wattest_differential::config_of;

/// Choices that a program takes at most.
const CHOICES: usize = 256;

/// The target.
pub(super) struct Threads;

impl Target for Threads {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let row = bytes.get(CHOICES).copied().map_or(0, config_of);
        let choices = bytes[..bytes.len().min(CHOICES)].to_vec();
        Some(Envelope::new("threads").set("subject", row).module("choices", choices))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let program = Program::generate(&mut Source::new(case.bytes(0)));
        match run::check(&program, case.number("subject", 0) as usize) {
            // How many rounds a run takes is the machine's business: a case is one check.
            Ok(_) => Outcome { checks: 1, useful: true, ..Outcome::default() },
            Err(forbidden) => Outcome::failed("wattest", forbidden),
        }
    }
}
