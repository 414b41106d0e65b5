//! From UTF-16, little endian.
//!
//! Invariant: a slice is accepted exactly when `char::decode_utf16` finds no unpaired surrogate in it.
//!
//! Does not know: alignment; units are pairs of bytes.

use super::{BLOCK, Unit, blocks, narrow, union, write};
use crate::fault::Fault;

const fn is_surrogate(unit: u16) -> bool {
    unit & 0xf800 == 0xd800
}

/// Whether units are low surrogates exactly where the unit before them is a high one.
#[inline(always)]
fn is_paired<const N: usize>(before: &[Unit; N], units: &[Unit; N]) -> bool {
    let mut differences = 0;
    for (high, low) in before.iter().zip(units) {
        let is_high = u16::from_le_bytes(*high) & 0xfc00 == 0xd800;
        let is_low = u16::from_le_bytes(*low) & 0xfc00 == 0xdc00;
        differences |= u16::from(is_high ^ is_low);
    }
    differences == 0
}

/// Validates and copies; returns whether every character is Latin-1.
///
/// # Errors
/// [`Fault::Utf16`]; [`Fault::StringOutOfBounds`] when `to` is shorter than `from`.
pub fn copy_utf16(from: &[u8], to: &mut [u8]) -> Result<bool, Fault> {
    let (from, _) = from.as_chunks::<2>();
    let (to, _) = to.as_chunks_mut::<2>();
    let to = to.get_mut(..from.len()).ok_or(Fault::StringOutOfBounds)?;
    let (mut at, mut seen, mut previous) = (0, 0, [0; 2]);
    while at < from.len() {
        // A block is compared with itself one unit earlier, so it needs the unit before it.
        if at > 0
            && let Some((block, target)) = blocks::<Unit, Unit, BLOCK>(from, at, to, at)
            && let Some(shifted) = from[at - 1..].first_chunk::<BLOCK>()
        {
            if !is_paired(shifted, block) {
                return Err(Fault::Utf16);
            }
            *target = *block;
            seen |= union(block);
            at += BLOCK;
            previous = block[BLOCK - 1];
            continue;
        }
        if !is_paired(&[previous], &[from[at]]) {
            return Err(Fault::Utf16);
        }
        previous = from[at];
        to[at] = previous;
        seen |= u16::from_le_bytes(previous);
        at += 1;
    }
    // The last unit must not wait for a partner.
    if is_paired(&[previous], &[[0; 2]]) { Ok(seen < 0x100) } else { Err(Fault::Utf16) }
}

/// Converts the longest prefix that is ASCII and fits to bytes; returns its length.
pub fn utf16_to_ascii(from: &[u8], to: &mut [u8]) -> usize {
    narrow_below::<0x80>(from.as_chunks::<2>().0, to)
}

/// Converts the longest prefix that is Latin-1 and fits to bytes; returns its length. The rest is not validated.
pub fn utf16_to_latin1(from: &[u8], to: &mut [u8]) -> usize {
    narrow_below::<0x100>(from.as_chunks::<2>().0, to)
}

/// `LIMIT` is a power of two.
#[inline(always)]
fn narrow_below<const LIMIT: u16>(from: &[Unit], to: &mut [u8]) -> usize {
    let mut at = 0;
    while let Some((block, target)) = blocks::<Unit, u8, BLOCK>(from, at, to, at) {
        if union(block) >= LIMIT {
            break;
        }
        narrow(block, target);
        at += BLOCK;
    }
    while let (Some(unit), Some(target)) = (from.get(at), to.get_mut(at)) {
        if u16::from_le_bytes(*unit) >= LIMIT {
            break;
        }
        *target = unit[0];
        at += 1;
    }
    at
}

/// Validates and converts to UTF-8; returns its length.
///
/// # Errors
/// [`Fault::Utf16`]; [`Fault::StringOutOfBounds`] when `to` is too short; three bytes for each unit of `from` always
/// suffice.
pub fn utf16_to_utf8(from: &[u8], to: &mut [u8]) -> Result<usize, Fault> {
    let (from, _) = from.as_chunks::<2>();
    let (mut read, mut written) = (0, 0);
    while read < from.len() {
        if let Some((block, target)) = blocks::<Unit, u8, BLOCK>(from, read, to, written)
            && union(block) < 0x80
        {
            narrow(block, target);
            (read, written) = (read + BLOCK, written + BLOCK);
            continue;
        }
        let end = from.len().min(read + BLOCK);
        while read < end {
            if let Some(target) = to.get_mut(written..).and_then(|rest| rest.first_chunk_mut())
                && let Some(length) = encode_unit(u16::from_le_bytes(from[read]), target)
            {
                (read, written) = (read + 1, written + length);
                continue;
            }
            let (code, length) = decode(from, read)?;
            written += encode(code, to, written)?;
            read += length;
        }
    }
    Ok(written)
}

/// The character at a position below the length, and its length in units.
#[inline(always)]
fn decode(from: &[Unit], at: usize) -> Result<(u32, usize), Fault> {
    let unit = u16::from_le_bytes(from[at]);
    if !is_surrogate(unit) {
        return Ok((u32::from(unit), 1));
    }
    match from.get(at + 1).map(|unit| u16::from_le_bytes(*unit)) {
        Some(low @ 0xdc00..=0xdfff) if unit < 0xdc00 => {
            Ok((0x1_0000 + (u32::from(unit & 0x3ff) << 10 | u32::from(low & 0x3ff)), 2))
        }
        _ => Err(Fault::Utf16),
    }
}

/// Writes a unit that is no surrogate and returns its length in bytes. One check of the target for all lengths is what makes
/// this twice as fast as [`encode`].
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "each byte holds the bits its place has")]
fn encode_unit(unit: u16, to: &mut [u8; 3]) -> Option<usize> {
    let tail = |shift: u32| 0x80 | (unit >> shift & 0x3f) as u8;
    if unit < 0x80 {
        to[0] = unit as u8;
        return Some(1);
    }
    if unit < 0x800 {
        to[0] = 0xc0 | (unit >> 6) as u8;
        to[1] = tail(0);
        return Some(2);
    }
    if is_surrogate(unit) {
        return None;
    }
    *to = [0xe0 | (unit >> 12) as u8, tail(6), tail(0)];
    Some(3)
}

/// Writes a character and returns its length in bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "each byte holds the bits its place has")]
fn encode(code: u32, to: &mut [u8], at: usize) -> Result<usize, Fault> {
    let tail = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    match code {
        0..0x80 => write(to, at, [code as u8]).map(|()| 1),
        0x80..0x800 => write(to, at, [0xc0 | (code >> 6) as u8, tail(0)]).map(|()| 2),
        0x800..0x1_0000 => write(to, at, [0xe0 | (code >> 12) as u8, tail(6), tail(0)]).map(|()| 3),
        _ => write(to, at, [0xf0 | (code >> 18) as u8, tail(12), tail(6), tail(0)]).map(|()| 4),
    }
}
