//! The checked list of expected failures.
//!
//! `expected.toml` holds rows: globs of file names, optionally lines and configurations, the missing feature, a reason.
//!
//! Invariant: strict both ways. A failure that no row covers is a problem; so is a row's file or line that passes, and a
//! glob that matches no file. Blocked directives count with the failure that blocked them.
//!
//! Does not know: how files are found or run.

use crate::report::FileReport;
use serde::Deserialize;
use std::collections::BTreeSet;

/// The list as it stands in the repository.
pub const EXPECTED: &str = include_str!("../expected.toml");

/// What an engine may lack, and only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Garbage collection.
    Gc,
    /// Typed function references.
    FunctionReferences,
    /// Exceptions.
    Exceptions,
    /// Custom descriptors: not a standard yet.
    CustomDescriptors,
    /// Exceptions as they were before the standard; no text parser reads their folded form.
    LegacyExceptions,
    /// Components.
    ComponentModel,
    /// Validation of custom sections.
    CustomSections,
}

/// A row of the list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    globs: Vec<String>,
    /// Exactly these lines fail; without it the file fails somewhere.
    lines: Option<BTreeSet<u32>>,
    /// Only in these configurations; without it in all.
    configurations: Option<Vec<String>>,
    #[expect(dead_code, reason = "parsed so that a row without it, or with an unknown one, is refused")]
    missing: Missing,
    #[expect(dead_code, reason = "parsed so that a row without it is refused")]
    reason: String,
    /// Whether the embedded suite has the files too.
    #[serde(default = "yes")]
    embedded: bool,
}

fn yes() -> bool {
    true
}

/// The list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    #[serde(default, rename = "failure")]
    rows: Vec<Row>,
}

/// A report as the list sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Failures that are expected.
    pub expected: u64,
    /// What must be changed: in the engine, or in the list.
    pub problems: Vec<String>,
}

impl Expectations {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// When the text is not a list, with the place.
    pub fn parse(text: &str) -> Result<Expectations, toml::de::Error> {
        toml::from_str(text)
    }

    /// Compares `report` with the rows for its file and configuration.
    pub fn judge(&self, report: &FileReport) -> Judgement {
        let rows: Vec<_> = self.rows.iter().filter(|row| row.applies(report)).collect();
        let mut judgement = Judgement::default();
        for failure in &report.failures {
            if rows.iter().any(|row| row.lines.as_ref().is_none_or(|lines| lines.contains(&failure.line))) {
                judgement.expected += 1;
            } else {
                let text = format!("{}:{}: {}: {}", report.file, failure.line, failure.kind, failure.text);
                judgement.problems.push(text);
            }
        }
        let failing: BTreeSet<u32> = report.failures.iter().map(|failure| failure.line).collect();
        for row in rows {
            let stale = match &row.lines {
                None if failing.is_empty() => vec![report.file.clone()],
                None => Vec::new(),
                Some(lines) => lines.difference(&failing).map(|line| format!("{}:{line}", report.file)).collect(),
            };
            judgement.problems.extend(stale.iter().map(|place| {
                format!("{place} passes in configuration {}: remove it from expected.toml", report.configuration)
            }));
        }
        judgement
    }

    /// Globs that match none of `files`. `present` tells, of a suite's name, whether its files are there at all and
    /// whether they are the embedded ones.
    pub fn unmatched(&self, files: &[&str], present: impl Fn(&str) -> Option<Presence>) -> Vec<String> {
        let expected_here = |row: &Row, glob: &str| match present(glob.split('/').next().unwrap_or_default()) {
            None => false,
            Some(Presence::Embedded) => row.embedded,
            Some(Presence::Full) => true,
        };
        let all = self.rows.iter().flat_map(|row| row.globs.iter().map(move |glob| (row, glob)));
        all.filter(|(row, glob)| expected_here(row, glob) && !files.iter().any(|file| glob_matches(glob, file)))
            .map(|(_, glob)| format!("expected.toml: `{glob}` matches no file: remove it"))
            .collect()
    }
}

/// How a suite is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The embedded copy, which lacks some files.
    Embedded,
    /// From a folder.
    Full,
}

impl Row {
    fn applies(&self, report: &FileReport) -> bool {
        let configuration = self.configurations.as_ref().is_none_or(|names| names.contains(&report.configuration));
        configuration && self.globs.iter().any(|glob| glob_matches(glob, &report.file))
    }
}

