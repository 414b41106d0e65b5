//! The comparison of two runs.
//!
//! The oracle's run comes first and sets the number of steps; the subject must have done the same. NaNs follow one of two
//! rules: [`NanRule::Exact`], both sides in the
//! [deterministic profile](https://webassembly.github.io/spec/core/appendix/profiles.html) (canonical NaNs), or
//! [`NanRule::Arithmetic`], where the oracle canonicalizes and the subject may give any arithmetic NaN instead.
//!
//! Invariant: equal runs give `Ok`, and the first difference by step is the one reported.
//!
//! Does not know: who is right.

use crate::value::{is_nan32, is_nan64};
use crate::{Ending, FuncIdentity, Poison, Run, State, Step, TrapClass, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How NaNs compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NanRule {
    /// By their bits.
    Exact,
    /// Where the oracle has a canonical NaN, any quiet NaN will do; elsewhere by bits.
    Arithmetic,
}

/// The first difference between two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The step: 0 is the instantiation, k the k-th call.
    pub step: usize,
    /// What differs, oracle first.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.step == 0 {
            write!(f, "at instantiation: {}", self.what)
        } else {
            write!(f, "at call {}: {}", self.step, self.what)
        }
    }
}

/// Compares the subject's run with the oracle's, over the steps that the oracle finished and the subject did not poison.
pub fn compare(oracle: &Run, subject: &Run, rule: NanRule) -> Result<(), Mismatch> {
    let mut traced = 0;
    for (step, expected) in oracle.steps.iter().enumerate() {
        let at = |what: String| Mismatch { step, what };
        let Some(actual) = subject.steps.get(step) else {
            return match subject.stopped {
                Some(Poison::Budget) => Err(at("the subject did not end, but the oracle did".into())),
                Some(_) => Ok(()),
                None => Err(at("the subject ended early".into())),
            };
        };
        endings(&expected.ending, &actual.ending, rule).map_err(at)?;
        offsets(expected, actual).map_err(at)?;
        trace(oracle, subject, traced, expected, actual, rule).map_err(at)?;
        traced = expected.trace_len;
        states(&expected.state, &actual.state, rule).map_err(at)?;
    }
    Ok(())
}

fn endings(expected: &Ending, actual: &Ending, rule: NanRule) -> Result<(), String> {
    match (expected, actual) {
        (Ending::Values(expected), Ending::Values(actual)) => values("result", expected, actual, rule),
        (Ending::Trap(expected), Ending::Trap(actual)) if expected == actual => Ok(()),
        (expected, actual) => Err(format!("{expected:?} against {actual:?}")),
    }
}

/// Two engines that know where a step trapped must agree on it. Where a host function fails, that is the host's business;
/// and a load that machine code does together with the operation on its value faults at that operation.
fn offsets(expected: &Step, actual: &Step) -> Result<(), String> {
    match (&expected.ending, expected.offset, actual.offset) {
        (Ending::Trap(TrapClass::Host | TrapClass::MemoryOutOfBounds) | Ending::Values(_), ..) => Ok(()),
        (Ending::Trap(class), Some(left), Some(right)) if left != right => {
            Err(format!("{class:?} at offset {left:#x} against {right:#x}"))
        }
        _ => Ok(()),
    }
}

fn trace(
    oracle: &Run,
    subject: &Run,
    from: usize,
    expected: &Step,
    actual: &Step,
    rule: NanRule,
) -> Result<(), String> {
    let left = &oracle.trace[from..expected.trace_len];
    let right = subject.trace.get(from..actual.trace_len).unwrap_or_default();
    for (position, (left, right)) in left.iter().zip(right).enumerate() {
        if left.func != right.func {
            return Err(format!("host call {position}: function {} against {}", left.func, right.func));
        }
        values(&format!("argument of host call {position}"), &left.args, &right.args, rule)?;
    }
    if left.len() == right.len() { Ok(()) } else { Err(format!("{} host calls against {}", left.len(), right.len())) }
}

fn states(expected: &State, actual: &State, rule: NanRule) -> Result<(), String> {
    values("global", &expected.globals, &actual.globals, rule)?;
    if expected.memories.len() != actual.memories.len() || expected.tables.len() != actual.tables.len() {
        return Err("different numbers of memories or tables".into());
    }
    for (index, (left, right)) in expected.memories.iter().zip(&actual.memories).enumerate() {
        if left.bytes != right.bytes {
            return Err(format!("memory {index}: {} bytes against {}", left.bytes, right.bytes));
        }
        if left.hash != right.hash {
            return Err(format!("memory {index}: different contents"));
        }
    }
    for (index, (left, right)) in expected.tables.iter().zip(&actual.tables).enumerate() {
        values(&format!("table {index} element"), left, right, rule)?;
    }
    Ok(())
}

fn values(what: &str, expected: &[Value], actual: &[Value], rule: NanRule) -> Result<(), String> {
    if expected.len() != actual.len() {
        return Err(format!("{what}: {} values against {}", expected.len(), actual.len()));
    }
    match expected.iter().zip(actual).position(|(expected, actual)| !same(expected, actual, rule)) {
        None => Ok(()),
        Some(index) => Err(format!("{what} {index}: {:x?} against {:x?}", expected[index], actual[index])),
    }
}

/// Whether the subject's value is one that the specification allows, given the oracle's.
fn same(expected: &Value, actual: &Value, rule: NanRule) -> bool {
    match (*expected, *actual) {
        (Value::F32(left), Value::F32(right)) if rule == NanRule::Arithmetic && is_nan32(left) => {
            left == right || (left & 0x7fff_ffff == 0x7fc0_0000 && right & 0x7fc0_0000 == 0x7fc0_0000)
        }
        (Value::F64(left), Value::F64(right)) if rule == NanRule::Arithmetic && is_nan64(left) => {
            const QUIET: u64 = 0x7ff8_0000_0000_0000;
            left == right || (left & (u64::MAX >> 1) == QUIET && right & QUIET == QUIET)
        }
        (Value::Func(left), Value::Func(right)) => match (left, right) {
            (FuncIdentity::Unknown, other) | (other, FuncIdentity::Unknown) => other != FuncIdentity::Null,
            (left, right) => left == right,
        },
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_rules() {
        let check =
            |rule, left, right, expected| assert_eq!(same(&left, &right, rule), expected, "{left:x?} {right:x?}");
        check(NanRule::Exact, Value::F32(0x7fc0_0000), Value::F32(0xffc0_0000), false);
        check(NanRule::Arithmetic, Value::F32(0x7fc0_0000), Value::F32(0xffc0_0001), true);
        check(NanRule::Arithmetic, Value::F32(0x7fc0_0000), Value::F32(0x7fa0_0000), false);
        check(NanRule::Arithmetic, Value::F32(0x7fa0_0000), Value::F32(0x7fe0_0000), false);
        check(NanRule::Arithmetic, Value::F64(0x7ff8_0000_0000_0000), Value::F64(0xfff8_0000_0000_0001), true);
        check(NanRule::Arithmetic, Value::F64(0), Value::F64(1 << 63), false);
        check(NanRule::Exact, Value::Func(FuncIdentity::Unknown), Value::Func(FuncIdentity::Index(1)), true);
        check(NanRule::Exact, Value::Func(FuncIdentity::Unknown), Value::Func(FuncIdentity::Null), false);
    }
}
