//! Disagreements that are explained: bugs of other engines, each with a section in `differential/FINDINGS.md`.
//!
//! A row is keyed by the version of the oracle and by what the bug needs in the module or shows in the message, so that
//! it expires with the version and hides nothing else.
//!
//! Invariant: a row without a section in `FINDINGS.md` of the same name does not compile into the tests.
//!
//! Does not know: how bugs are found.

use crate::case::Case;
use crate::diff_core::Disagreement;
use wasmparser::{Operator, Parser, Payload};

/// The oracle that the rows below are about.
pub const ORACLE: &str = "wasmi 2.0.0";

/// What tells that a disagreement is this finding.
pub enum Symptom {
    /// The message holds this text.
    Message(&'static str),
    /// The module holds an operation that satisfies this.
    Operation(fn(&Operator<'_>) -> bool),
}

/// A known bug of an oracle.
pub struct Finding {
    /// Heading of its section in `FINDINGS.md`.
    pub name: &'static str,
    /// How it shows.
    pub symptom: Symptom,
}

/// The table.
pub const FINDINGS: &[Finding] = &[Finding {
    name: "wasmi-1: debug assertion in the translation of `else`",
    symptom: Symptom::Message("a register operand already exists on the stack"),
}];

/// The finding that explains a disagreement, if one does.
pub fn explain(case: &Case, found: &Disagreement) -> Option<&'static str> {
    let matches = |finding: &&Finding| match finding.symptom {
        Symptom::Message(text) => found.what.contains(text),
        Symptom::Operation(test) => any_operation(&case.program.wasm, test),
    };
    FINDINGS.iter().find(matches).map(|finding| finding.name)
}

fn any_operation(wasm: &[u8], test: fn(&Operator<'_>) -> bool) -> bool {
    Parser::new(0).parse_all(wasm).filter_map(Result::ok).any(|payload| match payload {
        Payload::CodeSectionEntry(body) => body
            .get_operators_reader()
            .is_ok_and(|reader| reader.into_iter().filter_map(Result::ok).any(|operator| test(&operator))),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_section() {
        let text = include_str!("../../../differential/FINDINGS.md");
        for finding in FINDINGS {
            assert!(text.contains(&format!("## {}\n", finding.name)), "no section for {}", finding.name);
        }
    }
}
