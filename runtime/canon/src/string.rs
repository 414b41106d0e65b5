//! Strings in memory: where they are, and the `realloc` protocol that brings them into another memory.
//!
//! [`load_string`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading) and
//! [`store_string`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing) with exactly
//! the specified calls of `realloc`: which ones are made depends on the encodings and on the text, and guests see them.
//!
//! Invariant: the destination is indexed only inside an allocation whose bounds were checked after the last call of
//! `realloc`; the source is a slice apart, which no call can change.
//!
//! Does not know: that source and destination may be one memory; whoever has such a case copies the source first.

use crate::fault::Fault;
use crate::layout::{Width, align_to};
use crate::memory::{Encoding, Lower, Options, STRING_BYTES_MAX, checked_range, reallocate};
use crate::transcode;
use std::ops::Range;

/// The form a string actually has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// UTF-8.
    Utf8,
    /// UTF-16, from an encoding that has no other form.
    Utf16,
    /// One byte per character, from latin1+utf16.
    Latin1,
    /// UTF-16 from latin1+utf16: probably not Latin-1.
    TaggedUtf16,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 4] = [Form::Utf8, Form::Utf16, Form::Latin1, Form::TaggedUtf16];

    /// Bytes of a code unit.
    pub const fn unit_bytes(self) -> u32 {
        match self {
            Form::Utf8 | Form::Latin1 => 1,
            Form::Utf16 | Form::TaggedUtf16 => 2,
        }
    }

    const fn align(self) -> u32 {
        match self {
            Form::Utf8 => 1,
            _ => 2,
        }
    }

    /// The form of a string with this possibly tagged length.
    pub const fn of(options: &Options, tagged: u64) -> Form {
        match options.encoding {
            Encoding::Utf8 => Form::Utf8,
            Encoding::Utf16 => Form::Utf16,
            Encoding::Compact if tagged & options.width.utf16_tag() != 0 => Form::TaggedUtf16,
            Encoding::Compact => Form::Latin1,
        }
    }

    /// The bytes of a text in this form; a character that Latin-1 has not loses its upper bits.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Form::Utf8 => text.as_bytes().to_vec(),
            Form::Utf16 | Form::TaggedUtf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Form::Latin1 => text.chars().map(low_byte).collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a character of Latin-1 is one byte")]
const fn low_byte(char: char) -> u8 {
    char as u32 as u8
}

/// A string to lower: its bytes, outside of the memory it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringSource<'a> {
    /// How the bytes are to be read.
    pub form: Form,
    /// A whole number of code units, not yet validated.
    pub bytes: &'a [u8],
}

