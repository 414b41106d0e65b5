//! Sizes and alignments in linear memory.
//!
//! [Alignment](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#alignment) and
//! [element size](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#element-size) of
//! types whose members' layouts are known.
//!
//! Invariant: a [`Layout`] of an interned type is at most [`ELEMENT_BYTES_MAX`] large and its size is a multiple of its
//! alignment; sums are taken in 64 bits, where they cannot overflow.
//!
//! Does not know: types; it sees members' layouts only.

use crate::fault::TypeError;
use serde::{Deserialize, Serialize};

/// The largest size of a value in memory: it stays below 2²⁸ so that twice the size fits every `realloc`.
pub const ELEMENT_BYTES_MAX: u32 = (1 << 28) - 1;

/// The address width of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Width {
    /// `i32` addresses.
    W32,
    /// `i64` addresses.
    W64,
}

impl Width {
    /// Both widths, as they index per-width facts.
    pub const ALL: [Width; 2] = [Width::W32, Width::W64];

    /// The size of a pointer in bytes.
    pub const fn pointer_bytes(self) -> u32 {
        match self {
            Width::W32 => 4,
            Width::W64 => 8,
        }
    }

    /// The bit of a length that says "utf-16" in the encoding latin1+utf16.
    pub const fn utf16_tag(self) -> u64 {
        match self {
            Width::W32 => 1 << 31,
            Width::W64 => 1 << 63,
        }
    }

    /// The bits of a core value that are an address.
    pub const fn address(self, bits: u64) -> u64 {
        match self {
            Width::W32 => bits & 0xffff_ffff,
            Width::W64 => bits,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Width::W32 => 0,
            Width::W64 => 1,
        }
    }
}

/// Size and alignment of a type in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Bytes, a multiple of `align`.
    pub size: u32,
    /// A power of two, 1 to 8.
    pub align: u32,
}

impl Layout {
    /// A layout as large as its alignment.
    pub const fn word(bytes: u32) -> Layout {
        Layout { size: bytes, align: bytes }
    }

    /// A pointer and a length.
    pub const fn slice(width: Width) -> Layout {
        Layout { size: 2 * width.pointer_bytes(), align: width.pointer_bytes() }
    }

    /// `count` of them, one after the other.
    ///
    /// # Errors
    /// [`TypeError::TooLarge`].
    pub fn array(self, count: u32) -> Result<Layout, TypeError> {
        let size = u64::from(self.size) * u64::from(count);
        Ok(Layout { size: bounded(size)?, align: self.align })
    }
}

fn bounded(size: u64) -> Result<u32, TypeError> {
    within(size, ELEMENT_BYTES_MAX)
}

fn within(size: u64, max: u32) -> Result<u32, TypeError> {
    u32::try_from(size).ok().filter(|size| *size <= max).ok_or(TypeError::TooLarge)
}

/// The most bytes of the pair of a map's key and value. Only the map's own size is limited, so a pair may be larger than any
/// type; a list of them that is not empty is then too long.
pub(crate) const PAIR_BYTES_MAX: u32 = 1 << 30;

/// The next multiple of `align`, a power of two; saturates at the end of the address space.
pub const fn align_to(address: u64, align: u32) -> u64 {
    let mask = align as u64 - 1;
    address.saturating_add(mask) & !mask
}

/// The size of a discriminant among `cases` cases: 1, 2 or 4 bytes.
pub const fn discriminant_bytes(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// The size of a word of `labels` flags (1 to 32 of them): 1, 2 or 4 bytes.
pub const fn flags_bytes(labels: u32) -> u32 {
    match labels {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

/// Lays out members one after the other, each at its alignment; `place` is given every offset in order. This is how a
/// record, a tuple and a spilled parameter list lie in memory.
///
/// # Errors
/// [`TypeError::TooLarge`].
pub fn tuple_layout(members: impl IntoIterator<Item = Layout>, place: impl FnMut(u32)) -> Result<Layout, TypeError> {
    tuple_layout_within(members, ELEMENT_BYTES_MAX, place)
}

/// As [`tuple_layout`], with a limit of its own.
pub(crate) fn tuple_layout_within(
    members: impl IntoIterator<Item = Layout>,
    max: u32,
    mut place: impl FnMut(u32),
) -> Result<Layout, TypeError> {
    let (mut end, mut align) = (0u64, 1);
    for member in members {
        let offset = align_to(end, member.align);
        end = offset + u64::from(member.size);
        within(end, max)?;
        place(within(offset, max)?);
        align = align.max(member.align);
    }
    Ok(Layout { size: within(align_to(end, align), max)?, align })
}

/// Lays out a discriminant and the largest payload; also gives the offset of the payload.
///
/// # Errors
/// [`TypeError::TooLarge`].
pub(crate) fn variant_layout(
    cases: usize,
    payloads: impl IntoIterator<Item = Layout>,
) -> Result<(Layout, u32), TypeError> {
    let discriminant = discriminant_bytes(cases);
    let (mut size, mut align) = (0, 1);
    for payload in payloads {
        size = size.max(payload.size);
        align = align.max(payload.align);
    }
    let offset = align_to(u64::from(discriminant), align);
    let align = align.max(discriminant);
    let size = bounded(align_to(offset + u64::from(size), align))?;
    Ok((Layout { size, align }, bounded(offset)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_are_padded() {
        fn check(members: &[u32], offsets: &[u32], layout: (u32, u32)) {
            let mut found = Vec::new();
            let words = members.iter().map(|bytes| Layout::word(*bytes));
            let Layout { size, align } = tuple_layout(words, |offset| found.push(offset)).unwrap();
            assert_eq!((found.as_slice(), (size, align)), (offsets, layout));
        }
        check(&[1], &[0], (1, 1));
        check(&[1, 4], &[0, 4], (8, 4));
        check(&[1, 8, 1], &[0, 8, 16], (24, 8));
        check(&[1, 1, 2, 4], &[0, 1, 2, 4], (8, 4));
    }

    #[test]
    fn discriminants_grow() {
        let sizes = [1, 2, 256, 257, 65536, 65537].map(discriminant_bytes);
        assert_eq!(sizes, [1, 1, 1, 2, 2, 4]);
        assert_eq!([1, 8, 9, 16, 17, 32].map(flags_bytes), [1, 1, 2, 2, 4, 4]);
    }

    #[test]
    fn sizes_are_bounded() {
        let array = |bytes, count| Layout::word(bytes).array(count);
        assert_eq!(array(1, ELEMENT_BYTES_MAX), Ok(Layout { size: ELEMENT_BYTES_MAX, align: 1 }));
        assert_eq!(array(1, 1 << 28), Err(TypeError::TooLarge));
        assert_eq!(array(8, 1 << 29), Err(TypeError::TooLarge));
        let two = [Layout { size: 1 << 27, align: 1 }; 2];
        assert_eq!(tuple_layout(two, |_| ()), Err(TypeError::TooLarge));
        assert_eq!(align_to(u64::MAX, 8), !7);
    }
}
