//! What came out: per file, and summed over files.
//!
//! Every directive ends in one of three ways: it passed, it failed, or it was blocked, because a module that it uses
//! failed before. Only what failed by itself is listed with its line.
//!
//! Invariant: in a [`Tally`], `total = passed + failed + blocked`.
//!
//! Does not know: which failures are expected until [`crate::expected`] says so.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Directives counted by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All.
    pub total: u64,
    /// As the script demands.
    pub passed: u64,
    /// Not as the script demands, unsupported ones included.
    pub failed: u64,
    /// Not run, because a module they use had failed.
    pub blocked: u64,
}

impl Tally {
    /// Adds `other`.
    pub fn add(&mut self, other: Tally) {
        self.total += other.total;
        self.passed += other.passed;
        self.failed += other.failed;
        self.blocked += other.blocked;
    }
}

/// A directive that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectiveFailure {
    /// Line in the file, from 1.
    pub line: u32,
    /// The directive's keyword, or `file` when there is no script.
    pub kind: String,
    /// What happened instead.
    pub text: String,
}

/// The outcome of one file in one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file's name, suite first.
    pub file: String,
    /// The engine's configuration.
    pub configuration: String,
    /// Counts by directive keyword.
    pub directives: BTreeMap<String, Tally>,
    /// By line.
    pub failures: Vec<DirectiveFailure>,
}

impl FileReport {
    /// Whether every directive passed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// All directives together.
    pub fn total(&self) -> Tally {
        sum(&self.directives, |_| true)
    }
}

/// The outcome of many files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// By group of files (a proposal), then by configuration.
    pub groups: BTreeMap<String, BTreeMap<String, GroupSummary>>,
}

/// The outcome of a group in one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupSummary {
    /// Files run.
    pub files: u64,
    /// Files with no failure.
    pub files_passed: u64,
    /// Files whose failures are all expected.
    pub files_expected: u64,
    /// Failing directives that are expected.
    pub expected: u64,
    /// Counts by directive keyword.
    pub directives: BTreeMap<String, Tally>,
}

impl GroupSummary {
    /// All directives together.
    pub fn total(&self) -> Tally {
        sum(&self.directives, |_| true)
    }

    /// All assertions together.
    pub fn assertions(&self) -> Tally {
        sum(&self.directives, |kind| kind.starts_with("assert_"))
    }

    /// Files with a failure that is not expected.
    pub fn files_failed(&self) -> u64 {
        self.files - self.files_passed - self.files_expected
    }

    fn add(&mut self, other: &GroupSummary) {
        self.files += other.files;
        self.files_passed += other.files_passed;
        self.files_expected += other.files_expected;
        self.expected += other.expected;
        for (kind, tally) in &other.directives {
            self.directives.entry(kind.clone()).or_default().add(*tally);
        }
    }
}

impl Summary {
    /// Adds one file of `group`, `expected` of whose failures are expected.
    pub fn add(&mut self, group: &str, report: &FileReport, expected: u64) {
        let row = GroupSummary {
            files: 1,
            files_passed: u64::from(report.passed()),
            files_expected: u64::from(!report.passed() && expected == report.failures.len() as u64),
            expected,
            directives: report.directives.clone(),
        };
        let configurations = self.groups.entry(group.to_owned()).or_default();
        configurations.entry(report.configuration.clone()).or_default().add(&row);
    }

    /// The sum over groups, by configuration.
    pub fn by_configuration(&self) -> BTreeMap<String, GroupSummary> {
        let mut sums = BTreeMap::<String, GroupSummary>::new();
        for (configuration, row) in self.groups.values().flatten() {
            sums.entry(configuration.clone()).or_default().add(row);
        }
        sums
    }

    /// The sum over everything.
    pub fn total(&self) -> GroupSummary {
        let mut sum = GroupSummary::default();
        self.groups.values().flat_map(BTreeMap::values).for_each(|row| sum.add(row));
        sum
    }
}

/// A table: groups, configurations, files, directives, assertions.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["files", "passed", "expected", "failed", "directives", "assertions", "blocked"];
        write!(f, "{:<18} {:<12}", "suite", "configuration")?;
        columns.iter().try_for_each(|column| write!(f, " {column:>10}"))?;
        writeln!(f)?;
        let mut row = |group: &str, configuration: &str, row: &GroupSummary| {
            let total = row.total();
            write!(f, "{group:<18} {configuration:<13}")?;
            let files = [row.files, row.files_passed, row.files_expected, row.files_failed()];
            let counts = files.into_iter().chain([total.total, row.assertions().total, total.blocked]);
            counts.into_iter().try_for_each(|count| write!(f, " {count:>10}"))?;
            writeln!(f)
        };
        for (group, configurations) in &self.groups {
            configurations.iter().try_for_each(|(configuration, sums)| row(group, configuration, sums))?;
        }
        self.by_configuration().iter().try_for_each(|(configuration, sums)| row("all", configuration, sums))?;
        row("all", "all", &self.total())
    }
}

fn sum(directives: &BTreeMap<String, Tally>, wanted: impl Fn(&str) -> bool) -> Tally {
    directives.iter().filter(|(kind, _)| wanted(kind)).fold(Tally::default(), |mut sum, (_, tally)| {
        sum.add(*tally);
        sum
    })
}
