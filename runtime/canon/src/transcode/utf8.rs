//! From UTF-8.
//!
//! Invariant: a sequence is accepted exactly when `str::from_utf8` accepts it: no overlong forms, no surrogates, nothing
//! beyond U+10FFFF.
//!
//! Does not know: lengths that the canonical ABI allows.

use super::{BLOCK, Progress, Unit, blocks, is_ascii, latin1::copy_ascii, widen, write};
use crate::fault::Fault;

/// Validated and copied at a time: what validation read is still in the first-level cache when it is copied.
const CHUNK: usize = 16 << 10;

/// The same bytes as a string.
///
/// # Errors
/// [`Fault::Utf8`], or [`Fault::Utf8Incomplete`] when only the end is missing.
pub fn as_utf8(from: &[u8]) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(from).map_err(|_| classify(from))
}

/// Validates and copies.
///
/// # Errors
/// [`Fault::Utf8`], [`Fault::Utf8Incomplete`]; [`Fault::StringOutOfBounds`] when `to` is shorter than `from`.
pub fn copy_utf8(from: &[u8], to: &mut [u8]) -> Result<(), Fault> {
    let to = to.get_mut(..from.len()).ok_or(Fault::StringOutOfBounds)?;
    let mut at = copy_ascii(from, to);
    while at < from.len() {
        let end = boundary_before(from, at, from.len().min(at + CHUNK));
        let chunk = &from[at..end];
        // What is missing at the end of a chunk need not be missing at the end of the text.
        simdutf8::basic::from_utf8(chunk).map_err(|_| classify(&from[at..]))?;
        to[at..end].copy_from_slice(chunk);
        at = end;
    }
    Ok(())
}

/// Moves `end` back to where a character may begin, if it is in the middle of the slice.
fn boundary_before(from: &[u8], start: usize, end: usize) -> usize {
    let is_inside = |at: &usize| from.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let candidates = (end.saturating_sub(3).max(start + 1)..=end).rev();
    // Four continuation bytes in a row are invalid wherever they are cut.
    candidates.into_iter().find(|at| !is_inside(at)).unwrap_or(end)
}

/// Validates and converts to UTF-16; returns the number of units.
///
/// # Errors
/// [`Fault::Utf8`], [`Fault::Utf8Incomplete`]; [`Fault::StringOutOfBounds`] when `to` is too short; two bytes for each byte
/// of `from` always suffice.
pub fn utf8_to_utf16(from: &[u8], to: &mut [u8]) -> Result<usize, Fault> {
    let (to, _) = to.as_chunks_mut::<2>();
    let (mut read, mut written) = (0, 0);
    while read < from.len() {
        if let Some((block, target)) = blocks::<u8, Unit, BLOCK>(from, read, to, written)
            && is_ascii(block)
        {
            widen(block, target);
            (read, written) = (read + BLOCK, written + BLOCK);
            continue;
        }
        let end = from.len().min(read + BLOCK);
        while read < end {
            let (code, length) = decode(&from[read..])?;
            read += length;
            if let Ok(unit) = u16::try_from(code) {
                write(to, written, [unit.to_le_bytes()])?;
                written += 1;
            } else {
                write(to, written, surrogates(code).map(u16::to_le_bytes))?;
                written += 2;
            }
        }
    }
    Ok(written)
}

/// Validates and converts to Latin-1 up to the first character that is not; the rest is not looked at.
///
/// # Errors
/// [`Fault::Utf8`], [`Fault::Utf8Incomplete`]; [`Fault::StringOutOfBounds`] when `to` is too short; the length of `from`
/// always suffices.
pub fn utf8_to_latin1(from: &[u8], to: &mut [u8]) -> Result<Progress, Fault> {
    let (mut read, mut written) = (0, 0);
    while read < from.len() {
        let ascii = copy_ascii(&from[read..], to.get_mut(written..).unwrap_or_default());
        (read, written) = (read + ascii, written + ascii);
        let end = from.len().min(read + BLOCK);
        while read < end {
            let (code, length) = decode(&from[read..])?;
            let Ok(byte) = u8::try_from(code) else { return Ok(Progress { read, written }) };
            write(to, written, [byte])?;
            (read, written) = (read + length, written + 1);
        }
    }
    Ok(Progress { read, written })
}

/// The first character of a slice that is not empty, and its length in bytes.
#[inline(always)]
fn decode(from: &[u8]) -> Result<(u32, usize), Fault> {
    let tail = |byte: u8| u32::from(byte & 0x3f);
    let continues = |byte: u8| byte & 0xc0 == 0x80;
    match *from {
        [a, ..] if a < 0x80 => return Ok((u32::from(a), 1)),
        [a @ 0xc2..=0xdf, b, ..] if continues(b) => return Ok((u32::from(a & 0x1f) << 6 | tail(b), 2)),
        [a @ 0xe0..=0xef, b, c, ..] if continues(b) && continues(c) => {
            let code = u32::from(a & 0x0f) << 12 | tail(b) << 6 | tail(c);
            if code >= 0x800 && code & 0xf800 != 0xd800 {
                return Ok((code, 3));
            }
        }
        [a @ 0xf0..=0xf4, b, c, d, ..] if continues(b) && continues(c) && continues(d) => {
            let code = u32::from(a & 0x07) << 18 | tail(b) << 12 | tail(c) << 6 | tail(d);
            if matches!(code, 0x1_0000..=0x10_ffff) {
                return Ok((code, 4));
            }
        }
        _ => {}
    }
    Err(classify(&from[..from.len().min(4)]))
}

/// The two units of a character beyond U+FFFF.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "ten bits each")]
fn surrogates(code: u32) -> [u16; 2] {
    let code = code - 0x1_0000;
    [0xd800 | (code >> 10) as u16, 0xdc00 | (code & 0x3ff) as u16]
}

/// What is wrong with a slice that is not UTF-8.
#[cold]
fn classify(from: &[u8]) -> Fault {
    match std::str::from_utf8(from) {
        Err(error) if error.error_len().is_none() => Fault::Utf8Incomplete,
        _ => Fault::Utf8,
    }
}
