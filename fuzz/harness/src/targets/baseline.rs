//! The baseline lane: what the usual differential harness does.
//!
//! wasm-smith modules that end by an injected counter, no imports, each export called with a few constants, results and
//! exported globals and memories compared with wasmi in one configuration, traps by class, NaNs all alike. It stands beside
//! the targets in the kill matrix, so that their figures mean something.
//!
//! Invariant: nothing that is not exported is looked at.
//!
//! Does not know: planted faults.

use super::{Outcome, Target};
use crate::diff_core::Checker;
use crate::envelope::Envelope;
use crate::smith;
use crate::source::{Source, expand};
use wattest_differential::{Call, Form, NanRule, Plan, Program, Value, ValueType};

/// Times each export is called, with one of five constants for each parameter.
const CALLS: u32 = 5;

/// The target.
#[derive(Default)]
pub(super) struct Baseline {
    checker: Checker,
}

/// The usual five: the least number, -1, 0, 1 and the greatest.
fn constant(ty: ValueType, number: usize) -> Value {
    let integer = [i64::MIN, -1, 0, 1, i64::MAX][number];
    let float = [f64::MIN, -1.0, 0.0, 1.0, f64::MAX][number];
    match ty {
        ValueType::I32 => Value::I32([i32::MIN, -1, 0, 1, i32::MAX][number] as u32),
        ValueType::I64 => Value::I64(integer as u64),
        ValueType::F32 => Value::F32([f32::MIN, -1.0, 0.0, 1.0, f32::MAX][number].to_bits()),
        ValueType::F64 => Value::F64(float.to_bits()),
        ValueType::V128 => Value::V128(i128::from(integer) as u128),
        other => Value::default_of(other),
    }
}

impl Target for Baseline {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let choices = source.u64();
        let wasm = smith::generate_counted(&mut source)?;
        Some(Envelope::new(super::BASELINE).set("constants", choices).module("main", wasm))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Ok(program) = Program::new(case.bytes(0).to_vec()) else { return Outcome::default() };
        let mut calls = Vec::new();
        let choices = expand(case.number("constants", 0));
        let mut source = Source::new(&choices);
        for _ in 0..CALLS {
            for (func, name) in program.shape.export_names.iter().enumerate() {
                if name.is_some() {
                    let params = program.shape.functions[func].params.iter();
                    let args = params.map(|ty| constant(*ty, source.below(5))).collect();
                    calls.push(Call { func: func as u32, args });
                }
            }
        }
        let plan = Plan {
            calls,
            form: Form::Original,
            // As usual harnesses have it: the runtime canonicalizes, wasm-smith alone does not catch all of them.
            nans: NanRule::Exact,
            acting_host: false,
            host_seed: 0,
            steps_max: 1_000_000,
            capture: None,
            state_every: 1,
        };
        let found = self.checker.check_exported(&program, &plan);
        Outcome {
            checks: 1,
            useful: true,
            disagreement: found.map(|found| (found, super::nobody())),
            ..Outcome::default()
        }
    }
}