/// Whether `name` is as `glob` says; `*` stands for any text without a slash, `**` for any text.
///
/// ```
/// use wattest_spec_tests::expected::glob_matches;
/// assert!(glob_matches("spec/array*.wast", "spec/array_copy.wast"));
/// assert!(!glob_matches("spec/*.wast", "spec/legacy/throw.wast"));
/// ```
pub fn glob_matches(glob: &str, name: &str) -> bool {
    // Every prefix length of `name` that the glob read so far can match.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut rest = glob.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let deep = rest.starts_with(b"**");
        rest = if deep { &rest[2..] } else { tail };
        let mut next = vec![false; name.len() + 1];
        for (at, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
            if byte == b'*' {
                let stop = if deep { None } else { name.as_bytes()[at..].iter().position(|byte| *byte == b'/') };
                next[at..=stop.map_or(name.len(), |stop| at + stop)].fill(true);
            } else if name.as_bytes().get(at) == Some(&byte) {
                next[at + 1] = true;
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::DirectiveFailure;

    const LIST: &str = r#"
        [[failure]]
        globs = ["spec/gc/*.wast"]
        missing = "gc"
        reason = "next issue"

        [[failure]]
        globs = ["spec/ref.wast"]
        lines = [3, 5]
        configurations = ["none"]
        missing = "function-references"
        reason = "next issue"

        [[failure]]
        globs = ["spec/legacy/**"]
        missing = "legacy-exceptions"
        reason = "no parser"
        embedded = false
    "#;

    fn check(file: &str, configuration: &str, lines: &[u32], expected: u64, problems: &[&str]) {
        let failure = |line: &u32| DirectiveFailure { line: *line, kind: "invoke".to_owned(), text: "no".to_owned() };
        let report = FileReport {
            file: file.to_owned(),
            configuration: configuration.to_owned(),
            failures: lines.iter().map(failure).collect(),
            ..FileReport::default()
        };
        let judgement = Expectations::parse(LIST).unwrap().judge(&report);
        assert_eq!(judgement.expected, expected);
        assert_eq!(judgement.problems, problems);
    }

    #[test]
    fn failures_must_be_listed_and_listed_ones_must_fail() {
        check("spec/gc/a.wast", "speed", &[1, 9], 2, &[]);
        check(
            "spec/gc/a.wast",
            "speed",
            &[],
            0,
            &["spec/gc/a.wast passes in configuration speed: remove it from expected.toml"],
        );
        check("spec/i32.wast", "speed", &[], 0, &[]);
        check("spec/i32.wast", "speed", &[4], 0, &["spec/i32.wast:4: invoke: no"]);
    }

    #[test]
    fn lines_and_configurations_narrow_a_row() {
        check("spec/ref.wast", "none", &[3, 5], 2, &[]);
        check(
            "spec/ref.wast",
            "none",
            &[3, 4],
            1,
            &[
                "spec/ref.wast:4: invoke: no",
                "spec/ref.wast:5 passes in configuration none: remove it from expected.toml",
            ],
        );
        check("spec/ref.wast", "speed", &[], 0, &[]);
        check("spec/ref.wast", "speed", &[3], 0, &["spec/ref.wast:3: invoke: no"]);
    }

    #[test]
    fn globs_must_match_where_their_suite_is() {
        let list = Expectations::parse(LIST).unwrap();
        let files = ["spec/gc/a.wast", "spec/ref.wast"];
        assert_eq!(list.unmatched(&files, |_| Some(Presence::Embedded)), Vec::<String>::new());
        assert_eq!(list.unmatched(&files, |_| Some(Presence::Full)).len(), 1);
        assert_eq!(list.unmatched(&files[1..], |_| Some(Presence::Embedded)).len(), 1);
        assert_eq!(list.unmatched(&[], |_| None), Vec::<String>::new());
    }

    #[test]
    fn rows_are_complete_and_known() {
        assert!(Expectations::parse("[[failure]]\nglobs = [\"a\"]\nmissing = \"gc\"").is_err());
        assert!(Expectations::parse("[[failure]]\nglobs = [\"a\"]\nmissing = \"luck\"\nreason = \"x\"").is_err());
        Expectations::parse(EXPECTED).unwrap();
    }

    #[test]
    fn globs_match_segments() {
        for (glob, name, expected) in [
            ("a/*.w", "a/b.w", true),
            ("a/*.w", "a/b/c.w", false),
            ("a/**.w", "a/b/c.w", true),
            ("**", "", true),
            ("*a*a", "aa", true),
            ("*a*a", "a", false),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(glob_matches(glob, name), expected, "{glob} {name}");
        }
    }
}
