//! Minimization of a failing case: as little of it as still fails in the same way.
//!
//! The failure's signature ([`crate::targets::Outcome::signature`]) must stay. In turn: calls are dropped, settings take
//! their defaults, arguments become simple, then each module loses ranges of operations, or has them replaced by constants;
//! what changes nothing for the failure goes. Whoever asks decides whether a candidate runs in this process or, since it
//! may end it, in another.
//!
//! Invariant: the result has the signature of the start; every module in it is valid if it was.
//!
//! Does not know: engines, processes.

use crate::envelope::{Argument, Envelope};
use crate::pieces::{join, split};
use std::time::{Duration, Instant};
use wasm_encoder::{Encode, Instruction};
use wasmparser::{Validator, WasmFeatures};
use wattest_differential::Value;

/// Says how a case fails, if it does.
pub type Judge<'a> = dyn FnMut(&Envelope) -> Option<String> + 'a;

/// The smaller case, after at most `time`.
pub fn minimize(case: &Envelope, time: Duration, judge: &mut Judge<'_>) -> Envelope {
    let Some(signature) = judge(case) else { return case.clone() };
    let mut work = Minimization { best: case.clone(), signature, judge, deadline: Instant::now() + time };
    loop {
        let size = work.size();
        work.drop_calls();
        work.default_settings();
        for module in 0..work.best.modules.len() {
            work.drop_operations(module);
        }
        work.simplify_arguments();
        work.drop_unused();
        if work.size() >= size || work.is_late() {
            return work.best;
        }
    }
}

struct Minimization<'a, 'b> {
    best: Envelope,
    signature: String,
    judge: &'a mut Judge<'b>,
    deadline: Instant,
}

impl Minimization<'_, '_> {
    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn size(&self) -> usize {
        self.best.to_bytes().len()
    }

    fn accept(&mut self, candidate: Envelope) -> bool {
        if self.is_late() || candidate == self.best {
            return false;
        }
        let same = (self.judge)(&candidate).as_deref() == Some(self.signature.as_str());
        if same {
            self.best = candidate;
        }
        same
    }

    /// Drops ranges of calls, halves first.
    fn drop_calls(&mut self) {
        let mut length = self.best.calls.len().div_ceil(2);
        while length > 0 {
            let mut start = 0;
            while start < self.best.calls.len() && !self.is_late() {
                let mut candidate = self.best.clone();
                let end = (start + length).min(candidate.calls.len());
                candidate.calls.drain(start..end);
                if !self.accept(candidate) {
                    start += length;
                }
            }
            length = if length == 1 { 0 } else { length.div_ceil(2) };
        }
    }

    fn default_settings(&mut self) {
        for name in self.best.settings.keys().cloned().collect::<Vec<_>>() {
            let mut candidate = self.best.clone();
            candidate.settings.remove(&name);
            self.accept(candidate);
        }
    }

    fn simplify_arguments(&mut self) {
        for call in 0..self.best.calls.len() {
            for position in 0..self.best.calls[call].args.len() {
                let Argument::Value(value) = self.best.calls[call].args[position] else { continue };
                for simple in [Value::default_of(value.ty()), one_of(value)] {
                    let mut candidate = self.best.clone();
                    candidate.calls[call].args[position] = Argument::Value(simple);
                    if self.accept(candidate) {
                        break;
                    }
                }
            }
        }
    }

    /// Drops ranges of operations, halves first; single ones may become a constant.
    fn drop_operations(&mut self, module: usize) {
        let Some(bodies) = split(self.best.bytes(module)) else { return };
        for body in (0..bodies.len()).rev() {
            let mut length = bodies[body].operations.len().div_ceil(2);
            while length > 0 && !self.is_late() {
                self.drop_ranges(module, body, length);
                length = if length == 1 { 0 } else { length.div_ceil(2) };
            }
        }
    }

