//! Transcoding against the standard library's conversions: every alignment, every length up to 80, every boundary.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Characters at the edges of what encodings distinguish.
const EDGES: [char; 17] = [
    '\0',
    'a',
    '\u{7f}',
    '\u{80}',
    '\u{bf}',
    '\u{c0}',
    '\u{ff}',
    '\u{100}',
    '\u{7ff}',
    '\u{800}',
    '\u{d7ff}',
    '\u{e000}',
    '\u{fffd}',
    '\u{ffff}',
    '\u{10000}',
    '\u{10fffe}',
    '\u{10ffff}',
];

/// What fills a target around what is written.
const CANARY: u8 = 0xa5;

/// Runs a conversion into a target of `room` bytes at every offset below 16, from a source at every other one, and checks
/// that the result is the same everywhere and nothing is written outside of the room.
fn aligned<R: PartialEq + std::fmt::Debug>(
    source: &[u8],
    room: usize,
    run: impl Fn(&[u8], &mut [u8]) -> R,
) -> (R, Vec<u8>) {
    let mut all = (0..16).map(|offset| {
        let shift = (offset * 7 + 3) % 16;
        let mut from = vec![CANARY; shift];
        from.extend_from_slice(source);
        let mut to = vec![CANARY; offset + room + 16];
        let result = run(&from[shift..], &mut to[offset..offset + room]);
        let (before, rest) = to.split_at(offset);
        let (inside, after) = rest.split_at(room);
        assert!(before.iter().chain(after).all(|byte| *byte == CANARY), "wrote outside of its target");
        (result, inside.to_vec())
    });
    let first = all.next().unwrap();
    for other in all {
        assert_eq!(other, first);
    }
    first
}

/// A conversion gives `expected` exactly and leaves the rest of its target alone.
fn check(
    source: &[u8],
    room: usize,
    expected: Result<&[u8], Fault>,
    run: impl Fn(&[u8], &mut [u8]) -> Result<usize, Fault>,
) {
    let (result, target) = aligned(source, room, &run);
    match expected {
        Ok(bytes) => {
            assert_eq!(result, Ok(bytes.len()), "of {source:x?}");
            assert_eq!(&target[..bytes.len()], bytes, "of {source:x?}");
            assert!(target[bytes.len()..].iter().all(|byte| *byte == CANARY), "wrote beyond its end");
            if !bytes.is_empty() {
                let (short, _) = aligned(source, bytes.len() - 1, &run);
                assert_eq!(short, Err(Fault::StringOutOfBounds), "a target that is too short, of {source:x?}");
            }
        }
        Err(fault) => assert_eq!(result, Err(fault), "of {source:x?}"),
    }
}

fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map_while(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn utf8_fault(bytes: &[u8]) -> Option<Fault> {
    let error = std::str::from_utf8(bytes).err()?;
    Some(if error.error_len().is_none() { Fault::Utf8Incomplete } else { Fault::Utf8 })
}

/// Every conversion from UTF-8.
fn check_utf8(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes);
    let fault = utf8_fault(bytes);
    let expect = |text: Result<Vec<u8>, _>| text.map_err(|_: std::str::Utf8Error| fault.unwrap());
    let same = expect(text.map(|text| text.as_bytes().to_vec()));
    check(bytes, bytes.len(), same.as_deref().map_err(|fault| *fault), |from, to| {
        copy_utf8(from, to).map(|()| from.len())
    });
    let wide = expect(text.map(units));
    check(bytes, 2 * bytes.len(), wide.as_deref().map_err(|fault| *fault), |from, to| {
        utf8_to_utf16(from, to).map(|units| 2 * units)
    });
    if let Ok(text) = text {
        let narrow = latin1(text);
        let read = text.chars().take(narrow.len()).map(char::len_utf8).sum();
        check(bytes, bytes.len(), Ok(&narrow), |from, to| {
            let progress = utf8_to_latin1(from, to)?;
            assert_eq!(progress.read, read);
            Ok(progress.written)
        });
    }
    assert_eq!(as_utf8(bytes).err(), fault);
    let ascii = bytes.iter().take_while(|byte| byte.is_ascii()).count();
    let (copied, target) = aligned(bytes, bytes.len(), copy_ascii);
    assert_eq!((copied, &target[..ascii]), (ascii, &bytes[..ascii]));
    assert!(target[ascii..].iter().all(|byte| *byte == CANARY));
}

/// Every conversion from UTF-16.
fn check_utf16(bytes: &[u8]) {
    let words: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16(&words);
    let room = 3 * words.len();
    let narrow = text.as_ref().map_err(|_| Fault::Utf16).map(|text| text.as_bytes());
    check(bytes, room, narrow, utf16_to_utf8);
    let same = text.as_ref().map_err(|_| Fault::Utf16).map(|_| bytes);
    check(bytes, bytes.len(), same, |from, to| copy_utf16(from, to).map(|_| from.len()));
    if let Ok(text) = &text {
        let (is_latin1, _) = aligned(bytes, bytes.len(), copy_utf16);
        assert_eq!(is_latin1, Ok(text.chars().all(|c| c <= '\u{ff}')));
    }
    for (limit, run) in [(0x80, utf16_to_ascii as fn(&[u8], &mut [u8]) -> usize), (0x100, utf16_to_latin1)] {
        let prefix: Vec<u8> = words.iter().take_while(|unit| **unit < limit).map(|unit| *unit as u8).collect();
        let (written, target) = aligned(bytes, words.len(), run);
        assert_eq!((written, &target[..written]), (prefix.len(), &prefix[..]));
        assert!(target[written..].iter().all(|byte| *byte == CANARY));
    }
}

