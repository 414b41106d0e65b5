//! Faults planted in this interpreter, so that it can be seen who is blamed when the oracle is wrong.
//!
//! Exists under `--cfg wattest_mutants` only. A row is named after the fault of the runtime that it repeats, and after
//! that one's witness, which fails on this interpreter while the row is on.
//!
//! Invariant: at most one is on; with none, this interpreter computes what it does in ordinary builds.
//!
//! Does not know: the runtime's own faults.

use std::sync::atomic::{AtomicU8, Ordering};

macro_rules! flips {
    ($($name:ident),*) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(non_camel_case_types, reason = "a row's name is what command lines and files call it")]
        #[repr(u8)]
        pub enum Flip {
            $(#[doc = stringify!($name)] $name,)*
        }

        /// The names, in order.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

flips!(
    i64_rotate_left_as_right,
    i32_ctz_of_zero,
    i64_remainder_of_minus_one,
    f64_max_by_comparison,
    i8x16_swizzle_wraps,
    i16x8_q15mulr_of_minimum,
    memory_fill_one_less,
    memory_init_ignores_drop,
    array_copy_forward,
    exception_payload_swapped
);

/// 0: none; else the row's number plus one.
static CURRENT: AtomicU8 = AtomicU8::new(0);

/// Switches one on, or all off; whether there is one of that name.
pub fn set(name: Option<&str>) -> bool {
    let found = name.and_then(|name| NAMES.iter().position(|known| *known == name));
    CURRENT.store(found.map_or(0, |position| position as u8 + 1), Ordering::Relaxed);
    found.is_some() == name.is_some()
}

/// Whether a row is on.
pub(crate) fn is_on(flip: Flip) -> bool {
    CURRENT.load(Ordering::Relaxed) == flip as u8 + 1
}
