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
use crate::pieces::splice;
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
            Symptom::Workaround { .. } => avoid(&case.program, std::slice::from_ref(finding))
                .is_some_and(|other| checker.check_pair(&other, case).disagreement.is_none()),
        };
        if explains {
            return Some(finding.name);
        }
    }
    let all = avoid_all(&case.program)?;
    checker.check_pair(&all, case).disagreement.is_none().then_some("several findings together")
}

/// The program rewritten so that it avoids every known bug that can be avoided; `None` where there is nothing to rewrite.
pub fn avoid_all(program: &Program) -> Option<Program> {
    avoid(program, FINDINGS)
}

/// The program with the workarounds of some findings between neighbours; `None` where there are none such. All of them are
/// put in at once, since no workaround holds an operation that another one is about.
fn avoid(program: &Program, findings: &[Finding]) -> Option<Program> {
    let mut insertions: Vec<Vec<(usize, Vec<u8>)>> = Vec::new();
    for payload in Parser::new(0).parse_all(&program.wasm) {
        let Payload::CodeSectionEntry(body) = payload.ok()? else { continue };
        let start = body.range().start;
        let mut found = Vec::new();
        let mut previous: Option<Operator<'_>> = None;
        for operator in body.get_operators_reader().ok()?.into_iter_with_offsets() {
            let (operator, offset) = operator.ok()?;
            if let Some(previous) = &previous {
                let added = workarounds(findings, previous, &operator);
                if !added.is_empty() {
                    found.push((offset - start, added));
                }
            }
            previous = Some(operator);
        }
        insertions.push(found);
    }
    let nothing = insertions.iter().all(Vec::is_empty);
    if nothing { None } else { program.edited(|wasm| splice(wasm, &insertions)) }
}

/// What belongs between two neighbours, as bytes.
fn workarounds(findings: &[Finding], first: &Operator<'_>, second: &Operator<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for finding in findings {
        if let Symptom::Workaround { between, insert } = finding.symptom
            && between(first, second)
        {
            insert.iter().for_each(|instruction| instruction.encode(&mut bytes));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Program {
        Program::new(wat::parse_str(text).expect("valid text")).expect("a program")
    }

    #[test]
    fn workarounds_stand_where_they_belong() {
        let text = |before_select: &str, before_block: &str| {
            format!(
                "(module (memory 1) (func) (func (export \"f\") (param i32) (result i32)
                    i32.const 1 i32.const 2 local.get 0 i32.eqz {before_select} select
                    {before_block} block (param i32) (result i32) end) (func))"
            )
        };
        let rewritten = avoid_all(&program(&text("", ""))).expect("something to rewrite");
        let by_hand = program(&text("i32.const 0 i32.or", "block end"));
        assert_eq!((rewritten.wasm, rewritten.exposed), (by_hand.wasm, by_hand.exposed));
        assert!(avoid_all(&program("(module (func block nop end))")).is_none());
    }

    #[test]
    fn every_row_has_its_section() {
        let text = include_str!("../../../differential/FINDINGS.md");
        for finding in FINDINGS {
            assert!(text.contains(&format!("## {}\n", finding.name)), "no section for {}", finding.name);
        }
    }
}