/// Every conversion from Latin-1.
fn check_latin1(bytes: &[u8]) {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    check(bytes, 2 * bytes.len(), Ok(text.as_bytes()), latin1_to_utf8);
    check(bytes, 2 * bytes.len(), Ok(&units(&text)), |from, to| latin1_to_utf16(from, to).map(|()| 2 * from.len()));
    check(bytes, bytes.len(), Ok(bytes), |from, to| copy_latin1(from, to).map(|()| from.len()));
    let mut place = bytes.to_vec();
    place.resize(2 * bytes.len() + 3, CANARY);
    inflate_latin1(&mut place, bytes.len());
    assert_eq!(&place[..2 * bytes.len()], units(&text));
    assert_eq!(&place[2 * bytes.len()..], [CANARY; 3]);
    deflate_latin1(&mut place[..2 * bytes.len()]);
    assert_eq!(&place[..bytes.len()], bytes);
}

#[test]
fn every_length_with_an_edge_at_every_position() {
    for length in 0..=80 {
        let plain = "x".repeat(length);
        check_utf8(plain.as_bytes());
        check_utf16(&units(&plain));
        check_latin1(plain.as_bytes());
    }
    for length in 1..=80 {
        for edge in EDGES {
            for at in [0, length / 2, length - 1] {
                let text: String = (0..length).map(|i| if i == at { edge } else { 'x' }).collect();
                check_utf8(text.as_bytes());
                check_utf16(&units(&text));
                check_latin1(&latin1(&text));
            }
        }
    }
}

#[test]
fn every_edge_follows_every_other() {
    for length in 0..=40 {
        for first in 0..EDGES.len() {
            let text: String = (0..length).map(|i| EDGES[(first + i * 5) % EDGES.len()]).collect();
            check_utf8(text.as_bytes());
            check_utf16(&units(&text));
            check_latin1(&latin1(&text));
        }
    }
}

#[test]
fn truncated_and_corrupted_utf8() {
    for edge in EDGES {
        for before in [0, 1, 29, 30, 31, 32, 61, 62, 63, 64] {
            let mut bytes = "x".repeat(before).into_bytes();
            bytes.extend_from_slice(edge.to_string().as_bytes());
            for end in before..=bytes.len() {
                check_utf8(&bytes[..end]);
                let mut tail = bytes[..end].to_vec();
                tail.extend_from_slice(b"yyyy");
                check_utf8(&tail);
            }
        }
    }
    // Every first byte with second bytes of every class.
    for first in 0x80..=0xff {
        for second in [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff] {
            check_utf8(&[first, second]);
            check_utf8(&[first, second, 0x80]);
            check_utf8(&[b'x', first, second, 0x80, 0xbf]);
        }
    }
}

#[test]
fn lone_surrogates() {
    let lone: [&[u16]; 7] = [
        &[0xd800],
        &[0xdbff],
        &[0xdc00],
        &[0xdfff],
        &[0xdc00, 0xd800],
        &[0xd800, 0xd800, 0xdc00],
        &[0xd83d, 0xde00, 0xde00],
    ];
    for surrogates in lone {
        for before in [0, 1, 30, 31, 32, 62, 63, 64] {
            for after in [0, 1, 32] {
                let words = [vec![0x61; before], surrogates.to_vec(), vec![0x62; after]].concat();
                check_utf16(&words.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>());
            }
        }
    }
}

#[test]
fn every_character_by_itself() {
    let mut target = [0; 8];
    for c in '\0'..=char::MAX {
        let (mut bytes, mut words) = ([0; 4], [0; 2]);
        let utf8 = c.encode_utf8(&mut bytes).as_bytes();
        let utf16: Vec<u8> = c.encode_utf16(&mut words).iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let count = utf8_to_utf16(utf8, &mut target).unwrap();
        assert_eq!(target[..2 * count], utf16);
        let count = utf16_to_utf8(&utf16, &mut target).unwrap();
        assert_eq!(&target[..count], utf8);
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    for shift in 0..4 {
        for edge in ['é', '€', '😀'] {
            let text = "x".repeat(shift) + &edge.to_string().repeat(20_000);
            let mut target = vec![0; text.len()];
            assert_eq!(copy_utf8(text.as_bytes(), &mut target), Ok(()));
            assert_eq!(target, text.as_bytes());
            let cut = &text.as_bytes()[..text.len() - 1];
            assert_eq!(copy_utf8(cut, &mut target), Err(Fault::Utf8Incomplete));
        }
    }
    assert_eq!(copy_utf8(&[0x80; 40_000], &mut [0; 40_000]), Err(Fault::Utf8));
}

fn text() -> impl Strategy<Value = String> {
    let edge = (0..EDGES.len()).prop_map(|at| EDGES[at]);
    let run = prop_oneof![
        3 => "[ -~]{0,70}",
        1 => prop::collection::vec(edge, 0..8).prop_map(String::from_iter),
        1 => ".{0,10}",
        1 => "[à-ÿ]{0,40}",
    ];
    prop::collection::vec(run, 0..6).prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0x7261_6e73),
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    })]

    #[test]
    fn texts(text in text()) {
        check_utf8(text.as_bytes());
        check_utf16(&units(&text));
        check_latin1(&latin1(&text));
    }

    #[test]
    fn damaged_texts(text in text(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.into_bytes();
        bytes.push(b'x');
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check_utf8(&bytes);
        check_utf16(&bytes[..bytes.len() & !1]);
        check_latin1(&bytes);
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        check_utf8(&bytes);
        check_utf16(&bytes[..bytes.len() & !1]);
        check_latin1(&bytes);
    }
}
