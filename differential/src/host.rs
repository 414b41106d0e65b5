//! The pure host: what imported functions and globals give, the same in every engine.
//!
//! A host function is a function of (seed, import, number of the call, arguments) and of nothing else; every call is
//! recorded. NaN arguments count as one value, since their bits may differ between correct engines
//! ([spec](https://webassembly.github.io/spec/core/exec/numerics.html#nan-propagation)).
//!
//! Invariant: two hosts with the same seed that see equal calls in the same order answer equally.
//!
//! Does not know: engines.

use crate::value::{is_nan32, is_nan64};
use crate::{FuncIdentity, HostCall, Value, ValueType};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Recorder and oracle of host functions.
#[derive(Clone, Debug, Default)]
pub struct Host {
    seed: u64,
    /// Calls so far.
    pub trace: Vec<HostCall>,
}

impl Host {
    /// A fresh host.
    pub fn new(seed: u64) -> Host {
        Host { seed, trace: Vec::new() }
    }

    /// Records a call of import `func` and gives its results, or `None` where the host function fails (one call in 64).
    pub fn call(&mut self, func: u32, args: Vec<Value>, results: &[ValueType]) -> Option<Vec<Value>> {
        let mut state = self.seed ^ u64::from(func).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state = mix(state, self.trace.len() as u64);
        for value in &args {
            state = absorb(state, value);
        }
        self.trace.push(HostCall { func, args });
        if state % 64 == 63 {
            return None;
        }
        Some(
            results.iter().enumerate().map(|(position, ty)| value_from(mix(state, position as u64 + 1), *ty)).collect(),
        )
    }

    /// Initial value of an imported global.
    pub fn global(&self, index: u32, ty: ValueType) -> Value {
        value_from(mix(self.seed, u64::from(index) + 0x1000), ty)
    }
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
