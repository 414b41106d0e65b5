//! The list of violations a rule found, and the ratchet that lets its exceptions only shrink.
//!
//! Invariant: a report fails exactly once, at its end, with every row in it.
//!
//! Does not know: which rules exist.

use std::fmt::Write as _;

/// Violations of one rule.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<String>,
}

/// A measured place that is allowed to exceed a limit, for now.
#[derive(Debug, Clone, Copy)]
pub struct Exception {
    /// The file, or `file::function`.
    pub place: &'static str,
    /// What it measures today: neither more nor less.
    pub measure: usize,
    /// Why it is allowed.
    pub reason: &'static str,
}

/// A place a rule does not apply to.
#[derive(Debug, Clone, Copy)]
pub struct Exempt {
    /// The file.
    pub place: &'static str,
    /// Why it is exempt.
    pub reason: &'static str,
}

/// One measurement.
#[derive(Debug)]
pub struct Measured {
    /// The file.
    pub path: String,
    /// The line to show, from 1.
    pub line: usize,
    /// The name that identifies it in a list of exceptions: the file, or `file::function`.
    pub place: String,
    /// How much it measures.
    pub measure: usize,
}

impl Report {
    /// A violation at a line of a file.
    pub fn at(&mut self, path: &str, line: usize, what: impl AsRef<str>) {
        self.rows.push(format!("{path}:{line}: {}", what.as_ref()));
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Holds measurements against a limit and its exceptions.
    pub fn ratchet(&mut self, list: &str, limit: usize, exceptions: &[Exception], measured: &[Measured]) {
        for m in measured.iter().filter(|m| m.measure > limit) {
            if !exceptions.iter().any(|e| e.place == m.place && e.measure >= m.measure) {
                self.at(&m.path, m.line, format!("{} measures {}, the limit is {limit}", m.place, m.measure));
            }
        }
        for exception in exceptions {
            assert!(!exception.reason.is_empty(), "{list}: {} has no reason", exception.place);
            let worst = measured.iter().filter(|m| m.place == exception.place).map(|m| m.measure).max();
            match worst {
                Some(worst) if worst > limit && worst >= exception.measure => {}
                Some(worst) if worst > limit => {
                    self.at(list, 1, format!("{} measures only {worst} now: lower its row", exception.place));
                }
                _ => self.at(list, 1, format!("{} needs no exception any more: remove its row", exception.place)),
            }
        }
    }

    /// Takes out the rows whose file is exempt and reports exemptions that exempt nothing.
    pub fn exempt(&mut self, list: &str, exemptions: &[Exempt]) {
        for exemption in exemptions {
            assert!(!exemption.reason.is_empty(), "{list}: {} has no reason", exemption.place);
            let before = self.rows.len();
            self.rows.retain(|row| row.split(':').next() != Some(exemption.place));
            if self.rows.len() == before {
                self.at(list, 1, format!("{} needs no exemption any more: remove its row", exemption.place));
            }
        }
    }

    /// Fails with every row and the fix, if there is a row.
    ///
    /// # Panics
    /// When the report is not empty: that is how a rule fails.
    #[track_caller]
    pub fn finish(mut self, fix: &str) {
        if self.rows.is_empty() {
            return;
        }
        self.rows.sort();
        self.rows.dedup();
        let mut message = format!("{} violation(s)\n", self.rows.len());
        for row in &self.rows {
            let _ = writeln!(message, "{row}");
        }
        panic!("{message}fix: {fix}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(measure: usize, exceptions: &[Exception], expected: &[&str]) {
        let measured = [Measured { path: "a.rs".into(), line: 3, place: "a.rs::f".into(), measure }];
        let mut report = Report::default();
        report.ratchet("list.rs", 70, exceptions, &measured);
        assert_eq!(report.rows, expected);
    }

    #[test]
    fn a_ratchet_only_tightens() {
        let row = |measure| Exception { place: "a.rs::f", measure, reason: "a table" };
        check(70, &[], &[]);
        check(71, &[], &["a.rs:3: a.rs::f measures 71, the limit is 70"]);
        check(80, &[row(80)], &[]);
        check(81, &[row(80)], &["a.rs:3: a.rs::f measures 81, the limit is 70"]);
        check(79, &[row(80)], &["list.rs:1: a.rs::f measures only 79 now: lower its row"]);
        check(60, &[row(80)], &["list.rs:1: a.rs::f needs no exception any more: remove its row"]);
    }

    #[test]
    fn a_stale_exemption_is_a_violation() {
        let exempt = [Exempt { place: "a.rs", reason: "why" }];
        let mut report = Report::default();
        report.at("a.rs", 1, "x");
        report.exempt("list.rs", &exempt);
        assert!(report.is_empty());
        report.exempt("list.rs", &exempt);
        assert_eq!(report.rows, ["list.rs:1: a.rs needs no exemption any more: remove its row"]);
    }
}