impl<'a> StringSource<'a> {
    /// A string of the host.
    pub const fn utf8(bytes: &'a [u8]) -> StringSource<'a> {
        StringSource { form: Form::Utf8, bytes }
    }

    fn units(&self) -> u64 {
        self.bytes.len() as u64 / u64::from(self.form.unit_bytes())
    }
}

/// Where a string lies and in which form, from its address and possibly tagged length in code units.
///
/// # Errors
/// [`Fault::StringTooLong`], [`Fault::Unaligned`], [`Fault::StringOutOfBounds`], in this order.
pub fn locate_string(
    memory_bytes: usize,
    encoding: Encoding,
    width: Width,
    address: u64,
    tagged: u64,
) -> Result<(Form, Range<usize>), Fault> {
    let tag = width.utf16_tag();
    let (form, units) = match encoding {
        Encoding::Utf8 => (Form::Utf8, tagged),
        Encoding::Utf16 => (Form::Utf16, tagged),
        Encoding::Compact if tagged & tag != 0 => (Form::TaggedUtf16, tagged ^ tag),
        Encoding::Compact => (Form::Latin1, tagged),
    };
    let bytes = units.checked_mul(u64::from(form.unit_bytes())).filter(|bytes| *bytes <= STRING_BYTES_MAX);
    let bytes = bytes.ok_or(Fault::StringTooLong)?;
    if address != align_to(address, form.align()) {
        return Err(Fault::Unaligned);
    }
    let range = checked_range(memory_bytes, address, bytes).ok_or(Fault::StringOutOfBounds)?;
    Ok((form, range))
}

/// Lifts a string into one of the host, of at most `bytes_max` bytes.
///
/// # Errors
/// Those of [`locate_string`], [`Fault::Utf8`], [`Fault::Utf8Incomplete`], [`Fault::Utf16`], [`Fault::ValueTooLarge`].
pub fn lift_string(
    memory: &[u8],
    options: &Options,
    address: u64,
    tagged: u64,
    bytes_max: u64,
) -> Result<Box<str>, Fault> {
    let (form, range) = locate_string(memory.len(), options.encoding, options.width, address, tagged)?;
    let source = &memory[range];
    // The most a code unit becomes; a claim that could exceed the budget is refused before memory is taken for it.
    let worst = match form {
        Form::Utf8 => source.len(),
        Form::Utf16 | Form::TaggedUtf16 => source.len() / 2 * 3,
        Form::Latin1 => source.len() * 2,
    };
    if worst as u64 > bytes_max {
        return Err(Fault::ValueTooLarge(options.lift_bytes_max));
    }
    if form == Form::Utf8 {
        return transcode::as_utf8(source).map(Box::from);
    }
    let mut text = vec![0; worst];
    let length = match form {
        Form::Latin1 => transcode::latin1_to_utf8(source, &mut text)?,
        _ => transcode::utf16_to_utf8(source, &mut text)?,
    };
    text.truncate(length);
    String::from_utf8(text).map(String::into_boxed_str).map_err(|_| Fault::Utf8)
}

/// Lowers a string: its address and possibly tagged length in code units.
///
/// # Errors
/// [`Fault::StringTooLong`], those of validation and of `realloc`, and what [`Lower::realloc`] fails with. `realloc` may
/// have been called by the time that an invalid source is noticed.
pub fn lower_string<C: Lower>(cx: &mut C, options: &Options, source: StringSource<'_>) -> Result<(u64, u64), C::Error> {
    if source.bytes.len() as u64 > STRING_BYTES_MAX {
        return Err(Fault::StringTooLong.into());
    }
    let mut target = Target { cx, width: options.width, address: 0, bytes: 0 };
    match (options.encoding, source.form) {
        (Encoding::Utf8, Form::Utf8) => target.copy(source, 1, 1, transcode::copy_utf8),
        (Encoding::Utf8, Form::Utf16 | Form::TaggedUtf16) => {
            target.convert_to_utf8(source, 3, transcode::utf16_to_ascii, transcode::utf16_to_utf8)
        }
        (Encoding::Utf8, Form::Latin1) => {
            target.convert_to_utf8(source, 2, transcode::copy_ascii, transcode::latin1_to_utf8)
        }
        (Encoding::Utf16, Form::Utf8) => target.utf8_to_utf16(source.bytes),
        (Encoding::Utf16, Form::Utf16 | Form::TaggedUtf16) => {
            target.copy(source, 2, 2, |from, to| transcode::copy_utf16(from, to).map(|_| ()))
        }
        (Encoding::Utf16, Form::Latin1) => target.copy(source, 2, 2, transcode::latin1_to_utf16),
        (Encoding::Compact, Form::Utf8 | Form::Utf16) => target.convert_to_compact(source),
        (Encoding::Compact, Form::Latin1) => target.copy(source, 1, 2, transcode::copy_latin1),
        (Encoding::Compact, Form::TaggedUtf16) => target.tagged_to_compact(source.bytes),
    }
}

/// The allocation a string is being written to.
struct Target<'a, C> {
    cx: &'a mut C,
    width: Width,
    address: u64,
    bytes: u64,
}

