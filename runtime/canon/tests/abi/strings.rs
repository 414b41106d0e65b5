//! Strings: which calls of `realloc` are made, what arrives, what is refused, and that nothing else is touched.

use crate::guest::{Guest, Habit};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wattest_canon::{
    Encoding, Fault, Form, Options, STRING_BYTES_MAX, StringSource, Width, lift_string, locate_string, lower_string,
};

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// The text in a form, if the form can hold it.
fn bytes(form: Form, text: &str) -> Option<Vec<u8>> {
    match form {
        Form::Utf8 => Some(text.as_bytes().to_vec()),
        Form::Utf16 | Form::TaggedUtf16 => Some(utf16(text)),
        Form::Latin1 => latin1(text),
    }
}

/// Old size, alignment and new size of each call.
type Calls = Vec<(u64, u32, u64)>;

/// What the specification does: calls, contents, and whether the length is tagged.
fn model(form: Form, encoding: Encoding, text: &str) -> (Calls, Vec<u8>, bool) {
    let units = (bytes(form, text).unwrap().len() as u64) / u64::from(form.unit_bytes());
    let mut calls = Calls::new();
    let shrink = |calls: &mut Calls, align: u32, from: u64, to: u64| {
        if to < from {
            calls.push((from, align, to));
        }
    };
    match (encoding, form) {
        (Encoding::Utf8, Form::Utf8) => (vec![(0, 1, units)], text.into(), false),
        (Encoding::Utf8, _) => {
            let worst = units * if form == Form::Latin1 { 2 } else { 3 };
            calls.push((0, 1, units));
            if !text.is_ascii() {
                calls.push((units, 1, worst));
                shrink(&mut calls, 1, worst, text.len() as u64);
            }
            (calls, text.into(), false)
        }
        (Encoding::Utf16, _) => {
            calls.push((0, 2, 2 * units));
            if form == Form::Utf8 {
                shrink(&mut calls, 2, 2 * units, utf16(text).len() as u64);
            }
            (calls, utf16(text), false)
        }
        (Encoding::Compact, Form::Latin1) => (vec![(0, 2, units)], latin1(text).unwrap(), false),
        (Encoding::Compact, Form::TaggedUtf16) => {
            calls.push((0, 2, 2 * units));
            match latin1(text) {
                Some(narrow) => {
                    calls.push((2 * units, 1, narrow.len() as u64));
                    (calls, narrow, false)
                }
                None => (calls, utf16(text), true),
            }
        }
        (Encoding::Compact, _) => {
            calls.push((0, 2, units));
            if let Some(narrow) = latin1(text) {
                shrink(&mut calls, 2, units, narrow.len() as u64);
                return (calls, narrow, false);
            }
            calls.push((units, 2, 2 * units));
            shrink(&mut calls, 2, 2 * units, utf16(text).len() as u64);
            (calls, utf16(text), true)
        }
    }
}

/// Lowers from every form to every encoding, compares with the model, and lifts again.
fn check(text: &str, habit: Habit, width: Width) {
    for encoding in Encoding::ALL {
        for form in Form::ALL {
            let Some(source) = bytes(form, text) else { continue };
            let context = format!("{text:?} from {form:?} to {encoding:?}, {habit:?}");
            let options = Options::new(encoding, width);
            let mut guest = Guest::new(habit);
            let lowered = lower_string(&mut guest, &options, StringSource { form, bytes: &source });
            let (address, length) = lowered.unwrap_or_else(|fault| panic!("{fault}: {context}"));
            let (calls, contents, tagged) = model(form, encoding, text);
            let made: Calls = guest.calls.iter().map(|(_, old, align, new)| (*old, *align, *new)).collect();
            assert_eq!(made, calls, "{context}");
            for (call, place) in guest.calls[1..].iter().zip(&guest.places) {
                assert_eq!(call.0, place.0, "old address: {context}");
            }
            assert_eq!(length & width.utf16_tag() != 0, tagged, "{context}");
            let start = address as usize;
            assert_eq!(guest.memory[start..start + contents.len()], contents, "{context}");
            guest.assert_canaries(0..0);
            // A realloc to alignment 1 may give an address at which the string cannot be read back.
            let lifted = lift_string(&guest.memory, &options, address, length, 1 << 20);
            if address % u64::from(encoding.align()) == 0 {
                assert_eq!(lifted.as_deref(), Ok(text), "{context}");
            } else {
                assert_eq!(lifted, Err(Fault::Unaligned), "{context}");
            }
        }
    }
}

#[test]
fn realloc_is_called_as_specified() {
    let mut texts: Vec<String> =
        ["", "a", "é", "Ā", "€", "😀", "aé", "éa", "a€", "aé€", "€aé", "a😀b", "hö☃🍰"].map(Into::into).into();
    for length in [7, 8, 15, 16, 31, 32, 33, 64, 80] {
        for edge in ['a', 'é', 'ÿ', 'Ā', '€', '😀'] {
            for at in [0, length / 2, length - 1] {
                texts.push((0..length).map(|i| if i == at { edge } else { 'x' }).collect());
                texts.push((0..length).map(|i| if i == at { edge } else { 'ü' }).collect());
            }
        }
    }
    for text in texts {
        check(&text, Habit::Move, Width::W32);
        check(&text, Habit::Stay, Width::W64);
        check(&text, Habit::Grow, Width::W32);
    }
}