    fn drop_ranges(&mut self, module: usize, body: usize, length: usize) {
        let mut start = 0;
        while !self.is_late() {
            let Some(bodies) = split(self.best.bytes(module)) else { return };
            let count = bodies[body].operations.len();
            if start >= count {
                return;
            }
            let range = start..(start + length).min(count);
            let shorter = replacements(length).into_iter().any(|replacement| {
                let mut changed = bodies.clone();
                let old: usize = changed[body].operations[range.clone()].iter().map(Vec::len).sum();
                if replacement.iter().map(Vec::len).sum::<usize>() >= old {
                    return false;
                }
                changed[body].operations.splice(range.clone(), replacement);
                self.accept_module(module, join(self.best.bytes(module), &changed))
            });
            if !shorter {
                start += length;
            }
        }
    }

    fn accept_module(&mut self, module: usize, wasm: Vec<u8>) -> bool {
        if Validator::new_with_features(WasmFeatures::all()).validate_all(&wasm).is_err() {
            return false;
        }
        let mut candidate = self.best.clone();
        candidate.modules[module].bytes = wasm;
        self.accept(candidate)
    }

    /// Functions that do nothing any more lose their locals, and custom sections go.
    fn drop_unused(&mut self) {
        for module in 0..self.best.modules.len() {
            let Some(bodies) = split(self.best.bytes(module)) else { continue };
            for body in 0..bodies.len() {
                let mut changed = bodies.clone();
                changed[body].locals = vec![0];
                let wasm = join(self.best.bytes(module), &changed);
                if wasm.len() < self.best.bytes(module).len() {
                    self.accept_module(module, wasm);
                }
            }
            let plain = join(self.best.bytes(module), &split(self.best.bytes(module)).unwrap_or_default());
            if plain.len() < self.best.bytes(module).len() {
                self.accept_module(module, plain);
            }
        }
    }
}

/// What may stand for `length` operations.
fn replacements(length: usize) -> Vec<Vec<Vec<u8>>> {
    let operation = |instruction: Instruction<'_>| {
        let mut bytes = Vec::new();
        instruction.encode(&mut bytes);
        vec![bytes]
    };
    let mut all = vec![Vec::new()];
    if length <= 8 {
        all.extend([
            operation(Instruction::I32Const(0)),
            operation(Instruction::I64Const(0)),
            operation(Instruction::F32Const(0.0.into())),
            operation(Instruction::F64Const(0.0.into())),
            operation(Instruction::V128Const(0)),
            operation(Instruction::Drop),
            operation(Instruction::Unreachable),
        ]);
    }
    all
}

fn one_of(value: Value) -> Value {
    match value {
        Value::I32(_) => Value::I32(1),
        Value::I64(_) => Value::I64(1),
        Value::F32(_) => Value::F32(0x3f80_0000),
        Value::F64(_) => Value::F64(0x3ff0_0000_0000_0000),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::EnvelopeCall;

    #[test]
    fn only_what_fails_is_left() {
        let wasm = wat::parse_str(
            "(module (func (export \"f\") (param i32) (result i32)
                (drop (i32.add (local.get 0) (i32.const 3)))
                (i32.popcnt (i32.mul (local.get 0) (i32.const 9)))))",
        )
        .expect("valid text");
        let mut case = Envelope::new("diff_core").set("subject", 3).module("main", wasm);
        for argument in 0..10 {
            let args = vec![Argument::Value(Value::I32(argument))];
            case.calls.push(EnvelopeCall { module: 0, func: "0".to_owned(), args });
        }
        // Fails whenever a `popcnt` is left and there is a call.
        let mut judge = |case: &Envelope| {
            let popcnt = case.bytes(0).contains(&0x69);
            (popcnt && !case.calls.is_empty()).then(|| "popcnt".to_owned())
        };
        let small = minimize(&case, Duration::from_secs(5), &mut judge);
        assert_eq!(small.calls.len(), 1);
        assert!(small.settings.is_empty());
        let left = split(small.bytes(0)).expect("bodies")[0].operations.len();
        assert_eq!(left, 2, "an operand and the operation");
    }
}
