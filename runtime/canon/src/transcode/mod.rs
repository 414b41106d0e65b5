//! Transcoding between byte slices: UTF-8, UTF-16 (little endian) and Latin-1.
//!
//! The steps of [string lowering](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing):
//! each validates and copies in one pass. [`crate::lower_string`] strings them together; a runtime may offer them one by one
//! to generated code.
//!
//! Invariant: nothing is read outside the source or written outside the target, and of the target nothing is written beyond
//! the length that is returned; after an error the target holds anything. A target that is too short is
//! [`Fault::StringOutOfBounds`], never a panic. Slices of UTF-16 need no alignment; an odd last byte is ignored.
//!
//! Does not know: memories, `realloc`, encodings as options.
//!
//! Everything is safe code in blocks of constant size, which compilers turn into vector instructions; only the validation of
//! UTF-8 that is copied as it is comes from `simdutf8`, which chooses its instructions at run time.

mod latin1;
mod step;
mod utf16;
mod utf8;

pub use latin1::{copy_ascii, copy_latin1, deflate_latin1, inflate_latin1, latin1_to_utf8, latin1_to_utf16};
pub use step::{Room, Step, Text};
pub use utf8::{as_utf8, copy_utf8, utf8_to_latin1, utf8_to_utf16};
pub use utf16::{copy_utf16, utf16_to_ascii, utf16_to_latin1, utf16_to_utf8};

use crate::fault::Fault;

/// How far a conversion came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// Code units of the source that were converted.
    pub read: usize,
    /// Code units of the target that were written.
    pub written: usize,
}

/// Code units per step.
const BLOCK: usize = 32;

/// A code unit of UTF-16 as it lies in memory.
type Unit = [u8; 2];

/// Whether no byte of a block has its high bit set.
#[inline(always)]
fn is_ascii<const N: usize>(block: &[u8; N]) -> bool {
    block.iter().fold(0, |all, byte| all | byte) < 0x80
}

/// All bits that are set in some unit of a block.
#[inline(always)]
fn union<const N: usize>(block: &[Unit; N]) -> u16 {
    block.iter().fold(0, |all, unit| all | u16::from_le_bytes(*unit))
}

/// Bytes to units. A function of its own: next to the test for ASCII the compiler would do it byte by byte.
#[inline(never)]
fn widen<const N: usize>(from: &[u8; N], to: &mut [Unit; N]) {
    for (unit, byte) in to.iter_mut().zip(from) {
        *unit = u16::from(*byte).to_le_bytes();
    }
}

/// Low bytes of units.
#[inline(always)]
fn narrow<const N: usize>(from: &[Unit; N], to: &mut [u8; N]) {
    for (byte, unit) in to.iter_mut().zip(from) {
        *byte = unit[0];
    }
}

/// The blocks at two positions, if both slices are long enough.
#[inline(always)]
fn blocks<'a, S, T, const N: usize>(
    from: &'a [S],
    read: usize,
    to: &'a mut [T],
    written: usize,
) -> Option<(&'a [S; N], &'a mut [T; N])> {
    Some((from.get(read..)?.first_chunk()?, to.get_mut(written..)?.first_chunk_mut()?))
}

/// Writes a few units at a position.
#[inline(always)]
fn write<T: Copy, const N: usize>(to: &mut [T], at: usize, units: [T; N]) -> Result<(), Fault> {
    let target = to.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>());
    *target.ok_or(Fault::StringOutOfBounds)? = units;
    Ok(())
}

#[cfg(test)]
mod tests;