#[test]
fn hostile_reallocs_are_refused() {
    fn check(text: &str, encoding: Encoding, address: u64, expected: Result<(), Fault>) {
        let mut guest = Guest::new(Habit::Always(address));
        let options = Options::new(encoding, Width::W64);
        let lowered = lower_string(&mut guest, &options, StringSource::utf8(text.as_bytes()));
        assert_eq!(lowered.map(|_| ()), expected, "{text:?} {encoding:?} at {address:#x}");
        guest.assert_canaries(0..0);
    }
    let end = 1 << 16;
    check("", Encoding::Utf8, end, Ok(()));
    check("", Encoding::Utf8, end + 1, Err(Fault::ReallocOutOfBounds));
    check("abc", Encoding::Utf8, end - 3, Ok(()));
    check("abc", Encoding::Utf8, end - 2, Err(Fault::ReallocOutOfBounds));
    check("abc", Encoding::Utf8, u64::MAX, Err(Fault::ReallocOutOfBounds));
    check("abc", Encoding::Utf16, end - 6, Ok(()));
    check("abc", Encoding::Utf16, end - 5, Err(Fault::ReallocUnaligned));
    check("abc", Encoding::Utf16, u64::MAX, Err(Fault::ReallocUnaligned));
    check("", Encoding::Utf16, 1, Err(Fault::ReallocUnaligned));
    // There is room for the first attempt, not for the second.
    check("ab€", Encoding::Compact, end - 6, Err(Fault::ReallocOutOfBounds));
    check("ab€", Encoding::Compact, 0, Ok(()));
}

#[test]
fn invalid_strings_are_refused() {
    fn check(form: Form, bytes: &[u8], fault: Fault) {
        for encoding in Encoding::ALL {
            let mut guest = Guest::new(Habit::Move);
            let options = Options::new(encoding, Width::W32);
            let lowered = lower_string(&mut guest, &options, StringSource { form, bytes });
            assert_eq!(lowered, Err(fault), "{form:?} {bytes:x?} to {encoding:?}");
            guest.assert_canaries(0..0);
        }
    }
    for before in [0, 1, 15, 16, 31, 32, 33, 80] {
        let ascii = "x".repeat(before);
        let utf8 = |tail: &[u8]| [ascii.as_bytes(), tail].concat();
        check(Form::Utf8, &utf8(b"\xff"), Fault::Utf8);
        check(Form::Utf8, &utf8(b"\xc3"), Fault::Utf8Incomplete);
        check(Form::Utf8, &utf8(b"\xe2\x82"), Fault::Utf8Incomplete);
        check(Form::Utf8, &utf8(b"\xed\xa0\x80"), Fault::Utf8);
        for lone in [&[0xd800u16][..], &[0xdc00], &[0xdc00, 0xd800], &[0x20ac, 0xdfff, 0x20]] {
            let units: Vec<u8> = lone.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let source = [utf16(&ascii), units].concat();
            check(Form::Utf16, &source, Fault::Utf16);
            check(Form::TaggedUtf16, &source, Fault::Utf16);
        }
    }
}

#[test]
fn strings_are_located() {
    fn check(encoding: Encoding, address: u64, length: u64, expected: Result<(Form, usize), Fault>) {
        let found = locate_string(64, encoding, Width::W32, address, length);
        assert_eq!(found.map(|(form, range)| (form, range.len())), expected, "{encoding:?} {address} {length:#x}");
    }
    let tag = Width::W32.utf16_tag();
    check(Encoding::Utf8, 1, 63, Ok((Form::Utf8, 63)));
    check(Encoding::Utf8, 1, 64, Err(Fault::StringOutOfBounds));
    check(Encoding::Utf8, 64, 0, Ok((Form::Utf8, 0)));
    check(Encoding::Utf8, 65, 0, Err(Fault::StringOutOfBounds));
    check(Encoding::Utf16, 1, 0, Err(Fault::Unaligned));
    check(Encoding::Utf16, 2, 31, Ok((Form::Utf16, 62)));
    check(Encoding::Utf16, 2, 32, Err(Fault::StringOutOfBounds));
    check(Encoding::Compact, 2, 62, Ok((Form::Latin1, 62)));
    check(Encoding::Compact, 3, 1, Err(Fault::Unaligned));
    check(Encoding::Compact, 2, 31 | tag, Ok((Form::TaggedUtf16, 62)));
    check(Encoding::Compact, 2, 32 | tag, Err(Fault::StringOutOfBounds));
    check(Encoding::Utf8, 1, STRING_BYTES_MAX + 1, Err(Fault::StringTooLong));
    check(Encoding::Utf16, 1, u64::from(u32::MAX), Err(Fault::StringTooLong));
    let wide = locate_string(64, Encoding::Utf16, Width::W64, u64::MAX - 1, u64::MAX / 2);
    assert_eq!(wide, Err(Fault::StringTooLong));
    let wide = locate_string(64, Encoding::Utf16, Width::W64, u64::MAX - 1, 1);
    assert_eq!(wide, Err(Fault::StringOutOfBounds));
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0x7374_7269),
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn any_text(text in "([ -~]{0,40}|[à-ÿ]{0,5}|.{0,3}){0,4}", moves in any::<bool>()) {
        check(&text, if moves { Habit::Move } else { Habit::Stay }, Width::W32);
    }

    #[test]
    fn any_bytes_anywhere(
        bytes in prop::collection::vec(prop_oneof![3 => b' '..=b'~', 1 => any::<u8>()], 0..90),
        address in prop_oneof![0..70u64, 65_400..65_600u64, any::<u64>()],
        form in 0..4usize,
        encoding in 0..3usize,
    ) {
        let form = Form::ALL[form];
        let source = &bytes[..bytes.len() - bytes.len() % form.unit_bytes() as usize];
        let mut guest = Guest::new(Habit::Always(address));
        let options = Options::new(Encoding::ALL[encoding], Width::W64);
        let _ = lower_string(&mut guest, &options, StringSource { form, bytes: source });
        guest.assert_canaries(0..0);
    }
}
