//! Counts of a campaign, mergeable.
//!
//! Invariant: merging is associative, and the order of cases does not show except in the list of disagreements.
//!
//! Does not know: processes, terminals.

use crate::case::Case;
use crate::diff_core::Outcome;
use crate::vote::{Suspect, Vote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A disagreement with its seed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// The seed of the case.
    pub seed: u64,
    /// The engine that is not the oracle, or the oracle where it failed by itself.
    pub subject: String,
    /// One line.
    pub what: String,
    /// What the vote said.
    pub vote: Vote,
}

/// What becomes of a disagreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A finding of this name explains it.
    Explained(&'static str),
    /// Nothing does, and all three engines were asked.
    Voted(Vote),
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Seeds tried.
    pub seeds: u64,
    /// Modules run.
    pub modules: u64,
    /// Modules of the typed generator, and their functions and operations.
    pub typed: u64,
    /// Functions with bodies in typed modules.
    pub functions: u64,
    /// Operations in typed modules.
    pub operations: u64,
    /// Histogram of operations per typed module, in steps of 50.
    pub operations_by_50: BTreeMap<u32, u64>,
    /// Histogram of functions per typed module.
    pub functions_by_1: BTreeMap<u32, u64>,
    /// Steps compared.
    pub checks: u64,
    /// Those that ended in a trap.
    pub traps: u64,
    /// Operations executed in them, as the interpreter counts.
    pub executed: u64,
    /// Modules with a useful call.
    pub useful: u64,
    /// Cases that stopped early, by side and reason.
    pub poison: BTreeMap<String, u64>,
    /// Cases explained by a finding.
    pub explained: BTreeMap<String, u64>,
    /// Those that no finding explains, in which the reference sides with the subject on every observed value: new bugs of
    /// the oracle, to be recorded.
    pub outvoted: Vec<Found>,
    /// The rest: what must be looked at.
    pub disagreements: Vec<Found>,
}

impl Stats {
    /// Counts a seed that gave no module.
    pub fn add_nothing(&mut self) {
        self.seeds += 1;
    }

    /// Counts a case.
    pub fn add(&mut self, case: &Case, outcome: &Outcome, judgement: Option<Judgement>) {
        self.seeds += 1;
        self.modules += 1;
        self.checks += outcome.checks;
        self.traps += outcome.traps;
        self.executed += outcome.executed;
        self.useful += u64::from(outcome.useful);
        if case.operations > 0 {
            self.typed += 1;
            self.functions += u64::from(case.functions);
            self.operations += u64::from(case.operations);
            *self.operations_by_50.entry(case.operations / 50 * 50).or_default() += 1;
            *self.functions_by_1.entry(case.functions).or_default() += 1;
        }
        if let Some(poison) = outcome.oracle_poison {
            *self.poison.entry(format!("oracle: {poison}")).or_default() += 1;
        }
        if let Some(poison) = outcome.subject_poison {
            *self.poison.entry(format!("subject: {poison}")).or_default() += 1;
        }
        match (&outcome.disagreement, judgement) {
            (None, _) => {}
            (Some(_), Some(Judgement::Explained(finding))) => {
                *self.explained.entry(finding.to_owned()).or_default() += 1;
            }
            (Some(found), judgement) => {
                let unasked = Vote { suspect: Suspect::Nobody, reference: "not asked".into() };
                let vote = if let Some(Judgement::Voted(vote)) = judgement { vote } else { unasked };
                let seed = case.recipe.seed.unwrap_or_default();
                self.add_found(Found { seed, subject: found.subject.clone(), what: found.what.clone(), vote });
            }
        }
    }

    /// Counts a disagreement that no finding explains.
    pub fn add_found(&mut self, found: Found) {
        match found.vote.suspect {
            Suspect::Oracle => self.outvoted.push(found),
            Suspect::Subject | Suspect::Nobody => self.disagreements.push(found),
        }
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: Stats) {
        self.seeds += other.seeds;
        self.modules += other.modules;
        self.typed += other.typed;
        self.functions += other.functions;
        self.operations += other.operations;
        self.checks += other.checks;
        self.traps += other.traps;
        self.executed += other.executed;
        self.useful += other.useful;
        merge_map(&mut self.operations_by_50, other.operations_by_50);
        merge_map(&mut self.functions_by_1, other.functions_by_1);
        merge_map(&mut self.poison, other.poison);
        merge_map(&mut self.explained, other.explained);
        self.outvoted.extend(other.outvoted);
        self.disagreements.extend(other.disagreements);
    }

    /// Useful modules in a hundred.
    pub fn useful_percent(&self) -> f64 {
        self.useful as f64 * 100.0 / self.modules.max(1) as f64
    }
}

fn merge_map<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key).or_default() += count;
    }
}
