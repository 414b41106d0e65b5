//! What a run of `cargo prove` found out, and whether that is a proof.
//!
//! Invariant: whatever makes the exit status a failure is one of the reasons, which the page and the JSON hold as well.
//!
//! Does not know: how reasons are shown.

use crate::graphs::GraphStats;
use crate::op_matrix::MatrixResult;
use crate::stats::{Stats, too_early};
use crate::suites::SuiteResult;

/// What was found out.
pub struct Proof<'a> {
    /// What the suites said, if they were run.
    pub suites: Option<&'a SuiteResult>,
    /// Operations one by one.
    pub matrix: &'a MatrixResult,
    /// Component graphs.
    pub graphs: &'a GraphStats,
    /// The campaign.
    pub stats: &'a Stats,
    /// Operations that were executed too rarely, and how often.
    pub short: &'a [(&'static str, u64)],
}

impl Proof<'_> {
    /// Why it fails, all of it. A run that is long has to be complete, too: every operation often enough, few cases that stop
    /// early and, of all targets, something of each.
    pub fn failures(&self, is_long: bool, has_all_targets: bool) -> Vec<String> {
        let counts = [
            (self.suites.map_or(0, |result| result.problems.len()), "unexpected outcomes in the suites"),
            (self.matrix.disagreements.len(), "disagreements of operations one by one"),
            (self.graphs.found.len(), "defects of component graphs"),
            (self.stats.disagreements.len(), "disagreements in the campaign"),
        ];
        let some = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut failures: Vec<String> = some.map(|(count, what)| format!("{count} {what}")).collect();
        if is_long {
            failures.extend(self.stats.over_poisoned().iter().map(|(name, share)| too_early(name, *share)));
            failures.extend(self.short.iter().map(|(name, count)| format!("{name} was executed {count} times")));
            failures.extend(self.stats.idle().into_iter().filter(|_| has_all_targets));
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Found, ModelStats};
    use crate::targets::TARGETS;
    use crate::vote::{Suspect, Vote};

    #[derive(Default)]
    struct Parts {
        suites: SuiteResult,
        matrix: MatrixResult,
        graphs: GraphStats,
        stats: Stats,
        short: Vec<(&'static str, u64)>,
    }

    /// A run that is whole but for one thing: what is said of a long one, and of a short one.
    #[test]
    fn every_reason_is_said() {
        let check = |change: &dyn Fn(&mut Parts), long: &[&str], short: &[&str]| {
            let mut parts = Parts::default();
            for row in TARGETS {
                let working = ModelStats { cases: 1000, checks: 1, ..ModelStats::default() };
                parts.stats.models.insert(row.name.to_owned(), working);
            }
            change(&mut parts);
            let Parts { suites, matrix, graphs, stats, short: rare } = &parts;
            let proof = Proof { suites: Some(suites), matrix, graphs, stats, short: rare };
            for (is_long, expected) in [(true, long), (false, short)] {
                let failures = proof.failures(is_long, true);
                assert_eq!(failures.len(), expected.len(), "{failures:?}");
                assert!(failures.iter().zip(expected).all(|(one, part)| one.contains(part)), "{failures:?}");
            }
            let named = proof.failures(true, false);
            assert!(named.iter().all(|failure| !failure.contains("no case of")), "{named:?}");
        };
        check(&|_| {}, &[], &[]);
        check(&|run| run.suites.problems.push("x".to_owned()), &["1 unexpected"], &["1 unexpected"]);
        check(&|run| run.matrix.disagreements.push("x".to_owned()), &["one by one"], &["one by one"]);
        check(&|run| run.graphs.found.push((1, "x".to_owned())), &["1 defects"], &["1 defects"]);
        let found = || Found {
            target: "dfg".to_owned(),
            seed: 1,
            subject: String::new(),
            what: String::new(),
            vote: Vote { suspect: Suspect::Nobody, reference: String::new() },
            case: None,
        };
        check(&|run| run.stats.disagreements.push(found()), &["1 disagreements"], &["1 disagreements"]);
        check(&|run| run.stats.outvoted.push(found()), &[], &[]);
        check(&|run| run.short.push(("I32Add", 7)), &["I32Add was executed 7 times"], &[]);
        let missing = |run: &mut Parts| {
            run.stats.models.remove("emi");
        };
        check(&missing, &["no case of emi was run"], &[]);
        let silent = |run: &mut Parts| {
            run.stats.models.entry("emi".to_owned()).or_default().checks = 0;
        };
        check(&silent, &["1000 cases of emi checked nothing"], &[]);
        let poisoned = |run: &mut Parts| {
            run.stats.models.entry("emi".to_owned()).or_default().poisoned = 50;
        };
        check(&poisoned, &["5.0 % of the cases of emi"], &[]);
    }
}
