//! The property `op_matrix`: every operation of the table, alone in a function, over boundary values.
//!
//! One module with a function per operation, called with all of its boundary vectors: what the random modules reach by
//! luck, this reaches every time. Operands are parameters in one module and constants in the other, since code generators
//! choose other instructions then.
//!
//! Invariant: every row of the operation table that takes no immediate is there.
//!
//! Does not know: memory, control flow.

use crate::case::{Case, Origin, Recipe};
use crate::corpus;
use crate::generate::ops::{Care, Op, Table};
use crate::generate::{GENERATOR_VERSION, val_type};
use crate::source::{Source, expand};
use wasm_encoder::{
    CodeSection, Encode, ExportKind, ExportSection, Function, FunctionSection, Instruction, Module, TypeSection,
};
use wattest_differential::{Call, Form, NanRule, Plan, Program, Value, ValueType};

/// Argument vectors per operation.
const VECTORS: usize = 48;

/// The case for a subject: all operations once, with operands from parameters or from constants. With
/// [`NanRule::Arithmetic`], operations whose vector results hold NaNs that engines may choose are left out.
pub fn case(subject: usize, nans: NanRule, constants: bool, seed: u64) -> Option<Case> {
    let bytes = expand(seed);
    let extra = expand(seed ^ 0x5eed);
    let mut source = Source::new(&bytes);
    let mut builder = Builder::default();
    for row in &Table::get().rows {
        let (Some(result), Op::Plain { params, instruction, care }) = (row.result, &row.op) else { continue };
        if nans == NanRule::Arithmetic && matches!(care, Care::Lanes32 | Care::Lanes64 | Care::Leak) {
            continue;
        }
        builder.add(params, result, instruction, constants.then_some(&mut source));
    }
    let signatures = builder.signatures.clone();
    let program = Program::new(builder.finish()).ok()?;
    let mut source = Source::new(&extra);
    let mut calls = Vec::new();
    for (index, params) in signatures.iter().enumerate() {
        for vector in 0..if constants { 1 } else { VECTORS } {
            if source.is_empty() {
                source = Source::new(&bytes);
            }
            let args: Vec<Value> = params.iter().map(|ty| corpus::argument(&mut source, *ty, &[])).collect();
            // The same value twice, now and then.
            let args = if vector % 8 == 7 { args.iter().map(|arg| twice(arg, &args[0])).collect() } else { args };
            calls.push(Call { func: index as u32, args });
        }
    }
    let form = Form::Original;
    let plan = Plan { calls, form, nans, host_seed: 0, steps_max: 1000, capture: None };
    let recipe = Recipe { seed: None, generator: GENERATOR_VERSION, origin: Origin::Typed, subject, plan };
    Some(Case { recipe, program, functions: signatures.len() as u32, operations: signatures.len() as u32 })
}

fn twice(arg: &Value, first: &Value) -> Value {
    if arg.ty() == first.ty() { *first } else { *arg }
}

#[derive(Default)]
struct Builder {
    types: TypeSection,
    functions: FunctionSection,
    exports: ExportSection,
    code: CodeSection,
    signatures: Vec<Vec<ValueType>>,
}

impl Builder {
    fn add(
        &mut self,
        params: &[ValueType],
        result: ValueType,
        instruction: &Instruction<'_>,
        constants: Option<&mut Source<'_>>,
    ) {
        let index = self.signatures.len() as u32;
        let mut body = Function::new([]).into_raw_body();
        let mut outer = Vec::new();
        match constants {
            Some(source) => params.iter().for_each(|ty| constant(*ty, source).encode(&mut body)),
            None => {
                outer = params.to_vec();
                (0..params.len() as u32).for_each(|local| Instruction::LocalGet(local).encode(&mut body));
            }
        }
        instruction.encode(&mut body);
        Instruction::End.encode(&mut body);
        self.types.ty().function(outer.iter().map(|ty| val_type(*ty)), [val_type(result)]);
        self.functions.function(index);
        self.exports.export(&format!("f{index}"), ExportKind::Func, index);
        self.code.raw(&body);
        self.signatures.push(outer);
    }

    fn finish(self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types).section(&self.functions).section(&self.exports).section(&self.code);
        module.finish()
    }
}

fn constant(ty: ValueType, source: &mut Source<'_>) -> Instruction<'static> {
    match corpus::argument(source, ty, &[]) {
        Value::I32(bits) => Instruction::I32Const(bits as i32),
        Value::I64(bits) => Instruction::I64Const(bits as i64),
        Value::F32(bits) => Instruction::F32Const(f32::from_bits(bits).into()),
        Value::F64(bits) => Instruction::F64Const(f64::from_bits(bits).into()),
        Value::V128(bits) => Instruction::V128Const(bits as i128),
        Value::Func(_) | Value::Extern(_) => Instruction::RefNull(wasm_encoder::HeapType::FUNC),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff_core::{Checker, subject_count};
    use crate::quarantine;

    /// A trap or result of one function does not touch the others: all that disagree are listed together.
    fn check(nans: NanRule, constants: bool, seeds: std::ops::Range<u64>) {
        let mut checker = Checker::new();
        let mut wrong = Vec::new();
        for seed in seeds {
            for subject in 0..subject_count() {
                let mut case = case(subject, nans, constants, seed).expect("the matrix is a module");
                while let Some(found) = checker.check(&case).disagreement {
                    if quarantine::explain(&mut checker, &case, &found).is_none() {
                        wrong.push(format!("{}: {}", found.subject, found.what));
                    }
                    let Some(step) = found.step.filter(|step| *step > 0) else { break };
                    let func = case.recipe.plan.calls[step - 1].func;
                    case.recipe.plan.calls.retain(|call| call.func != func);
                }
            }
        }
        assert!(wrong.is_empty(), "{} operations disagree:\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn parameters_with_canonical_nans() {
        check(NanRule::Exact, false, 1..2);
    }

    #[test]
    fn parameters_with_arithmetic_nans() {
        check(NanRule::Arithmetic, false, 2..3);
    }

    #[test]
    fn constants_with_canonical_nans() {
        check(NanRule::Exact, true, 3..4);
    }

    #[test]
    fn constants_with_arithmetic_nans() {
        check(NanRule::Arithmetic, true, 5..6);
    }
}
