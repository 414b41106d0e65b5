//! Reduction of a disagreement to a module small enough to read.
//!
//! Where NaNs compare by class, a smaller module may look at bits that engines may choose; then only a disagreement of
//! scalars or of traps can be trusted. Calls are dropped first, then ranges of operations, or they are replaced by constants, as long as the module stays valid
//! and the two sides still disagree.
//!
//! Invariant: what is returned disagrees, and was validated.
//!
//! Does not know: why the sides disagree.

use crate::case::Case;
use crate::diff_core::{Checker, Outcome};
use crate::quarantine;
use std::time::{Duration, Instant};
use wasm_encoder::{CodeSection, Encode, Instruction, Module, RawSection};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wattest_differential::Program;

/// A body: its locals as bytes, and its operations one by one, the final `end` left out.
#[derive(Clone)]
pub(crate) struct Pieces {
    pub(crate) locals: Vec<u8>,
    /// Parameters, where somebody looked.
    pub(crate) params: Option<u32>,
    pub(crate) operations: Vec<Vec<u8>>,
}

/// Makes a disagreeing case smaller for at most `time`.
pub fn reduce(case: &Case, time: Duration) -> Case {
    let mut reduction =
        Reduction { best: case.clone(), kind: String::new(), checker: Checker::new(), deadline: Instant::now() + time };
    if let Some(rewritten) = quarantine::avoid_all(case)
        && reduction.checker.check(&rewritten).disagreement.is_some()
    {
        reduction.best = rewritten;
    }
    let outcome = reduction.checker.check(&reduction.best);
    let Some(kind) = kind_of(&outcome) else { return case.clone() };
    reduction.kind = kind;
    reduction.drop_calls();
    if let Some(mut bodies) = split(&reduction.best.program.wasm) {
        while reduction.pass(&mut bodies) {}
        reduction.drop_calls();
    }
    reduction.best
}

struct Reduction {
    best: Case,
    kind: String,
    checker: Checker,
    deadline: Instant,
}

/// Two disagreements are alike where subject and wording agree up to the first value in them.
fn kind_of(outcome: &Outcome) -> Option<String> {
    let found = outcome.disagreement.as_ref()?;
    let what = found.what.rsplit("): ").next().unwrap_or(&found.what);
    let head: String = what.chars().take_while(|c| !c.is_ascii_digit()).collect();
    Some(format!("{} {head}", found.subject))
}

impl Reduction {
    fn expired(&self) -> bool {
        Instant::now() > self.deadline
    }

    fn accept(&mut self, candidate: Case) -> bool {
        // A known bug of the oracle must not take the place of the one that is looked for.
        let candidate = quarantine::avoid_all(&candidate).unwrap_or(candidate);
        let outcome = self.checker.check(&candidate);
        let alike = kind_of(&outcome).as_ref() == Some(&self.kind);
        if alike {
            self.best = candidate;
        }
        alike
    }

    fn drop_calls(&mut self) {
        let mut length = self.best.recipe.plan.calls.len();
        while length > 0 && !self.expired() {
            let mut start = 0;
            while start < self.best.recipe.plan.calls.len() {
                let mut candidate = self.best.clone();
                let end = (start + length).min(candidate.recipe.plan.calls.len());
                candidate.recipe.plan.calls.drain(start..end);
                if !self.accept(candidate) {
                    start += length;
                }
            }
            length /= 2;
        }
    }

    /// Tries every change once; whether one was kept.
    fn pass(&mut self, bodies: &mut [Pieces]) -> bool {
        let mut progress = false;
        for index in 0..bodies.len() {
            let mut length = bodies[index].operations.len();
            while length > 0 {
                let mut start = 0;
                while start < bodies[index].operations.len() {
                    if self.expired() {
                        return false;
                    }
                    let end = (start + length).min(bodies[index].operations.len());
                    if self.change(bodies, index, start..end) {
                        progress = true;
                    } else {
                        start += (length / 2).max(1);
                    }
                }
                length = if length > 8 { length / 2 } else { length - 1 };
            }
        }
        progress
    }

    fn change(&mut self, bodies: &mut [Pieces], index: usize, range: std::ops::Range<usize>) -> bool {
        let original = bodies[index].operations.clone();
        let constants = [
            None,
            Some(Instruction::I32Const(0)),
            Some(Instruction::I64Const(0)),
            Some(Instruction::F32Const(0.0.into())),
            Some(Instruction::F64Const(0.0.into())),
            Some(Instruction::V128Const(0)),
            Some(Instruction::Unreachable),
            Some(Instruction::Drop),
        ];
        for constant in constants {
            let mut bytes = Vec::new();
            if let Some(constant) = &constant {
                constant.encode(&mut bytes);
            }
            if range.len() == 1 && original[range.start].len() <= bytes.len() {
                continue;
            }
            let replacement = constant.is_some().then_some(bytes);
            bodies[index].operations.splice(range.clone(), replacement);
            let wasm = join(&self.best.program.wasm, bodies);
            if Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm).is_ok()
                && let Ok(program) = Program::new(wasm)
                && self.accept(Case { program, ..self.best.clone() })
            {
                return true;
            }
            bodies[index].operations.clone_from(&original);
        }
        false
    }
}

pub(crate) fn split(wasm: &[u8]) -> Option<Vec<Pieces>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CodeSectionEntry(body) = payload.ok()? else { continue };
        let mut reader = body.get_operators_reader().ok()?;
        let start = reader.original_position();
        let mut operations = Vec::new();
        while !reader.eof() {
            let from = reader.original_position();
            reader.read().ok()?;
            operations.push(wasm[from..reader.original_position()].to_vec());
        }
        operations.pop();
        bodies.push(Pieces { locals: wasm[body.range().start..start].to_vec(), params: None, operations });
    }
    Some(bodies)
}

/// Where the groups of locals begin: behind their number.
pub(crate) fn locals_start(locals: &[u8]) -> Option<usize> {
    locals.iter().position(|byte| byte & 0x80 == 0).map(|last| last + 1)
}

/// Numbers of parameters, by function index.
pub(crate) fn parameter_counts(wasm: &[u8]) -> Option<Vec<u32>> {
    let (mut types, mut counts) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::TypeSection(reader) => {
                for group in reader {
                    types.extend(group.ok()?.types().map(|ty| match &ty.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(ty) => ty.params().len() as u32,
                        _ => 0,
                    }));
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    if let wasmparser::TypeRef::Func(ty) = import.ok()?.ty {
                        counts.push(*types.get(ty as usize)?);
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    counts.push(*types.get(ty.ok()? as usize)?);
                }
            }
            _ => {}
        }
    }
    Some(counts)
}

pub(crate) fn join(wasm: &[u8], bodies: &[Pieces]) -> Vec<u8> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm).filter_map(Result::ok) {
        if let Payload::CodeSectionStart { .. } = payload {
            let mut section = CodeSection::new();
            for body in bodies {
                let mut bytes = body.locals.clone();
                body.operations.iter().for_each(|operation| bytes.extend_from_slice(operation));
                bytes.push(0x0b);
                section.raw(&bytes);
            }
            module.section(&section);
        } else if let Some((id, range)) = payload.as_section()
            && id != 0
        {
            module.section(&RawSection { id, data: &wasm[range] });
        }
    }
    module.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_module() {
        let text = "(module (func (param i32) (result i32) (local i64) local.get 0 (if (then nop)) i32.const 1))";
        let wasm = wat::parse_str(text).expect("valid text");
        let bodies = split(&wasm).expect("valid bodies");
        assert_eq!(join(&wasm, &bodies), wasm);
    }
}
