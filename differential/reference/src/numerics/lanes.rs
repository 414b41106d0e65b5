//! Lanes of vectors, and the rules of the instructions that name one.
//!
//! [Vector operations](https://webassembly.github.io/spec/core/exec/numerics.html#vector-operations): `lanes` and its
//! inverse, and operators applied to each lane.
//!
//! Invariant: lane 0 is in the low bits.
//!
//! Does not know: which operator is applied.

use crate::numerics::{Operand, Outcome, Signature, pop_n};
use crate::value::Slot;

/// A type that lanes are read as.
pub(crate) trait Lane: Copy {
    /// Its width.
    const BITS: u32;
    /// From the low bits.
    fn of_bits(bits: u128) -> Self;
    /// To the low bits, zero-extended.
    fn bits(self) -> u128;

    /// Lane `lane` of a vector.
    fn at(vector: u128, lane: u32) -> Self {
        Self::of_bits(vector >> (lane * Self::BITS))
    }

    /// The vector with its lane `lane` replaced.
    fn put(self, vector: u128, lane: u32) -> u128 {
        let mask = (u128::MAX >> (128 - Self::BITS)) << (lane * Self::BITS);
        vector & !mask | self.bits() << (lane * Self::BITS)
    }
}

macro_rules! lane_types {
    ($($ty:ty, $bits:literal, $of:expr, $to:expr;)*) => {$(
        impl Lane for $ty {
            const BITS: u32 = $bits;
            fn of_bits(bits: u128) -> $ty {
                ($of)(bits)
            }
            fn bits(self) -> u128 {
                ($to)(self)
            }
        }
    )*};
}

lane_types! {
    u8, 8, |bits| bits as u8, u128::from;
    i8, 8, |bits| bits as i8, |value| u128::from(value as u8);
    u16, 16, |bits| bits as u16, u128::from;
    i16, 16, |bits| bits as i16, |value| u128::from(value as u16);
    u32, 32, |bits| bits as u32, u128::from;
    i32, 32, |bits| bits as i32, |value| u128::from(value as u32);
    u64, 64, |bits| bits as u64, u128::from;
    i64, 64, |bits| bits as i64, |value| u128::from(value as u64);
    f32, 32, |bits| f32::from_bits(bits as u32), |value: f32| u128::from(value.to_bits());
    f64, 64, |bits| f64::from_bits(bits as u64), |value: f64| u128::from(value.to_bits());
    u128, 128, |bits| bits, |value| value;
}

/// A vector made lane by lane.
pub(crate) fn make<R: Lane>(lane: impl Fn(u32) -> R) -> u128 {
    (0..128 / R::BITS).fold(0, |vector, at| vector | lane(at).bits() << (at * R::BITS))
}

/// An operator applied to each lane.
pub(crate) fn map<A: Lane, R: Lane>(a: u128, f: impl Fn(A) -> R) -> u128 {
    make(|at| f(A::at(a, at)))
}

/// An operator applied to each pair of lanes.
pub(crate) fn zip<A: Lane, R: Lane>(a: u128, b: u128, f: impl Fn(A, A) -> R) -> u128 {
    make(|at| f(A::at(a, at), A::at(b, at)))
}

macro_rules! lane_rules {
    ($($op:ident($($arg:ident: $ty:ty),*) [$lane:ident: $lane_ty:ty] -> $ret:ty $body:block)*) => {
        /// An instruction that names a lane.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LaneAccess {
            $(#[doc = concat!("`", stringify!($op), "`.")] $op,)*
        }

        impl LaneAccess {
            /// The rule of an instruction, if it is in this table, and the lane.
            #[must_use]
            pub fn of(operator: &wasmparser::Operator<'_>) -> Option<(LaneAccess, u8)> {
                match operator {
                    $(wasmparser::Operator::$op { lane } => Some((LaneAccess::$op, *lane)),)*
                    _ => None,
                }
            }

            /// Its type.
            #[must_use]
            pub fn signature(self) -> Signature {
                match self {
                    $(LaneAccess::$op => (&[$(<$ty as Operand>::TYPE),*], <$ret as Outcome>::TYPES),)*
                }
            }

            /// How many lanes the shape has.
            #[must_use]
            pub fn lanes(self) -> u32 {
                match self {
                    $(LaneAccess::$op => 128 / <$lane_ty as Lane>::BITS,)*
                }
            }

            /// Reduces it with its operands on `stack`.
            pub fn reduce(self, lane: u8, stack: &mut Vec<Slot>) {
                let lane = u32::from(lane);
                match self {
                    $(LaneAccess::$op => {
                        let [$($arg),*] = pop_n(stack);
                        $(let $arg = <$ty as Operand>::of_slot($arg);)*
                        let $lane = lane;
                        let result: $ret = $body;
                        stack.push(result.slot());
                    })*
                }
            }
        }
    };
}

lane_rules! {
    I8x16ExtractLaneS(a: u128) [lane: i8] -> i32 { i32::from(i8::at(a, lane)) }
    I8x16ExtractLaneU(a: u128) [lane: u8] -> u32 { u32::from(u8::at(a, lane)) }
    I8x16ReplaceLane(a: u128, b: u32) [lane: u8] -> u128 { (b as u8).put(a, lane) }
    I16x8ExtractLaneS(a: u128) [lane: i16] -> i32 { i32::from(i16::at(a, lane)) }
    I16x8ExtractLaneU(a: u128) [lane: u16] -> u32 { u32::from(u16::at(a, lane)) }
    I16x8ReplaceLane(a: u128, b: u32) [lane: u16] -> u128 { (b as u16).put(a, lane) }
    I32x4ExtractLane(a: u128) [lane: u32] -> u32 { u32::at(a, lane) }
    I32x4ReplaceLane(a: u128, b: u32) [lane: u32] -> u128 { b.put(a, lane) }
    I64x2ExtractLane(a: u128) [lane: u64] -> u64 { u64::at(a, lane) }
    I64x2ReplaceLane(a: u128, b: u64) [lane: u64] -> u128 { b.put(a, lane) }
    F32x4ExtractLane(a: u128) [lane: f32] -> f32 { f32::at(a, lane) }
    F32x4ReplaceLane(a: u128, b: f32) [lane: f32] -> u128 { b.put(a, lane) }
    F64x2ExtractLane(a: u128) [lane: f64] -> f64 { f64::at(a, lane) }
    F64x2ReplaceLane(a: u128, b: f64) [lane: f64] -> u128 { b.put(a, lane) }
}

/// `i8x16.shuffle`: `lanes` are 16 indices into both vectors, the first in the low bits.
#[must_use]
pub fn shuffle(lanes: u128, a: u128, b: u128) -> u128 {
    map(lanes, |lane: u8| if lane < 16 { u8::at(a, u32::from(lane)) } else { u8::at(b, u32::from(lane) % 16) })
}
