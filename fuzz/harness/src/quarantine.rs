//! Disagreements that are explained: bugs of other engines, each with a section in `differential/FINDINGS.md`.
//!
//! A row is keyed by the version of the oracle and by the operations that the bug needs: a disagreement is explained only
//! if it is gone once the oracle runs the module rewritten, without changing its meaning, to avoid them. The subject runs
//! the module as it is, so that a row hides nothing of the subject's.
//!
//! Invariant: a row without a section in `FINDINGS.md` of the same name does not compile into the tests.
//!
//! Does not know: how bugs are found.

use crate::case::Case;
use crate::diff_core::{Checker, Disagreement};
use crate::pieces::{join, split};
use wasm_encoder::{BlockType, Encode, Instruction};
use wasmparser::{Operator, Parser, Payload};
use wattest_differential::Program;

/// The oracle that the rows below are about.
pub const ORACLE: &str = "wasmi 2.0.0";

/// What tells that a disagreement is this finding.
pub enum Symptom {
    /// The message holds this text.
    Message(&'static str),
    /// The disagreement is gone once the oracle's module avoids the bug: operations that change nothing are put between
    /// two neighbours.
    Workaround {
        /// Which neighbours.
        between: fn(&Operator<'_>, &Operator<'_>) -> bool,
        /// What is put there.
        insert: &'static [Instruction<'static>],
    },
}

/// A known bug of an oracle.
pub struct Finding {
    /// Heading of its section in `FINDINGS.md`.
    pub name: &'static str,
    /// How it shows.
    pub symptom: Symptom,
}

/// The table.
pub const FINDINGS: &[Finding] = &[
    Finding {
        name: "wasmi-1: debug assertion in the translation of `else`",
        symptom: Symptom::Message("a register operand already exists on the stack"),
    },
    Finding {
        name: "wasmi-2: `select` on `i32.eqz` takes the wrong operand",
        symptom: Symptom::Workaround {
            between: |_, second| matches!(second, Operator::Select | Operator::TypedSelect { .. }),
            insert: &[Instruction::I32Const(0), Instruction::I32Or],
        },
    },
    Finding {
        name: "wasmi-3: panic in the translation of a store with address and value in one register",
        symptom: Symptom::Message("internal error: entered unreachable code (translator/func/mod.rs:2583)"),
    },
    Finding {
        name: "wasmi-4: a local below the parameters of a block is kept on one path only",
        symptom: Symptom::Workaround {
            between: |_, second| takes_parameters(second),
            // A block without parameters keeps all locals, before there is more than one path.
            insert: &[Instruction::Block(BlockType::Empty), Instruction::End],
        },
    },
];

/// Whether an instruction opens a block whose type can have parameters.
fn takes_parameters(operator: &Operator<'_>) -> bool {
    let (Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty }) = operator else {
        return false;
    };
    matches!(blockty, wasmparser::BlockType::FuncType(_))
}

/// The finding that explains a disagreement, if one does.
pub fn explain(checker: &mut Checker, case: &Case, found: &Disagreement) -> Option<&'static str> {
    for finding in FINDINGS {
        let explains = match finding.symptom {
            Symptom::Message(text) => found.what.contains(text),
            Symptom::Workaround { between, insert } => avoid(case, between, insert)
                .is_some_and(|other| checker.check_pair(&other, case).disagreement.is_none()),
        };
        if explains {
            return Some(finding.name);
        }
    }
    let all = avoid_all(case)?;
    checker.check_pair(&all, case).disagreement.is_none().then_some("several findings together")
}

/// The case rewritten so that it avoids every known bug that can be avoided; `None` where there is nothing to rewrite.
pub fn avoid_all(case: &Case) -> Option<Case> {
    let mut rewritten: Option<Case> = None;
    for finding in FINDINGS {
        if let Symptom::Workaround { between, insert } = finding.symptom
            && let Some(next) = avoid(rewritten.as_ref().unwrap_or(case), between, insert)
        {
            rewritten = Some(next);
        }
    }
    rewritten
}

/// The case with `insert` put between neighbours; `None` where there are none such.
fn avoid(case: &Case, between: fn(&Operator<'_>, &Operator<'_>) -> bool, insert: &[Instruction<'_>]) -> Option<Case> {
    let mut bodies = split(&case.program.wasm)?;
    let mut added = Vec::new();
    insert.iter().for_each(|instruction| instruction.encode(&mut added));
    let mut changed = false;
    let mut index = 0;
    for payload in Parser::new(0).parse_all(&case.program.wasm) {
        let Payload::CodeSectionEntry(body) = payload.ok()? else { continue };
        let operators: Vec<Operator<'_>> =
            body.get_operators_reader().ok()?.into_iter().collect::<Result<_, _>>().ok()?;
        for position in (1..operators.len()).rev() {
            if between(&operators[position - 1], &operators[position]) {
                bodies[index].operations.insert(position, added.clone());
                changed = true;
            }
        }
        index += 1;
    }
    let program = Program::new(join(&case.program.wasm, &bodies)).ok()?;
    changed.then(|| Case { program, ..case.clone() })
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
