//! Counts of a campaign, mergeable.
//!
//! Invariant: merging is associative, and the order of cases does not show except in the list of disagreements.
//!
//! Does not know: processes, terminals.

use crate::diff_core::Disagreement;
use crate::targets::{ModuleCounts, Outcome, TARGETS};
use crate::vote::{Suspect, Vote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use wattest_differential::OPERATOR_PREFIX;

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
    /// The file of the case, where its seed does not give it.
    #[serde(default)]
    pub case: Option<PathBuf>,
}

impl Found {
    /// The command that runs the case again.
    pub fn command(&self) -> String {
        match &self.case {
            Some(file) => format!("cargo prove repro {}", file.display()),
            None => format!("cargo prove --replay {}:{:#x}", self.target, self.seed),
        }
    }
}

/// Cases in a hundred that may stop early, of one target.
const POISON_PERCENT_MAX: f64 = 5.0;

/// Cases of a target that say something of its share.
const POISON_CASES_MIN: u64 = 300;

/// What is said of a target of which too many cases stopped early.
pub fn too_early(name: &str, share: f64) -> String {
    format!("{share:.1} % of the cases of {name} stopped early")
}

/// Counts of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelStats {
    /// Cases.
    pub cases: u64,
    /// Steps that the reference did as predicted.
    pub reference_checks: u64,
    /// Steps that the runtime did as predicted.
    pub checks: u64,
    /// Cases that were worth their time.
    pub useful: u64,
    /// Cases that stopped early.
    pub poisoned: u64,
    /// Time that its cases took on the clock, in microseconds: its share of the workers' processor time goes by it.
    #[serde(default)]
    pub busy_us: u64,
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
    /// Processor time of the workers, in milliseconds.
    pub cpu_ms: u64,
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
    /// Cases of every target, by name.
    pub models: BTreeMap<String, ModelStats>,
    /// Operations executed, by proposal: all of the other properties' cases, and a sample of this one's.
    pub tally: BTreeMap<String, u64>,
    /// Executions with a boundary operand, by operation; behind a blank what surrounded it, where that is known.
    #[serde(default)]
    pub operations_by_name: BTreeMap<String, u64>,
    /// Executions by operation, what surrounded it, and class of a value among its operands: `I32Add memory/zero`.
    #[serde(default)]
    pub value_classes: BTreeMap<String, u64>,
    /// Scenarios of components, by the shapes that they have.
    pub shapes: BTreeMap<String, u64>,
    /// Cases of this property that the reference ran too.
    pub sampled: u64,
    /// Cases that stopped early, by side and reason.
    pub poison: BTreeMap<String, u64>,
    /// What V8 said of the cases that it was asked about, by target and how often.
    #[serde(default)]
    pub third: BTreeMap<String, u64>,
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

    /// Counts a case of a target.
    pub fn add(&mut self, target: &str, seed: u64, outcome: Outcome, case: Option<PathBuf>) {
        self.seeds += 1;
        let row = self.models.entry(target.to_owned()).or_default();
        row.cases += 1;
        row.reference_checks += outcome.reference_checks;
        row.checks += outcome.checks;
        row.useful += u64::from(outcome.useful);
        row.poisoned += u64::from(!outcome.poison.is_empty());
        if let Some(module) = outcome.module {
            self.modules += 1;
            self.checks += outcome.checks;
            self.useful += u64::from(outcome.useful);
            self.sampled += u64::from(!outcome.tally.is_empty());
            self.add_module(&module);
        }
        self.add_tally(outcome.tally);
        merge_map(&mut self.operations_by_name, outcome.operations);
        merge_map(&mut self.value_classes, outcome.value_classes);
        for shape in outcome.shapes {
            *self.shapes.entry(shape).or_default() += 1;
        }
        for (said, count) in outcome.third {
            *self.third.entry(format!("{target}, {said}")).or_default() += count;
        }
        for poison in outcome.poison {
            *self.poison.entry(format!("{target}, {poison}")).or_default() += 1;
        }
        if let Some(finding) = outcome.explained {
            *self.explained.entry(finding).or_default() += 1;
        } else if let Some((found, vote)) = outcome.disagreement {
            let Disagreement { subject, what, .. } = found;
            self.add_found(Found { target: target.to_owned(), seed, subject, what, vote, case });
        }
    }

    fn add_module(&mut self, module: &ModuleCounts) {
        self.traps += module.traps;
        self.executed += module.executed;
        if module.operations > 0 {
            self.typed += 1;
            self.functions += u64::from(module.functions);
            self.operations += u64::from(module.operations);
            *self.operations_by_50.entry(module.operations / 50 * 50).or_default() += 1;
            *self.functions_by_1.entry(module.functions).or_default() += 1;
        }
    }

    /// Counts executed operations.
    pub fn add_tally(&mut self, tally: BTreeMap<String, u64>) {
        for (group, count) in tally {
            match group.strip_prefix(OPERATOR_PREFIX) {
                Some(name) => *self.operations_by_name.entry(name.to_owned()).or_default() += count,
                None => *self.tally.entry(group).or_default() += count,
            }
        }
    }

    /// Counts a disagreement that no finding explains.
    pub fn add_found(&mut self, found: Found) {
        match found.vote.suspect {
            Suspect::Oracle | Suspect::Third => self.outvoted.push(found),
            Suspect::Subject | Suspect::Reference | Suspect::Nobody => self.disagreements.push(found),
        }
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: Stats) {
        self.cpu_ms += other.cpu_ms;
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
        merge_map(&mut self.third, other.third);
        for (name, part) in other.models {
            let row = self.models.entry(name).or_default();
            row.cases += part.cases;
            row.reference_checks += part.reference_checks;
            row.checks += part.checks;
            row.useful += part.useful;
            row.poisoned += part.poisoned;
            row.busy_us += part.busy_us;
        }
        merge_map(&mut self.shapes, other.shapes);
        self.add_tally(other.tally);
        merge_map(&mut self.operations_by_name, other.operations_by_name);
        merge_map(&mut self.value_classes, other.value_classes);
        self.sampled += other.sampled;
        self.outvoted.extend(other.outvoted);
        self.disagreements.extend(other.disagreements);
    }

    /// Targets of which more cases stopped early than may, with how many in a hundred did: what proves nothing is no free pass.
    pub fn over_poisoned(&self) -> Vec<(&str, f64)> {
        let rows = self.models.iter().filter(|(_, row)| row.cases >= POISON_CASES_MIN);
        let shares = rows.map(|(name, row)| (name.as_str(), row.poisoned as f64 * 100.0 / row.cases as f64));
        shares.filter(|(_, share)| *share >= POISON_PERCENT_MAX).collect()
    }

    /// Targets that no case was run of, or of which no case checked anything.
    pub fn idle(&self) -> Vec<String> {
        let names = TARGETS.iter().map(|row| row.name);
        let idle = names.filter_map(|name| match self.models.get(name) {
            Some(row) if row.checks > 0 => None,
            Some(row) => Some(format!("{} cases of {name} checked nothing", row.cases)),
            None => Some(format!("no case of {name} was run")),
        });
        idle.collect()
    }

    /// Processor time of one target, in seconds: its share of the workers' by the clock.
    pub fn seconds_of(&self, name: &str) -> f64 {
        let all: u64 = self.models.values().map(|row| row.busy_us).sum();
        let own = self.models.get(name).map_or(0, |row| row.busy_us);
        self.cpu_ms as f64 / 1000.0 * own as f64 / all.max(1) as f64
    }

    /// Counts the time of a case.
    pub fn add_time(&mut self, target: &str, time: Duration) {
        self.models.entry(target.to_owned()).or_default().busy_us += time.as_micros() as u64;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disagreements_name_a_command_that_runs_them_again() {
        let mut stats = Stats::default();
        let mut found = |suspect: Suspect, case: Option<&str>| {
            let vote = Vote { suspect, reference: String::new() };
            let found = Disagreement { subject: "x".to_owned(), what: "y".to_owned(), step: None };
            let outcome = Outcome { disagreement: Some((found, vote)), ..Outcome::default() };
            stats.add("bytes", 0xabc, outcome, case.map(PathBuf::from));
        };
        found(Suspect::Nobody, None);
        found(Suspect::Third, Some("folder/bytes-0xabc.case"));
        let commands = |list: &[Found]| list.iter().map(Found::command).collect::<Vec<_>>();
        assert_eq!(commands(&stats.disagreements), ["cargo prove --replay bytes:0xabc"]);
        assert_eq!(commands(&stats.outvoted), ["cargo prove repro folder/bytes-0xabc.case"]);
    }
}
