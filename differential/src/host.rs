//! The pure host: what imported functions and globals give, the same in every engine.
//!
//! A host function is a function of (seed, import, number of the call, arguments) and of nothing else; every call is
//! recorded. NaN arguments count as one value, since their bits may differ between correct engines
//! ([spec](https://webassembly.github.io/spec/core/exec/numerics.html#nan-propagation)).
//!
//! A host function may also act on the instance that calls it ([`Action`]): grow or write an exported memory, or call an
//! exported function back. That, too, depends on nothing else.
//!
//! Invariant: two hosts with the same seed that see equal calls in the same order answer equally.
//!
//! Does not know: engines.

use crate::value::{is_nan32, is_nan64};
use crate::{FuncIdentity, HostCall, Poison, TrapClass, Value, ValueType};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a host function does to the instance that calls it, before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Grows the memory that [`crate::Shape::host_memory`] names by one page.
    Grow,
    /// Writes a byte to that memory, at an address modulo its size.
    Write(u64, u8),
    /// Calls the function that [`crate::Shape::callback`] names, with arguments drawn from this seed.
    CallBack(u64),
}

/// How a host function answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What it does first.
    pub action: Action,
    /// Its results; `None` where it fails.
    pub results: Option<Vec<Value>>,
}

/// Marks the record of a callback's outcome in the trace.
pub const CALLBACK_RECORD: u32 = u32::MAX;

/// The first value of the record of a callback that ended in no values.
pub(crate) const TRAPPED: u32 = u32::MAX;

/// How a callback ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallbackEnd {
    /// With these results.
    Values(Vec<Value>),
    /// In a trap.
    Trap(TrapClass),
    /// For a reason that is not the module's.
    Poison(Poison),
}

impl CallbackEnd {
    /// What an engine's classification of an error says; an error that has none is given back.
    pub(crate) fn of<E>(
        ended: Result<Vec<Value>, E>,
        classify: impl FnOnce(&E) -> Result<TrapClass, Option<Poison>>,
    ) -> Result<CallbackEnd, E> {
        let error = match ended {
            Ok(values) => return Ok(CallbackEnd::Values(values)),
            Err(error) => error,
        };
        match classify(&error) {
            Ok(class) => Ok(CallbackEnd::Trap(class)),
            Err(Some(poison)) => Ok(CallbackEnd::Poison(poison)),
            Err(None) => Err(error),
        }
    }
}

/// Recorder and oracle of host functions.
#[derive(Clone, Debug, Default)]
pub struct Host {
    seed: u64,
    acting: bool,
    calling_back: bool,
    /// Calls so far.
    pub trace: Vec<HostCall>,
    /// Why a callback stopped before its end: what follows it is not comparable, however the call that it is part of ends.
    pub stopped: Option<Poison>,
}

impl Host {
    /// A fresh host; `acting` if its functions act on instances.
    pub fn new(seed: u64, acting: bool) -> Host {
        Host { seed, acting, ..Host::default() }
    }

    /// Records a call of import `func` and gives its answer: it fails one time in 64, and acts one time in four.
    pub fn call(&mut self, func: u32, args: Vec<Value>, results: &[ValueType]) -> Answer {
        let mut state = self.seed ^ u64::from(func).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state = mix(state, self.trace.len() as u64);
        for value in &args {
            state = absorb(state, value);
        }
        self.trace.push(HostCall { func, args });
        let action = match (state >> 32) & 0xf {
            _ if !self.acting => Action::Nothing,
            0 => Action::Grow,
            1 => Action::Write(mix(state, 0xadd), state as u8),
            // A callback inside a callback could go on for ever.
            2 | 3 if !self.calling_back => Action::CallBack(mix(state, 0xca11)),
            _ => Action::Nothing,
        };
        let results = (state % 64 != 63).then(|| arguments(state, results));
        Answer { action, results }
    }

    /// Notes that a callback begins.
    pub fn callback_begins(&mut self) {
        self.calling_back = true;
    }

    /// Records how a callback ended: with values, in a trap, or for a reason that is not the module's.
    pub fn callback_ends(&mut self, ended: CallbackEnd) {
        self.calling_back = false;
        let args = match ended {
            CallbackEnd::Values(values) => values,
            CallbackEnd::Trap(class) => vec![Value::I32(TRAPPED), Value::I32(class as u32)],
            CallbackEnd::Poison(poison) => {
                self.stopped = self.stopped.or(Some(poison));
                vec![Value::I32(TRAPPED)]
            }
        };
        self.trace.push(HostCall { func: CALLBACK_RECORD, args });
    }

    /// Initial value of an imported global.
    pub fn global(&self, index: u32, ty: ValueType) -> Value {
        value_from(mix(self.seed, u64::from(index) + 0x1000), ty)
    }
}

/// Values of these types, drawn from a seed.
pub(crate) fn arguments(seed: u64, types: &[ValueType]) -> Vec<Value> {
    types.iter().enumerate().map(|(position, ty)| value_from(mix(seed, position as u64 + 1), *ty)).collect()
}

fn mix(state: u64, word: u64) -> u64 {
    xxh3_64_with_seed(&word.to_le_bytes(), state)
}

fn absorb(state: u64, value: &Value) -> u64 {
    match *value {
        Value::I32(bits) => mix(state, u64::from(bits)),
        Value::I64(bits) => mix(state, bits),
        Value::F32(bits) => mix(state, if is_nan32(bits) { 0x7fc0_0000 } else { u64::from(bits) }),
        Value::F64(bits) => mix(state, if is_nan64(bits) { 0x7ff8_0000_0000_0000 } else { bits }),
        Value::V128(bits) => mix(mix(state, bits as u64), (bits >> 64) as u64),
        Value::Func(FuncIdentity::Null) | Value::Extern(None) => mix(state, 1),
        Value::Func(_) => mix(state, 2),
        Value::Extern(Some(payload)) => mix(state, u64::from(payload) + 3),
    }
}

/// Half of the values are boundary values, so that comparisons inside the module go both ways.
fn value_from(hash: u64, ty: ValueType) -> Value {
    const WORDS: [u64; 8] =
        [0, 1, u64::MAX, 0x8000_0000_8000_0000, 0x7fff_ffff, 0x3ff0_0000_3f80_0000, 0x7ff0_0000_0000_0000, 0x7f80_0000];
    let word = if hash >> 63 == 0 { WORDS[(hash % 8) as usize] } else { hash.rotate_left(17) };
    match ty {
        ValueType::I32 => Value::I32(word as u32),
        ValueType::I64 => Value::I64(word),
        ValueType::F32 => Value::F32(if is_nan32(word as u32) { 0x7fc0_0000 } else { word as u32 }),
        ValueType::F64 => Value::F64(if is_nan64(word) { 0x7ff8_0000_0000_0000 } else { word }),
        ValueType::V128 => Value::V128(u128::from(word) << 64 | u128::from(hash)),
        ValueType::FuncRef => Value::Func(FuncIdentity::Null),
        ValueType::ExternRef => Value::Extern((!hash.is_multiple_of(4)).then_some(hash as u32 & 0xff)),
    }
}
