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
    /// Any NaN for any NaN: for two sides that both choose.
    Any,
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
        frames(expected, actual, rule).map_err(at)?;
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

/// Two engines that know where a step trapped must agree on it: out of bounds of a memory, too. A load that machine code
/// does together with the operation on its value faults at that operation, which is not before the load. Where a host
/// function fails, that is the host's business.
fn offsets(expected: &Step, actual: &Step) -> Result<(), String> {
    let (Ending::Trap(class), Some(left), Some(right)) = (&expected.ending, expected.offset, actual.offset) else {
        return Ok(());
    };
    let agree = match (expected.offset_is_late, actual.offset_is_late) {
        _ if *class == TrapClass::Host => true,
        (false, false) => left == right,
        (false, true) => left <= right,
        (true, false) => right <= left,
        (true, true) => true,
    };
    if agree { Ok(()) } else { Err(format!("{class:?} at offset {left:#x} against {right:#x}")) }
}

/// Two engines that know the frames of a trap must agree on them and on the locals in them, if NaNs have no choice.
fn frames(expected: &Step, actual: &Step, rule: NanRule) -> Result<(), String> {
    let (Some(left), Some(right), NanRule::Exact) = (&expected.frames, &actual.frames, rule) else { return Ok(()) };
    if left.len() != right.len() {
        return Err(format!("{} frames against {}", left.len(), right.len()));
    }
    match left.iter().zip(right).enumerate().find(|(_, (left, right))| left != right) {
        None => Ok(()),
        Some((index, (left, right))) => Err(format!("frame {index}: {left:x?} against {right:x?}")),
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
    segments("data", &expected.empty_data, &actual.empty_data)?;
    segments("element", &expected.empty_elements, &actual.empty_elements)
}

/// Two engines that know whether a segment is empty must agree on it.
fn segments(what: &str, expected: &[Option<bool>], actual: &[Option<bool>]) -> Result<(), String> {
    if expected.len() != actual.len() {
        return Err(format!("{} {what} segments against {}", expected.len(), actual.len()));
    }
    for (index, pair) in expected.iter().zip(actual).enumerate() {
        if let (Some(left), Some(right)) = pair
            && left != right
        {
            let say = |empty: &bool| if *empty { "empty" } else { "not empty" };
            return Err(format!("{what} segment {index}: {} against {}", say(left), say(right)));
        }
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
        (Value::F32(left), Value::F32(right)) if rule == NanRule::Any && is_nan32(left) => is_nan32(right),
        (Value::F64(left), Value::F64(right)) if rule == NanRule::Any && is_nan64(left) => is_nan64(right),
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
    use crate::Frame;

    #[test]
    fn places_of_traps_compare() {
        let step = |class, offset, offset_is_late| Step {
            ending: Ending::Trap(class),
            trace_len: 0,
            state: State::default(),
            operations: 0,
            offset,
            offset_is_late,
            frames: None,
        };
        let check = |class, left: (Option<u32>, bool), right: (Option<u32>, bool), expected: bool| {
            let found = offsets(&step(class, left.0, left.1), &step(class, right.0, right.1));
            assert_eq!(found.is_ok(), expected, "{class:?} {left:?} {right:?}: {found:?}");
        };
        use TrapClass::{Host, MemoryOutOfBounds, Unreachable};
        let exact = |offset| (Some(offset), false);
        let late = |offset| (Some(offset), true);
        check(Unreachable, exact(7), exact(8), false);
        check(MemoryOutOfBounds, exact(7), exact(8), false);
        check(MemoryOutOfBounds, exact(7), late(8), true);
        check(MemoryOutOfBounds, exact(7), late(6), false);
        check(MemoryOutOfBounds, late(6), exact(7), false);
        check(MemoryOutOfBounds, late(9), exact(7), true);
        check(MemoryOutOfBounds, exact(7), (None, false), true);
        check(Host, exact(7), exact(8), true);
    }

    #[test]
    fn frames_compare_where_both_sides_know() {
        let step = |frames: &[(u32, Option<u32>)]| Step {
            ending: Ending::Trap(TrapClass::Unreachable),
            trace_len: 0,
            state: State::default(),
            operations: 0,
            offset: None,
            offset_is_late: false,
            frames: (!frames.is_empty()).then(|| {
                let frame =
                    |(func, local): &(u32, Option<u32>)| Frame { func: *func, locals: vec![local.map(Value::I32)] };
                frames.iter().map(frame).collect()
            }),
        };
        let check = |right: &[(u32, Option<u32>)], rule, expected: bool| {
            let found = frames(&step(&[(1, Some(7))]), &step(right), rule);
            assert_eq!(found.is_ok(), expected, "{right:?}: {found:?}");
        };
        check(&[(1, Some(7))], NanRule::Exact, true);
        check(&[(1, Some(8))], NanRule::Exact, false);
        check(&[(1, None)], NanRule::Exact, false);
        check(&[(2, Some(7))], NanRule::Exact, false);
        check(&[(1, Some(7)), (2, None)], NanRule::Exact, false);
        check(&[(1, Some(8))], NanRule::Arithmetic, true);
        check(&[], NanRule::Exact, true);
    }

    #[test]
    fn segments_compare_where_both_sides_know() {
        let check = |left: &[Option<bool>], right: &[Option<bool>], expected: Result<(), &str>| {
            let state = |empty: &[Option<bool>]| State { empty_data: empty.to_vec(), ..State::default() };
            let found = states(&state(left), &state(right), NanRule::Exact);
            assert_eq!(found, expected.map_err(str::to_owned), "{left:?} {right:?}");
        };
        check(&[Some(true), None], &[Some(true), Some(false)], Ok(()));
        check(&[Some(true), Some(false)], &[None, Some(true)], Err("data segment 1: not empty against empty"));
        check(&[None], &[], Err("1 data segments against 0"));
    }

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
        check(NanRule::Any, Value::F32(0xffc0_0001), Value::F32(0x7fc0_0000), true);
        check(NanRule::Any, Value::F64(0x7ff8_0000_0000_0000), Value::F64(0), false);
        check(NanRule::Exact, Value::Func(FuncIdentity::Unknown), Value::Func(FuncIdentity::Index(1)), true);
        check(NanRule::Exact, Value::Func(FuncIdentity::Unknown), Value::Func(FuncIdentity::Null), false);
    }
}
