//! Counts of a campaign, mergeable.
//!
//! Invariant: merging is associative, and the order of cases does not show except in the list of disagreements.
//!
//! Does not know: processes, terminals.

use crate::case::Case;
use crate::components::{self, Property};
use crate::diff_core::{self, Outcome};
use crate::model::{Model, ModelOutcome};
use crate::vote::{Suspect, Vote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A disagreement with its seed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// The property, the first part of a replay line.
    pub target: String,
    /// The seed of the case.
    pub seed: u64,
    /// The engine that is not the oracle, or the oracle where it failed by itself.
    pub subject: String,
    /// One line.
    pub what: String,
    /// What the vote said.
    pub vote: Vote,
}

/// Counts of one property of [`crate::model`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelStats {
    /// Cases.
    pub cases: u64,
    /// Steps that the reference did as predicted.
    pub reference_checks: u64,
    /// Steps that the runtime did as predicted.
    pub checks: u64,
    /// Cases that stopped early.
    pub poisoned: u64,
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
    /// Cases of the other properties, by name.
    pub models: BTreeMap<String, ModelStats>,
    /// Operations executed, by proposal: all of the other properties' cases, and a sample of this one's.
    pub tally: BTreeMap<String, u64>,
    /// Scenarios of components, by the shapes that they have.
    pub shapes: BTreeMap<String, u64>,
    /// Cases of this property that the reference ran too.
    pub sampled: u64,
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
                let (target, seed) = (diff_core::NAME.to_owned(), case.recipe.seed.unwrap_or_default());
                self.add_found(Found { target, seed, subject: found.subject.clone(), what: found.what.clone(), vote });
            }
        }
    }

    /// Counts a case of another property.
    pub fn add_model(&mut self, model: &Model, seed: u64, outcome: ModelOutcome) {
        let row = self.models.entry(model.name.to_owned()).or_default();
        row.cases += 1;
        row.reference_checks += outcome.reference_checks;
        row.checks += outcome.checks;
        row.poisoned += u64::from(outcome.poisoned);
        self.add_tally(outcome.tally);
        if let Some((found, vote)) = outcome.disagreement {
            self.add_found(Found { target: model.name.into(), seed, subject: found.subject, what: found.what, vote });
        }
    }

    /// Counts a scenario of components. Nobody votes: the reference is the specification's text, and went first.
    pub fn add_component(&mut self, property: &Property, seed: u64, outcome: components::Outcome) {
        let row = self.models.entry(property.name.to_owned()).or_default();
        row.cases += 1;
        row.reference_checks += outcome.record.len() as u64;
        row.checks += outcome.checks;
        row.poisoned += u64::from(outcome.poisoned());
        for shape in &outcome.shapes.0 {
            *self.shapes.entry(shape.text().to_owned()).or_default() += 1;
        }
        if let Some((subject, what)) = outcome.disagreement {
            let vote = Vote { suspect: Suspect::Nobody, reference: "is the other side".to_owned() };
            self.add_found(Found { target: property.name.to_owned(), seed, subject, what, vote });
        }
    }

    /// Counts executed operations.
    pub fn add_tally(&mut self, tally: BTreeMap<String, u64>) {
        for (group, count) in tally {
            *self.tally.entry(group).or_default() += count;
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
        for (name, part) in other.models {
            let row = self.models.entry(name).or_default();
            row.cases += part.cases;
            row.reference_checks += part.reference_checks;
            row.checks += part.checks;
            row.poisoned += part.poisoned;
        }
        merge_map(&mut self.shapes, other.shapes);
        self.add_tally(other.tally);
        self.sampled += other.sampled;
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
