//! Memory accesses, as tables of rules.
//!
//! Each row is an instruction by its specified name, what it moves between memory and stack, and how: the operators
//! `bytes`, `extend` and `wrap` of
//! [storage](https://webassembly.github.io/spec/core/exec/numerics.html#storage) and the read-modify-write operators of
//! [threads](https://github.com/WebAssembly/threads).
//!
//! Invariant: bytes are in little-endian order; the width of an access is that of the type it moves.
//!
//! Does not know: memories, bounds, alignment.

use crate::numerics::Operand;
use crate::numerics::{Lane, make};
use crate::types::ValType;
use crate::value::Slot;

macro_rules! shared_parts {
    ($name:ident { $($op:ident($moved:ty) -> $value:ty;)* }) => {
        impl $name {
            /// The rule of an instruction, if it is in this table, and its immediate.
            #[must_use]
            pub fn of(operator: &wasmparser::Operator<'_>) -> Option<($name, wasmparser::MemArg)> {
                match operator {
                    $(wasmparser::Operator::$op { memarg } => Some(($name::$op, *memarg)),)*
                    _ => None,
                }
            }

            /// How many bytes it moves.
            #[must_use]
            pub fn bytes(self) -> u32 {
                match self {
                    $($name::$op => <$moved as Lane>::BITS / 8,)*
                }
            }

            /// The type on the stack.
            #[must_use]
            pub fn value_type(self) -> ValType {
                match self {
                    $($name::$op => <$value as Operand>::TYPE,)*
                }
            }
        }
    };
}

macro_rules! loads {
    ($(#[$doc:meta])* $name:ident { $($op:ident($raw:ident: $moved:ty) -> $value:ty $body:block)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", stringify!($op), "`.")] $op,)*
        }

        shared_parts!($name { $($op($moved) -> $value;)* });

        impl $name {
            /// The value that the bytes `raw` (zero-extended) mean.
            #[inline(always)]
            #[must_use]
            pub fn value(self, raw: u128) -> Slot {
                match self {
                    $($name::$op => {
                        let $raw = <$moved as Lane>::of_bits(raw);
                        let value: $value = $body;
                        value.slot()
                    })*
                }
            }
        }
    };
}

macro_rules! stores {
    ($(#[$doc:meta])* $name:ident { $($op:ident($arg:ident: $value:ty) -> $moved:ty $body:block)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", stringify!($op), "`.")] $op,)*
        }

        shared_parts!($name { $($op($moved) -> $value;)* });

        impl $name {
            /// The bytes (zero-extended) that mean a value.
            #[inline(always)]
            #[must_use]
            pub fn raw(self, value: Slot) -> u128 {
                match self {
                    $($name::$op => {
                        let $arg = <$value as Operand>::of_slot(value);
                        let moved: $moved = $body;
                        Lane::bits(moved)
                    })*
                }
            }
        }
    };
}

macro_rules! updates {
    ($(#[$doc:meta])* $name:ident { $($op:ident($old:ident: $moved:ty, $x:ident) -> $value:ty $body:block)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", stringify!($op), "`.")] $op,)*
        }

        shared_parts!($name { $($op($moved) -> $value;)* });

        impl $name {
            /// The bytes that replace `old`, given the operand; both zero-extended.
            #[must_use]
            pub fn replacement(self, old: u128, operand: Slot) -> u128 {
                match self {
                    $($name::$op => {
                        let $old = <$moved as Lane>::of_bits(old);
                        let $x = <$moved as Lane>::of_bits(operand);
                        let new: $moved = $body;
                        Lane::bits(new)
                    })*
                }
            }
        }
    };
}

