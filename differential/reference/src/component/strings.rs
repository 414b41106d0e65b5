//! Lowering of strings: transcoding, and which calls of `realloc` it takes.
//!
//! [Storing strings](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing): the
//! calls depend on the form the string was lifted from, on the encoding it is lowered to, and on its characters.
//!
//! Invariant: every length that is asked for was compared with the limit first.
//!
//! Does not know: who calls.

use super::calls::Evaluation;
use super::lift::{BYTES_MAX, Context};
use super::value::{Encoding, Form, Text};
use crate::error::{Failure, TrapClass};

/// Where a string is, and its possibly tagged length in code units.
type Place = (u64, u64);

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u32::from(character) as u8).collect()
}

fn is_latin1(text: &str) -> bool {
    text.chars().all(|character| u32::from(character) < 0x100)
}

fn bounded(bytes: u64) -> Result<u64, Failure> {
    // A string was at most that long in its own form; no transcoding more than triples it.
    if bytes <= 3 * BYTES_MAX { Ok(bytes) } else { Err(Failure::trap(TrapClass::ValueTooLong)) }
}

impl Evaluation<'_> {
    pub(crate) fn store_string(&mut self, cx: &Context<'_>, text: &Text) -> Result<Place, Failure> {
        let units = text.units();
        let text_bytes = &text.text;
        match (cx.options.encoding, text.form) {
            (Encoding::Utf8, Form::Utf8) => self.copy_string(cx, units, 1, text_bytes.as_bytes()),
            (Encoding::Utf8, Form::Latin1) => self.transcode_to_utf8(cx, text_bytes, units, 2 * units),
            (Encoding::Utf8, Form::Utf16 | Form::TaggedUtf16) => {
                self.transcode_to_utf8(cx, text_bytes, units, 3 * units)
            }
            (Encoding::Utf16, Form::Utf8) => self.utf8_to_utf16(cx, text_bytes, units),
            (Encoding::Utf16, _) => self.copy_string(cx, units, 2, &utf16(text_bytes)),
            (Encoding::Latin1Utf16, Form::Utf8 | Form::Utf16) => {
                self.transcode_to_latin1_or_utf16(cx, text_bytes, units)
            }
            (Encoding::Latin1Utf16, Form::Latin1) => self.copy_string(cx, units, 2, &latin1(text_bytes)),
            (Encoding::Latin1Utf16, Form::TaggedUtf16) => self.tagged_to_latin1_or_utf16(cx, text_bytes, units),
        }
    }

    fn copy_string(&mut self, cx: &Context<'_>, units: u64, align: u64, bytes: &[u8]) -> Result<Place, Failure> {
        let pointer = self.realloc(cx, [0, 0, align, bounded(bytes.len() as u64)?])?;
        self.write(cx, pointer, bytes);
        Ok((pointer, units))
    }

    fn transcode_to_utf8(&mut self, cx: &Context<'_>, text: &str, units: u64, worst: u64) -> Result<Place, Failure> {
        let mut pointer = self.realloc(cx, [0, 0, 1, units])?;
        let bytes = text.as_bytes();
        let ascii = bytes.iter().take_while(|byte| byte.is_ascii()).count();
        self.write(cx, pointer, &bytes[..ascii]);
        if ascii == bytes.len() {
            return Ok((pointer, units));
        }
        pointer = self.realloc(cx, [pointer, units, 1, bounded(worst)?])?;
        self.write(cx, pointer + ascii as u64, &bytes[ascii..]);
        let length = bytes.len() as u64;
        if worst > length {
            pointer = self.realloc(cx, [pointer, worst, 1, length])?;
        }
        Ok((pointer, length))
    }

    fn utf8_to_utf16(&mut self, cx: &Context<'_>, text: &str, units: u64) -> Result<Place, Failure> {
        let worst = bounded(2 * units)?;
        let mut pointer = self.realloc(cx, [0, 0, 2, worst])?;
        let bytes = utf16(text);
        self.write(cx, pointer, &bytes);
        let length = bytes.len() as u64;
        if length < worst {
            pointer = self.realloc(cx, [pointer, worst, 2, length])?;
        }
        Ok((pointer, length / 2))
    }

    fn transcode_to_latin1_or_utf16(&mut self, cx: &Context<'_>, text: &str, units: u64) -> Result<Place, Failure> {
        let mut pointer = self.realloc(cx, [0, 0, 2, units])?;
        let prefix: String = text.chars().take_while(|character| u32::from(*character) < 0x100).collect();
        let narrow = latin1(&prefix);
        self.write(cx, pointer, &narrow);
        let length = narrow.len() as u64;
        if prefix.len() == text.len() {
            if length < units {
                pointer = self.realloc(cx, [pointer, units, 2, length])?;
            }
            return Ok((pointer, length));
        }
        let worst = bounded(2 * units)?;
        pointer = self.realloc(cx, [pointer, units, 2, worst])?;
        // The narrow prefix is widened from what memory holds now: `realloc` may have lost it.
        let kept = self.read(cx, pointer, length);
        let wide: Vec<u8> = kept.iter().flat_map(|byte| [*byte, 0]).collect();
        self.write(cx, pointer, &wide);
        let bytes = utf16(text);
        self.write(cx, pointer + 2 * length, &bytes[wide.len()..]);
        let whole = bytes.len() as u64;
        if worst > whole {
            pointer = self.realloc(cx, [pointer, worst, 2, whole])?;
        }
        Ok((pointer, (whole / 2) | cx.tag()))
    }

    fn tagged_to_latin1_or_utf16(&mut self, cx: &Context<'_>, text: &str, units: u64) -> Result<Place, Failure> {
        let bytes = utf16(text);
        let length = bounded(2 * units)?;
        let pointer = self.realloc(cx, [0, 0, 2, length])?;
        self.write(cx, pointer, &bytes);
        if !is_latin1(text) {
            return Ok((pointer, units | cx.tag()));
        }
        self.write(cx, pointer, &latin1(text));
        let pointer = self.realloc(cx, [pointer, length, 1, units])?;
        Ok((pointer, units))
    }

    fn read(&self, cx: &Context<'_>, pointer: u64, count: u64) -> Vec<u8> {
        let Some(memory) = cx.options.memory else { return Vec::new() };
        let bytes = &self.store.memory(memory).bytes;
        bytes.get(pointer as usize..(pointer + count) as usize).unwrap_or(&[]).to_vec()
    }
}
