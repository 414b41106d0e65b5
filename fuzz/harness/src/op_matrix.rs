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
use crate::diff_core::{Checker, subject_count};
use crate::generate::ops::{Care, Op, Table};
use crate::generate::{GENERATOR_VERSION, val_type};
use crate::quarantine;
use crate::source::{Source, expand};
use std::collections::BTreeMap;
use wasm_encoder::{
    CodeSection, Encode, ExportKind, ExportSection, Function, FunctionSection, Instruction, Module, TypeSection,
};
use wattest_differential::{Call, Form, NanRule, Plan, Program, Value, ValueType};

/// Argument vectors per operation.
const VECTORS: usize = 56;

/// The case for a subject: all operations once, with operands from parameters or from constants. With
/// [`NanRule::Arithmetic`], operations whose vector results hold NaNs that engines may choose are left out.
pub fn case(subject: usize, nans: NanRule, constants: bool, seed: u64) -> Option<Case> {
    part(subject, nans, constants, seed, 0, usize::MAX)
}

/// The same with `count` operations only, from the `first`-th on, modulo their number.
pub fn part(subject: usize, nans: NanRule, constants: bool, seed: u64, first: usize, count: usize) -> Option<Case> {
    let bytes = expand(seed);
    let extra = expand(seed ^ 0x5eed);
    let mut source = Source::new(&bytes);
    let mut builder = Builder::default();
    let rows = &Table::get().rows;
    let turn = rows.iter().cycle().skip(first % rows.len().max(1)).take(count.min(rows.len()));
    for row in turn {
        let (Some(result), Op::Plain { params, instruction, care }) = (row.result, &row.op) else { continue };
        if leaves_out(nans, *care) {
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
    let plan =
        Plan { calls, form, nans, acting_host: false, host_seed: 0, steps_max: 1000, capture: None, state_every: 1 };
    let recipe = Recipe { seed: None, generator: GENERATOR_VERSION, origin: Origin::Typed, subject, plan };
    let count = signatures.len() as u32;
    Some(Case { recipe, program, functions: count, operations: count, donor: None })
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

/// What the matrix said.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct MatrixResult {
    /// Calls compared.
    pub checks: u64,
    /// How often each operation was executed with boundary operands.
    pub executions: BTreeMap<String, u64>,
    /// Operations that disagree, by subject: one line each.
    pub disagreements: Vec<String>,
}

/// The four ways to set the matrix up: how NaNs compare, and whether operands are constants.
pub const VARIANTS: [(NanRule, bool); 4] =
    [(NanRule::Exact, false), (NanRule::Arithmetic, false), (NanRule::Exact, true), (NanRule::Arithmetic, true)];

/// The operations of [`case`], by function index.
fn names(nans: NanRule) -> Vec<String> {
    let rows = Table::get().rows.iter().filter(|row| row.result.is_some());
    let plain = rows.filter_map(|row| match &row.op {
        Op::Plain { instruction, care, .. } if !leaves_out(nans, *care) => Some(format!("{instruction:?}")),
        _ => None,
    });
    plain.collect()
}

/// Whether an operation's results hold NaNs that engines may choose, and bits are compared.
fn leaves_out(nans: NanRule, care: Care) -> bool {
    nans == NanRule::Arithmetic && matches!(care, Care::Lanes32 | Care::Lanes64 | Care::Leak)
}

/// Runs one variant on every configuration. All operations that disagree are listed, each with its first bad call.
pub fn run(nans: NanRule, constants: bool, seed: u64) -> MatrixResult {
    let mut checker = Checker::new();
    let mut result = MatrixResult::default();
    for subject in 0..subject_count() {
        let Some(mut case) = case(subject, nans, constants, seed) else {
            result.disagreements.push("the matrix is no module".into());
            return result;
        };
        let names = names(nans);
        for call in &case.recipe.plan.calls {
            let name = names.get(call.func as usize).cloned().unwrap_or_default();
            *result.executions.entry(name).or_default() += 1;
        }
        loop {
            let outcome = checker.check(&case);
            result.checks += outcome.checks;
            let Some(found) = outcome.disagreement else { break };
            if quarantine::explain(&mut checker, &case, &found).is_none() {
                result.disagreements.push(format!("{}: {}", found.subject, found.what));
            }
            // The calls of one function do not touch the others: go on without it.
            let Some(step) = found.step.filter(|step| *step > 0) else { break };
            let func = case.recipe.plan.calls[step - 1].func;
            case.recipe.plan.calls.retain(|call| call.func != func);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variant: usize, seed: u64) {
        let (nans, constants) = VARIANTS[variant];
        let result = run(nans, constants, seed);
        let wrong = &result.disagreements;
        assert!(wrong.is_empty(), "{} operations disagree:\n{}", wrong.len(), wrong.join("\n"));
        assert!(result.checks > 1000);
    }

    #[test]
    fn parameters_with_canonical_nans() {
        check(0, 1);
    }

    #[test]
    fn parameters_with_arithmetic_nans() {
        check(1, 2);
    }

    #[test]
    fn constants_with_canonical_nans() {
        check(2, 3);
    }

    #[test]
    fn constants_with_arithmetic_nans() {
        check(3, 4);
    }
}