loads! {
    /// A load.
    Load {
        I32Load(raw: u32) -> u32 { raw }
        I64Load(raw: u64) -> u64 { raw }
        F32Load(raw: u32) -> f32 { f32::from_bits(raw) }
        F64Load(raw: u64) -> f64 { f64::from_bits(raw) }
        I32Load8S(raw: u8) -> i32 { i32::from(raw as i8) }
        I32Load8U(raw: u8) -> u32 { u32::from(raw) }
        I32Load16S(raw: u16) -> i32 { i32::from(raw as i16) }
        I32Load16U(raw: u16) -> u32 { u32::from(raw) }
        I64Load8S(raw: u8) -> i64 { i64::from(raw as i8) }
        I64Load8U(raw: u8) -> u64 { u64::from(raw) }
        I64Load16S(raw: u16) -> i64 { i64::from(raw as i16) }
        I64Load16U(raw: u16) -> u64 { u64::from(raw) }
        I64Load32S(raw: u32) -> i64 { i64::from(raw as i32) }
        I64Load32U(raw: u32) -> u64 { u64::from(raw) }
        V128Load(raw: u128) -> u128 { raw }
        V128Load8x8S(raw: u64) -> u128 { make(|at| i16::from(i8::at(raw.into(), at))) }
        V128Load8x8U(raw: u64) -> u128 { make(|at| u16::from(u8::at(raw.into(), at))) }
        V128Load16x4S(raw: u64) -> u128 { make(|at| i32::from(i16::at(raw.into(), at))) }
        V128Load16x4U(raw: u64) -> u128 { make(|at| u32::from(u16::at(raw.into(), at))) }
        V128Load32x2S(raw: u64) -> u128 { make(|at| i64::from(i32::at(raw.into(), at))) }
        V128Load32x2U(raw: u64) -> u128 { make(|at| u64::from(u32::at(raw.into(), at))) }
        V128Load8Splat(raw: u8) -> u128 { make(|_| raw) }
        V128Load16Splat(raw: u16) -> u128 { make(|_| raw) }
        V128Load32Splat(raw: u32) -> u128 { make(|_| raw) }
        V128Load64Splat(raw: u64) -> u128 { make(|_| raw) }
        V128Load32Zero(raw: u32) -> u128 { raw.into() }
        V128Load64Zero(raw: u64) -> u128 { raw.into() }
    }
}

loads! {
    /// An atomic load.
    AtomicLoad {
        I32AtomicLoad(raw: u32) -> u32 { raw }
        I64AtomicLoad(raw: u64) -> u64 { raw }
        I32AtomicLoad8U(raw: u8) -> u32 { u32::from(raw) }
        I32AtomicLoad16U(raw: u16) -> u32 { u32::from(raw) }
        I64AtomicLoad8U(raw: u8) -> u64 { u64::from(raw) }
        I64AtomicLoad16U(raw: u16) -> u64 { u64::from(raw) }
        I64AtomicLoad32U(raw: u32) -> u64 { u64::from(raw) }
    }
}

stores! {
    /// A store.
    Store {
        I32Store(value: u32) -> u32 { value }
        I64Store(value: u64) -> u64 { value }
        F32Store(value: f32) -> u32 { value.to_bits() }
        F64Store(value: f64) -> u64 { value.to_bits() }
        V128Store(value: u128) -> u128 { value }
        I32Store8(value: u32) -> u8 { value as u8 }
        I32Store16(value: u32) -> u16 { value as u16 }
        I64Store8(value: u64) -> u8 { value as u8 }
        I64Store16(value: u64) -> u16 { value as u16 }
        I64Store32(value: u64) -> u32 { value as u32 }
    }
}

stores! {
    /// An atomic store.
    AtomicStore {
        I32AtomicStore(value: u32) -> u32 { value }
        I64AtomicStore(value: u64) -> u64 { value }
        I32AtomicStore8(value: u32) -> u8 { value as u8 }
        I32AtomicStore16(value: u32) -> u16 { value as u16 }
        I64AtomicStore8(value: u64) -> u8 { value as u8 }
        I64AtomicStore16(value: u64) -> u16 { value as u16 }
        I64AtomicStore32(value: u64) -> u32 { value as u32 }
    }
}

