//! From Latin-1 and ASCII.
//!
//! Invariant: one byte is one character, so nothing here can be invalid.
//!
//! Does not know: multi-byte sequences.

use super::{BLOCK, Unit, blocks, is_ascii, narrow, widen, write};
use crate::fault::Fault;

/// Copies the longest prefix that is ASCII and fits; returns its length.
pub fn copy_ascii(from: &[u8], to: &mut [u8]) -> usize {
    let mut at = 0;
    while let Some((block, target)) = blocks::<u8, u8, BLOCK>(from, at, to, at) {
        if !is_ascii(block) {
            break;
        }
        *target = *block;
        at += BLOCK;
    }
    while let (Some(byte), Some(target)) = (from.get(at), to.get_mut(at)) {
        if *byte >= 0x80 {
            break;
        }
        *target = *byte;
        at += 1;
    }
    at
}

/// Copies bytes.
///
/// # Errors
/// [`Fault::StringOutOfBounds`] when `to` is shorter than `from`.
pub fn copy_latin1(from: &[u8], to: &mut [u8]) -> Result<(), Fault> {
    to.get_mut(..from.len()).ok_or(Fault::StringOutOfBounds)?.copy_from_slice(from);
    Ok(())
}

/// Converts to as many units of UTF-16.
///
/// # Errors
/// [`Fault::StringOutOfBounds`] when `to` is shorter than twice `from`.
pub fn latin1_to_utf16(from: &[u8], to: &mut [u8]) -> Result<(), Fault> {
    let (units, _) = to.as_chunks_mut::<2>();
    let units = units.get_mut(..from.len()).ok_or(Fault::StringOutOfBounds)?;
    let (blocks, tail) = from.as_chunks::<BLOCK>();
    let (targets, target_tail) = units.as_chunks_mut::<BLOCK>();
    for (block, target) in blocks.iter().zip(targets) {
        widen(block, target);
    }
    for (byte, unit) in tail.iter().zip(target_tail) {
        *unit = u16::from(*byte).to_le_bytes();
    }
    Ok(())
}

/// Converts to UTF-8 and returns its length.
///
/// # Errors
/// [`Fault::StringOutOfBounds`] when `to` is too short; twice the length of `from` always suffices.
pub fn latin1_to_utf8(from: &[u8], to: &mut [u8]) -> Result<usize, Fault> {
    let (mut read, mut written) = (0, 0);
    while read < from.len() {
        let ascii = copy_ascii(&from[read..], to.get_mut(written..).unwrap_or_default());
        (read, written) = (read + ascii, written + ascii);
        // A block that is not all ASCII goes byte by byte.
        let end = from.len().min(read + BLOCK);
        for byte in &from[read..end] {
            if *byte < 0x80 {
                write(to, written, [*byte])?;
                written += 1;
            } else {
                write(to, written, [0xc0 | byte >> 6, 0x80 | byte & 0x3f])?;
                written += 2;
            }
        }
        read = end;
    }
    Ok(written)
}

/// Turns the first `count` bytes into as many units of UTF-16 in place. Does nothing when twice as many bytes do not fit.
pub fn inflate_latin1(text: &mut [u8], count: usize) {
    if count > text.len() / 2 {
        return;
    }
    let mut end = count;
    // From the back: a block's target begins at or after its source, and what lies before is still unread.
    while let Some(start) = end.checked_sub(BLOCK) {
        let Some(block) = text.get(start..).and_then(|rest| rest.first_chunk::<BLOCK>()).copied() else { return };
        let (units, _) = text[2 * start..2 * end].as_chunks_mut::<2>();
        if let Some(target) = units.first_chunk_mut::<BLOCK>() {
            widen(&block, target);
        }
        end = start;
    }
    for at in (0..end).rev() {
        let unit = u16::from(text[at]).to_le_bytes();
        text[2 * at..2 * at + 2].copy_from_slice(&unit);
    }
}

/// Turns units of UTF-16 that are all Latin-1 into half as many bytes in place; the other half keeps what it had.
pub fn deflate_latin1(text: &mut [u8]) {
    let count = text.len() / 2;
    let mut at = 0;
    // From the front: a block's target ends at or before its source does.
    while let Some(block) = text[2 * at..].as_chunks::<2>().0.first_chunk().copied() {
        if let Some(target) = text[at..].first_chunk_mut() {
            narrow_block(&block, target);
        }
        at += BLOCK;
    }
    for at in at..count {
        text[at] = text[2 * at];
    }
}

/// A function of its own: next to the copy of the block the compiler would do it byte by byte.
#[inline(never)]
fn narrow_block(from: &[Unit; BLOCK], to: &mut [u8; BLOCK]) {
    narrow(from, to);
}
