//! What lifting and lowering need from outside: a memory, `realloc`, handle tables.
//!
//! Options and limits are those of
//! [`canonopt`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#runtime-state) and
//! [loading](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading).
//!
//! Invariant: every address a guest supplies passes [`checked_range`] before it indexes a slice, and a slice is taken anew
//! after each call of `realloc`, which may move or grow the memory.
//!
//! Does not know: how calls into a guest are made or what a handle table holds.

use crate::fault::Fault;
use crate::layout::{Layout, Width, align_to};
use crate::scalar::Nans;
use crate::string::Form;
use crate::types::HandleKind;
use crate::value::Token;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The longest string in bytes, on either side.
pub const STRING_BYTES_MAX: u64 = (1 << 28) - 1;
/// The longest list in bytes, on either side.
pub const LIST_BYTES_MAX: u64 = (1 << 28) - 1;
/// [`Options::lift_bytes_max`] unless told otherwise: 128 MiB.
pub const LIFT_BYTES_DEFAULT: u64 = 128 << 20;

/// The option `string-encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// `utf8`.
    Utf8,
    /// `utf16`, little endian.
    Utf16,
    /// `latin1+utf16`: which one, a bit of the length says.
    Compact,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Compact];

    /// What divides the address of a string.
    pub const fn align(self) -> u32 {
        match self {
            Encoding::Utf8 => 1,
            Encoding::Utf16 | Encoding::Compact => 2,
        }
    }
}

/// What lifting and lowering depend on besides types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// The encoding of strings.
    pub encoding: Encoding,
    /// The width of the memory's addresses.
    pub width: Width,
    /// Most bytes of host memory one lift may build. A guest can make a list refer to one string a million times.
    pub lift_bytes_max: u64,
    /// What becomes of NaNs.
    pub nans: Nans,
}

impl Options {
    /// Options with the default budget.
    pub const fn new(encoding: Encoding, width: Width) -> Options {
        Options { encoding, width, lift_bytes_max: LIFT_BYTES_DEFAULT, nans: Nans::Canonical }
    }
}

/// What lifting asks of the component instance a value leaves.
pub trait Lift {
    /// A fault, or whatever else stops a guest.
    type Error: From<Fault>;

    /// The linear memory; empty when there is none.
    fn memory(&self) -> &[u8];

    /// Takes a handle out of the instance's table (`own`, `stream`, `future`), or lends it (`borrow`, `error-context`).
    ///
    /// # Errors
    /// When the index is not in the table or names something else.
    fn lift_handle(&mut self, handle: HandleKind, index: u32) -> Result<Token, Self::Error>;

    /// Told of each string that is lifted, in their order: the form it was in, which a [`Value`](crate::Value) does not keep.
    fn string_lifted(&mut self, form: Form) {
        let _ = form;
    }
}

/// What lowering asks of the component instance a value enters.
pub trait Lower {
    /// A fault, or whatever else stops a guest.
    type Error: From<Fault>;

    /// The linear memory; empty when there is none.
    fn memory_mut(&mut self) -> &mut [u8];

    /// Calls the guest's `realloc` with exactly these arguments and returns its result, unchecked.
    ///
    /// # Errors
    /// When the guest traps, or there is no `realloc`.
    fn realloc(&mut self, old: u64, old_bytes: u64, align: u32, new_bytes: u64) -> Result<u64, Self::Error>;

    /// Puts a handle into the instance's table and returns its index.
    ///
    /// # Errors
    /// When the table is full.
    fn lower_handle(&mut self, handle: HandleKind, token: Token) -> Result<u32, Self::Error>;

    /// Asked for each string that is lowered, in their order: the form it came in, on which it depends how `realloc` is
    /// called.
    fn string_form(&mut self) -> Form {
        Form::Utf8
    }
}

/// The part of a memory of `memory_bytes` that starts at `address` and is `bytes` long, or `None`.
pub fn checked_range(memory_bytes: usize, address: u64, bytes: u64) -> Option<Range<usize>> {
    let start = usize::try_from(address).ok()?;
    let end = usize::try_from(address.checked_add(bytes)?).ok()?;
    (end <= memory_bytes).then_some(start..end)
}

/// Where a list lies, from its address and its number of elements of this layout.
///
/// # Errors
/// [`Fault::ListTooLong`], [`Fault::Unaligned`], [`Fault::ListOutOfBounds`], in this order.
pub fn locate_list(memory_bytes: usize, element: Layout, address: u64, count: u64) -> Result<Range<usize>, Fault> {
    let bytes = count.checked_mul(u64::from(element.size)).filter(|bytes| *bytes <= LIST_BYTES_MAX);
    let bytes = bytes.ok_or(Fault::ListTooLong)?;
    if address != align_to(address, element.align) {
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(host_list_alignment_unchecked) {
            return checked_range(memory_bytes, address, bytes).ok_or(Fault::ListOutOfBounds);
        }
        return Err(Fault::Unaligned);
    }
    checked_range(memory_bytes, address, bytes).ok_or(Fault::ListOutOfBounds)
}

/// Calls `realloc` and checks alignment, then bounds, even of an empty allocation. `align` is a power of two.
///
/// # Errors
/// What [`Lower::realloc`] fails with, [`Fault::ReallocUnaligned`], [`Fault::ReallocOutOfBounds`].
pub fn reallocate<C: Lower>(
    cx: &mut C,
    width: Width,
    (old, old_bytes): (u64, u64),
    align: u32,
    new_bytes: u64,
) -> Result<u64, C::Error> {
    let address = width.address(cx.realloc(old, old_bytes, align, new_bytes)?);
    if address != align_to(address, align) {
        return Err(Fault::ReallocUnaligned.into());
    }
    match checked_range(cx.memory_mut().len(), address, new_bytes) {
        Some(_) => Ok(address),
        None => Err(Fault::ReallocOutOfBounds.into()),
    }
}

/// Reads 1, 2, 4 or 8 bytes, little endian; `None` beyond the end.
pub fn load_bits(memory: &[u8], address: u64, bytes: u32) -> Option<u64> {
    let part = &memory[checked_range(memory.len(), address, u64::from(bytes))?];
    Some(match part {
        [a] => u64::from(*a),
        [a, b] => u64::from(u16::from_le_bytes([*a, *b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => u64::from_le_bytes(part.try_into().ok()?),
    })
}

/// Writes the low 1, 2, 4 or 8 bytes, little endian; `None` beyond the end.
pub fn store_bits(memory: &mut [u8], address: u64, bytes: u32, bits: u64) -> Option<()> {
    let range = checked_range(memory.len(), address, u64::from(bytes))?;
    memory[range].copy_from_slice(&bits.to_le_bytes()[..bytes as usize]);
    Some(())
}