updates! {
    /// An atomic read-modify-write.
    Update {
        I32AtomicRmwAdd(old: u32, x) -> u32 { old.wrapping_add(x) }
        I32AtomicRmwSub(old: u32, x) -> u32 { old.wrapping_sub(x) }
        I32AtomicRmwAnd(old: u32, x) -> u32 { old & x }
        I32AtomicRmwOr(old: u32, x) -> u32 { old | x }
        I32AtomicRmwXor(old: u32, x) -> u32 { old ^ x }
        I32AtomicRmwXchg(_old: u32, x) -> u32 { x }
        I32AtomicRmw8AddU(old: u8, x) -> u32 { old.wrapping_add(x) }
        I32AtomicRmw8SubU(old: u8, x) -> u32 { old.wrapping_sub(x) }
        I32AtomicRmw8AndU(old: u8, x) -> u32 { old & x }
        I32AtomicRmw8OrU(old: u8, x) -> u32 { old | x }
        I32AtomicRmw8XorU(old: u8, x) -> u32 { old ^ x }
        I32AtomicRmw8XchgU(_old: u8, x) -> u32 { x }
        I32AtomicRmw16AddU(old: u16, x) -> u32 { old.wrapping_add(x) }
        I32AtomicRmw16SubU(old: u16, x) -> u32 { old.wrapping_sub(x) }
        I32AtomicRmw16AndU(old: u16, x) -> u32 { old & x }
        I32AtomicRmw16OrU(old: u16, x) -> u32 { old | x }
        I32AtomicRmw16XorU(old: u16, x) -> u32 { old ^ x }
        I32AtomicRmw16XchgU(_old: u16, x) -> u32 { x }
        I64AtomicRmwAdd(old: u64, x) -> u64 { old.wrapping_add(x) }
        I64AtomicRmwSub(old: u64, x) -> u64 { old.wrapping_sub(x) }
        I64AtomicRmwAnd(old: u64, x) -> u64 { old & x }
        I64AtomicRmwOr(old: u64, x) -> u64 { old | x }
        I64AtomicRmwXor(old: u64, x) -> u64 { old ^ x }
        I64AtomicRmwXchg(_old: u64, x) -> u64 { x }
        I64AtomicRmw8AddU(old: u8, x) -> u64 { old.wrapping_add(x) }
        I64AtomicRmw8SubU(old: u8, x) -> u64 { old.wrapping_sub(x) }
        I64AtomicRmw8AndU(old: u8, x) -> u64 { old & x }
        I64AtomicRmw8OrU(old: u8, x) -> u64 { old | x }
        I64AtomicRmw8XorU(old: u8, x) -> u64 { old ^ x }
        I64AtomicRmw8XchgU(_old: u8, x) -> u64 { x }
        I64AtomicRmw16AddU(old: u16, x) -> u64 { old.wrapping_add(x) }
        I64AtomicRmw16SubU(old: u16, x) -> u64 { old.wrapping_sub(x) }
        I64AtomicRmw16AndU(old: u16, x) -> u64 { old & x }
        I64AtomicRmw16OrU(old: u16, x) -> u64 { old | x }
        I64AtomicRmw16XorU(old: u16, x) -> u64 { old ^ x }
        I64AtomicRmw16XchgU(_old: u16, x) -> u64 { x }
        I64AtomicRmw32AddU(old: u32, x) -> u64 { old.wrapping_add(x) }
        I64AtomicRmw32SubU(old: u32, x) -> u64 { old.wrapping_sub(x) }
        I64AtomicRmw32AndU(old: u32, x) -> u64 { old & x }
        I64AtomicRmw32OrU(old: u32, x) -> u64 { old | x }
        I64AtomicRmw32XorU(old: u32, x) -> u64 { old ^ x }
        I64AtomicRmw32XchgU(_old: u32, x) -> u64 { x }
    }
}

updates! {
    /// An atomic compare and exchange; its row is the exchange.
    Exchange {
        I32AtomicRmwCmpxchg(_old: u32, x) -> u32 { x }
        I32AtomicRmw8CmpxchgU(_old: u8, x) -> u32 { x }
        I32AtomicRmw16CmpxchgU(_old: u16, x) -> u32 { x }
        I64AtomicRmwCmpxchg(_old: u64, x) -> u64 { x }
        I64AtomicRmw8CmpxchgU(_old: u8, x) -> u64 { x }
        I64AtomicRmw16CmpxchgU(_old: u16, x) -> u64 { x }
        I64AtomicRmw32CmpxchgU(_old: u32, x) -> u64 { x }
    }
}

/// A load or store of one lane: bytes, memory immediate, lane, whether it is a store.
#[must_use]
pub fn lane_access(operator: &wasmparser::Operator<'_>) -> Option<(u8, wasmparser::MemArg, u8, bool)> {
    use wasmparser::Operator as O;
    Some(match *operator {
        O::V128Load8Lane { memarg, lane } => (1, memarg, lane, false),
        O::V128Load16Lane { memarg, lane } => (2, memarg, lane, false),
        O::V128Load32Lane { memarg, lane } => (4, memarg, lane, false),
        O::V128Load64Lane { memarg, lane } => (8, memarg, lane, false),
        O::V128Store8Lane { memarg, lane } => (1, memarg, lane, true),
        O::V128Store16Lane { memarg, lane } => (2, memarg, lane, true),
        O::V128Store32Lane { memarg, lane } => (4, memarg, lane, true),
        O::V128Store64Lane { memarg, lane } => (8, memarg, lane, true),
        _ => return None,
    })
}
