//! `wasi_fs` as a target: random file operations and random calls of preview 1, on the host and on a model in memory.
//!
//! Invariant: the one module of a case holds the choices; its setting says which of the two they are.
//!
//! Does not know: file systems.

use super::{Outcome, Target};
use crate::envelope::Envelope;

/// Choices that a case takes at most.
const CHOICES: usize = 2500;

/// The target.
pub(super) struct WasiFs;

impl Target for WasiFs {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let (first, choices) = bytes.split_first()?;
        let face = if first & 1 == 0 { "core" } else { "preview1" };
        Some(
            Envelope::new("wasi_fs")
                .set("face", face)
                .module("choices", choices[..choices.len().min(CHOICES)].to_vec()),
        )
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let done = match case.is("face", "preview1") {
            true => wattest_wasi::preview1::random::check(case.bytes(0)),
            false => wattest_wasi::host::fs::random::check(case.bytes(0)),
        };
        match done {
            Ok(operations) => Outcome { checks: operations as u64, useful: operations > 0, ..Outcome::default() },
            Err(what) => Outcome::failed("wasi", what),
        }
    }
}