impl<C: Lower> Target<'_, C> {
    fn resize(&mut self, align: u32, bytes: u64) -> Result<(), C::Error> {
        self.address = reallocate(self.cx, self.width, (self.address, self.bytes), align, bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Resizes unless the size is already right.
    fn shrink(&mut self, align: u32, bytes: u64) -> Result<(), C::Error> {
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(host_string_not_shrunk) {
            return Ok(());
        }
        if bytes == self.bytes { Ok(()) } else { self.resize(align, bytes) }
    }

    fn slice(&mut self) -> Result<&mut [u8], Fault> {
        let memory = self.cx.memory_mut();
        let range = checked_range(memory.len(), self.address, self.bytes).ok_or(Fault::ReallocOutOfBounds)?;
        Ok(&mut memory[range])
    }

    /// One allocation of the exact size: as many code units as the source has.
    fn copy(
        &mut self,
        source: StringSource<'_>,
        unit_bytes: u64,
        align: u32,
        write: impl FnOnce(&[u8], &mut [u8]) -> Result<(), Fault>,
    ) -> Result<(u64, u64), C::Error> {
        self.resize(align, source.units() * unit_bytes)?;
        write(source.bytes, self.slice()?)?;
        Ok((self.address, source.units()))
    }

    /// Hopes for ASCII; on the first other character grows to the worst case, converts the rest and shrinks.
    fn convert_to_utf8(
        &mut self,
        source: StringSource<'_>,
        worst: u64,
        write_ascii: impl FnOnce(&[u8], &mut [u8]) -> usize,
        write_rest: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, Fault>,
    ) -> Result<(u64, u64), C::Error> {
        let units = source.units();
        self.resize(1, units)?;
        let ascii = write_ascii(source.bytes, self.slice()?);
        if ascii as u64 == units {
            return Ok((self.address, units));
        }
        self.resize(1, units * worst)?;
        let rest = source.bytes.get(ascii * source.form.unit_bytes() as usize..).unwrap_or_default();
        let target = self.slice()?.get_mut(ascii..).unwrap_or_default();
        let length = (ascii + write_rest(rest, target)?) as u64;
        self.shrink(1, length)?;
        Ok((self.address, length))
    }

    /// Takes two bytes for each byte and shrinks.
    fn utf8_to_utf16(&mut self, source: &[u8]) -> Result<(u64, u64), C::Error> {
        self.resize(2, 2 * source.len() as u64)?;
        let units = transcode::utf8_to_utf16(source, self.slice()?)? as u64;
        self.shrink(2, 2 * units)?;
        Ok((self.address, units))
    }

    /// Hopes for Latin-1; on the first other character grows, inflates what is there, converts the rest and shrinks.
    fn convert_to_compact(&mut self, source: StringSource<'_>) -> Result<(u64, u64), C::Error> {
        let units = source.units();
        self.resize(2, units)?;
        let unit_bytes = source.form.unit_bytes() as usize;
        let (read, written) = match source.form {
            Form::Utf8 => {
                let progress = transcode::utf8_to_latin1(source.bytes, self.slice()?)?;
                (progress.read, progress.written)
            }
            _ => {
                let written = transcode::utf16_to_latin1(source.bytes, self.slice()?);
                (written, written)
            }
        };
        if read as u64 == units {
            self.shrink(2, written as u64)?;
            return Ok((self.address, written as u64));
        }
        self.resize(2, 2 * units)?;
        transcode::inflate_latin1(self.slice()?, written);
        let rest = source.bytes.get(read * unit_bytes..).unwrap_or_default();
        let target = self.slice()?.get_mut(2 * written..).unwrap_or_default();
        let more = match source.form {
            Form::Utf8 => transcode::utf8_to_utf16(rest, target)?,
            _ => {
                transcode::copy_utf16(rest, target)?;
                rest.len() / 2
            }
        };
        let length = (written + more) as u64;
        self.shrink(2, 2 * length)?;
        Ok((self.address, length | self.width.utf16_tag()))
    }

    /// Copies UTF-16; if it turns out to be Latin-1, deflates it and shrinks.
    fn tagged_to_compact(&mut self, source: &[u8]) -> Result<(u64, u64), C::Error> {
        let units = source.len() as u64 / 2;
        self.resize(2, 2 * units)?;
        let is_latin1 = transcode::copy_utf16(source, self.slice()?)?;
        if !is_latin1 {
            return Ok((self.address, units | self.width.utf16_tag()));
        }
        transcode::deflate_latin1(self.slice()?);
        // The specification asks for alignment 1 here, and calls `realloc` even for the empty string.
        self.resize(1, units)?;
        Ok((self.address, units))
    }
}
