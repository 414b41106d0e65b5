//! The sections of a core module's binary, as far as a tool needs them
//! ([spec](https://webassembly.github.io/spec/core/binary/modules.html#sections)).
//!
//! Invariant: what is malformed ends the list; nothing is believed beyond the bytes that are there.
//!
//! Does not know: what is in a section, but where bodies begin.

use std::ops::Range;

/// Number of the custom sections.
pub const CUSTOM: u8 = 0;
/// Number of the code section.
pub const CODE: u8 = 10;

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its number.
    pub id: u8,
    /// The name of a custom section.
    pub name: Option<&'a [u8]>,
    /// Where its content lies in the binary: of a custom section with the name.
    pub range: Range<usize>,
    /// Its content: of a custom section, without the name.
    pub content: &'a [u8],
}

/// The sections of a binary, in order, as far as they go.
pub fn sections(wasm: &[u8]) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let Some(mut rest) = wasm.strip_prefix(b"\0asm\x01\0\0\0") else { return sections };
    while let Some((id, after)) = rest.split_first() {
        let Some((size, after)) = leb128(after) else { break };
        let Some((content, next)) = after.split_at_checked(size as usize) else { break };
        let start = wasm.len() - after.len();
        let range = start..start + content.len();
        let named = leb128(content).and_then(|(bytes, text)| text.split_at_checked(bytes as usize));
        let (name, content) = match named.filter(|_| *id == CUSTOM) {
            Some((name, content)) => (Some(name), content),
            None => (None, content),
        };
        sections.push(Section { id: *id, name, range, content });
        rest = next;
    }
    sections
}

/// Where each function body begins in a binary: the byte after its size.
pub fn bodies(wasm: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let Some(code) = sections(wasm).into_iter().find(|section| section.id == CODE) else { return starts };
    let Some((count, mut rest)) = leb128(code.content) else { return starts };
    for _ in 0..count {
        let Some((size, body)) = leb128(rest) else { break };
        starts.push(code.range.end - body.len());
        let Some(next) = body.get(size as usize..) else { break };
        rest = next;
    }
    starts
}

/// An unsigned 32-bit number in LEB128, and what follows it.
pub fn leb128(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &bytes[position + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_listed_as_far_as_they_go() {
        fn check(body: &[u8], expected: &[(u8, &str, usize)]) {
            let bytes = [b"\0asm\x01\0\0\0", body].concat();
            let actual: Vec<_> = sections(&bytes)
                .iter()
                .map(|section| {
                    let name = String::from_utf8_lossy(section.name.unwrap_or_default()).into_owned();
                    (section.id, name, section.range.len())
                })
                .collect();
            let expected: Vec<_> = expected.iter().map(|(id, name, bytes)| (*id, (*name).to_owned(), *bytes)).collect();
            assert_eq!(actual, expected);
        }
        check(&[], &[]);
        check(&[1, 1, 0, 0, 5, 1, b'x', 1, 2, 3], &[(1, "", 1), (0, "x", 5)]);
        check(&[0, 1, 9], &[(0, "", 1)]);
        check(&[10, 0x81, 0], &[]);
        check(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0], &[]);
        check(&[77, 0], &[(77, "", 0)]);
    }

    #[test]
    fn bodies_are_found() {
        let wasm = wat::parse_str("(module (func nop) (func (drop (i32.const 1))))").unwrap();
        let starts = bodies(&wasm);
        assert_eq!(starts.len(), 2);
        // No locals, then the first instruction.
        assert_eq!(wasm[starts[0]..starts[0] + 2], [0, 1]);
        assert_eq!(wasm[starts[1]..starts[1] + 2], [0, 0x41]);
        assert_eq!(bodies(b"\0asm\x01\0\0\0\x0a\x02\xff\x00"), Vec::<usize>::new());
    }
}
