//! The steps of string lowering as generated code calls them: by memories, addresses and lengths.
//!
//! A [`Step`] is one conversion of the
//! [specified protocol](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing) from one
//! linear memory to another. The code that calls it has located the string and checked what `realloc` gave; here
//! everything is checked once more, since that code computes its addresses from what a guest supplies.
//!
//! Each row is one function of [`crate::transcode`]; its name is the function's name.
//!
//! Invariant: nothing is read outside the source's range or written outside the target's, both checked against the memories'
//! lengths at the time of the call; ranges of one memory that overlap are read in full before anything is written.
//!
//! Does not know: how compiled code finds a memory, or how it is told of a fault beyond [`Step::answer`].

use super::{
    copy_ascii, copy_latin1, copy_utf8, copy_utf16, deflate_latin1, inflate_latin1, latin1_to_utf8, latin1_to_utf16,
    utf8_to_latin1, utf8_to_utf16, utf16_to_ascii, utf16_to_latin1, utf16_to_utf8,
};
use crate::fault::Fault;
use crate::memory::checked_range;
use serde::{Deserialize, Serialize};
use std::ops::Range;

macro_rules! steps {
    ($($(#[$doc:meta])* $row:ident $name:literal;)*) => {
        /// One conversion.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Step {
            $($(#[$doc])* $row,)*
        }

        impl Step {
            /// All of them.
            pub const ALL: &[Step] = &[$(Step::$row),*];

            /// The function's name.
            pub const fn name(self) -> &'static str {
                match self { $(Step::$row => $name,)* }
            }

            /// The step with a name.
            pub fn by_name(name: &str) -> Option<Step> {
                Step::ALL.iter().copied().find(|step| step.name() == name)
            }
        }
    };
}

steps! {
    /// The prefix of bytes that is ASCII and fits. Answers its length.
    CopyAscii "copy_ascii";
    /// Bytes as they are. Answers how many.
    CopyLatin1 "copy_latin1";
    /// UTF-8, validated, to as many bytes. Answers how many.
    CopyUtf8 "copy_utf8";
    /// UTF-16, validated, to as many units. Answers 1 when all of it is Latin-1, else 0.
    CopyUtf16 "copy_utf16";
    /// Latin-1 to UTF-8. Answers the bytes written.
    Latin1ToUtf8 "latin1_to_utf8";
    /// Latin-1 to as many units of UTF-16. Answers how many.
    Latin1ToUtf16 "latin1_to_utf16";
    /// UTF-8, validated, to Latin-1, up to the first character that is not. Answers the bytes read in the low 32 bits
    /// and the bytes written in the upper ones.
    Utf8ToLatin1 "utf8_to_latin1";
    /// UTF-8, validated, to UTF-16. Answers the units written.
    Utf8ToUtf16 "utf8_to_utf16";
    /// The prefix of UTF-16 that is ASCII and fits. Answers its length.
    Utf16ToAscii "utf16_to_ascii";
    /// The prefix of UTF-16 that is Latin-1 and fits. Answers its length.
    Utf16ToLatin1 "utf16_to_latin1";
    /// UTF-16, validated, to UTF-8. Answers the bytes written.
    Utf16ToUtf8 "utf16_to_utf8";
    /// As many bytes of Latin-1 at the start of the target as the source has, in place to units of UTF-16. The source's
    /// address is not looked at. Answers 0.
    InflateLatin1 "inflate_latin1";
    /// All of the target, units of UTF-16 that are Latin-1, in place to half as many bytes. The source is not looked at.
    /// Answers 0.
    DeflateLatin1 "deflate_latin1";
}

/// Where the source is, in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Address in bytes.
    pub base: u64,
    /// Length in code units.
    pub units: u64,
}

/// Where the target is, in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Address in bytes.
    pub base: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl Step {
    /// Whether only the target is looked at.
    const fn is_in_place(self) -> bool {
        matches!(self, Step::InflateLatin1 | Step::DeflateLatin1)
    }

    const fn source_unit_bytes(self) -> u64 {
        match self {
            Step::CopyUtf16 | Step::Utf16ToAscii | Step::Utf16ToLatin1 | Step::Utf16ToUtf8 => 2,
            _ => 1,
        }
    }

    /// Converts between two memories.
    ///
    /// # Errors
    /// [`Fault::StringOutOfBounds`] for a source or a target beyond its memory's end or a target that is too short; faults of
    /// validation.
    pub fn between(self, from: &[u8], text: Text, to: &mut [u8], room: Room) -> Result<i64, Fault> {
        let target = self.target(to.len(), room)?;
        let source = match self.source(from.len(), text)? {
            Some(range) => &from[range],
            None => &[],
        };
        self.convert(source, text.units, &mut to[target])
    }

    /// Converts within one memory. Ranges that overlap cost a copy of the source.
    ///
    /// # Errors
    /// Those of [`Step::between`].
    pub fn within(self, memory: &mut [u8], text: Text, room: Room) -> Result<i64, Fault> {
        let target = self.target(memory.len(), room)?;
        let Some(source) = self.source(memory.len(), text)? else {
            return self.convert(&[], text.units, &mut memory[target]);
        };
        if source.end <= target.start {
            let (low, high) = memory.split_at_mut(target.start);
            self.convert(&low[source], text.units, &mut high[..target.len()])
        } else if target.end <= source.start {
            let (low, high) = memory.split_at_mut(source.start);
            self.convert(&high[..source.len()], text.units, &mut low[target])
        } else {
            let copy = memory[source].to_vec();
            self.convert(&copy, text.units, &mut memory[target])
        }
    }

    /// What generated code is told: the answer, which is never negative, or the fault's code with its sign turned.
    pub fn answer(result: Result<i64, Fault>) -> i64 {
        // Conversions have no other faults than those with a code.
        result.unwrap_or_else(|fault| -i64::from(fault.code().unwrap_or(Fault::CODES)))
    }

    fn source(self, memory_bytes: usize, text: Text) -> Result<Option<Range<usize>>, Fault> {
        if self.is_in_place() {
            return Ok(None);
        }
        let bytes = text.units.checked_mul(self.source_unit_bytes()).ok_or(Fault::StringOutOfBounds)?;
        checked_range(memory_bytes, text.base, bytes).map(Some).ok_or(Fault::StringOutOfBounds)
    }

    fn target(self, memory_bytes: usize, room: Room) -> Result<Range<usize>, Fault> {
        checked_range(memory_bytes, room.base, room.bytes).ok_or(Fault::StringOutOfBounds)
    }

    fn convert(self, from: &[u8], units: u64, to: &mut [u8]) -> Result<i64, Fault> {
        let length = match self {
            Step::CopyLatin1 => copy_latin1(from, to).map(|()| from.len())?,
            Step::CopyUtf8 => copy_utf8(from, to).map(|()| from.len())?,
            Step::CopyUtf16 => usize::from(copy_utf16(from, to)?),
            Step::Utf8ToUtf16 => utf8_to_utf16(from, to)?,
            Step::Utf8ToLatin1 => {
                let progress = utf8_to_latin1(from, to)?;
                if progress.written > i32::MAX as usize || progress.read > u32::MAX as usize {
                    return Err(Fault::StringTooLong);
                }
                progress.written << 32 | progress.read
            }
            Step::Utf16ToAscii => utf16_to_ascii(from, to),
            Step::Utf16ToLatin1 => utf16_to_latin1(from, to),
            Step::Utf16ToUtf8 => utf16_to_utf8(from, to)?,
            Step::CopyAscii => copy_ascii(from, to),
            Step::Latin1ToUtf8 => latin1_to_utf8(from, to)?,
            Step::Latin1ToUtf16 => latin1_to_utf16(from, to).map(|()| from.len())?,
            Step::InflateLatin1 => {
                let count = usize::try_from(units).ok().filter(|count| *count <= to.len() / 2);
                inflate_latin1(to, count.ok_or(Fault::StringOutOfBounds)?);
                0
            }
            Step::DeflateLatin1 => {
                deflate_latin1(to);
                0
            }
        };
        i64::try_from(length).map_err(|_| Fault::StringTooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: u8 = 0xa5;

    /// A step between two memories, and the same within one at every distance of source and target.
    fn check(step: Step, source: &[u8], units: u64, room: u64) {
        let mut apart = vec![CANARY; 200];
        let expected = step.between(source, Text { base: 0, units }, &mut apart, Room { base: 60, bytes: room });
        assert!(apart[..60].iter().chain(&apart[60 + room as usize..]).all(|byte| *byte == CANARY), "{step:?}");
        for base in 0..120u64 {
            let mut memory = vec![CANARY; 200];
            memory[base as usize..base as usize + source.len()].copy_from_slice(source);
            let before = memory.clone();
            let found = step.within(&mut memory, Text { base, units }, Room { base: 60, bytes: room });
            if !step.is_in_place() {
                assert_eq!(found, expected, "{step:?} from {base}");
            }
            let outside = |at: &usize| *at < 60 || *at >= 60 + room as usize;
            assert!((0..200).filter(outside).all(|at| memory[at] == before[at]), "{step:?} from {base}");
            if let (Ok(_), false) = (found, step.is_in_place()) {
                let differs = |at: usize| memory[at] != apart[at] && memory[at] != before[at];
                assert!(!(60..60 + room as usize).any(differs), "{step:?} from {base}");
            }
        }
    }

    #[test]
    fn ranges_of_one_memory_may_overlap() {
        for step in Step::ALL {
            let unit_bytes = step.source_unit_bytes();
            for source in [&b"abcdefgh"[..], b"a\0b\0\xc3\0\xe9\0", "äöüß".as_bytes(), b"\xff\xfe\xfd\xdc\xd8\0\0\xd8"]
            {
                let units = source.len() as u64 / unit_bytes;
                for room in [0, 4, 8, 16, 24] {
                    check(*step, source, units, room);
                }
            }
        }
    }

    #[test]
    fn ranges_beyond_a_memory_are_refused() {
        let source = [b'a'; 16];
        for step in Step::ALL {
            for (base, units) in [(17, 0), (10, 9), (u64::MAX, 1), (1, u64::MAX), (0, 1 << 63)] {
                let mut target = [CANARY; 64];
                let text = Text { base, units };
                let result = step.between(&source, text, &mut target, Room { base: 0, bytes: 64 });
                let units_do_not_matter = *step == Step::DeflateLatin1 || *step == Step::InflateLatin1 && units <= 32;
                assert!(units_do_not_matter || result == Err(Fault::StringOutOfBounds), "{step:?} {text:?}");
            }
            for (base, bytes) in [(65, 0), (60, 5), (u64::MAX, 1), (1, u64::MAX)] {
                let mut target = [CANARY; 64];
                let room = Room { base, bytes };
                let result = step.between(&source, Text { base: 0, units: 8 }, &mut target, room);
                assert_eq!(result, Err(Fault::StringOutOfBounds), "{step:?} {room:?}");
                assert_eq!(target, [CANARY; 64]);
                assert_eq!(step.within(&mut target, Text { base: 0, units: 8 }, room), result);
            }
        }
    }

    #[test]
    fn faults_have_codes_and_answers_have_none() {
        for number in 1..=Fault::CODES {
            let fault = Fault::from_code(number).unwrap();
            assert_eq!(fault.code(), Some(number));
            assert_eq!(Step::answer(Err(fault)), -i64::from(number));
        }
        assert_eq!([0, Fault::CODES + 1, i32::MIN].map(Fault::from_code), [None; 3]);
        assert_eq!(Fault::ValueTooLarge(1).code(), None);
        assert_eq!(Step::answer(Ok(7)), 7);
    }
}
