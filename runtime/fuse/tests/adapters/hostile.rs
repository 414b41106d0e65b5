//! Guests that lie: about addresses and lengths, in what they call text, in what their `realloc` gives.

use crate::interpret::{self, Pair};
use crate::world::{
    Event, HEAP, Heap, Id, LIFT, LOWER, Outcome, PAGE, Policy, World, adapter, check_canaries, code, encode, engine,
    memory, with_room,
};
use wattest_canon::{
    Convention, Encoding, Fault, Form, LIST_BYTES_MAX, STRING_BYTES_MAX, Scalar, Type, TypeId, Types, Width,
    flatten_function,
};
use wattest_fuse::plan::{Abi, Route};
use wattest_fuse::{Callee, Memory};

/// Types, whether a length counts units of two bytes, and a name for messages.
fn passed(types: &mut Types) -> Vec<TypeId> {
    let bytes = types.intern(Type::List(TypeId::scalar(Scalar::U8))).unwrap();
    let words = types.intern(Type::List(TypeId::scalar(Scalar::U64))).unwrap();
    let chars = types.intern(Type::List(TypeId::scalar(Scalar::Char))).unwrap();
    let texts = types.intern(Type::List(TypeId::STRING)).unwrap();
    vec![TypeId::STRING, bytes, words, chars, texts]
}

fn ends() -> Vec<(Encoding, Width)> {
    Encoding::ALL.into_iter().flat_map(|encoding| Width::ALL.map(|width| (encoding, width))).collect()
}

/// One call with a memory of `pages` zero bytes on each side, all but what is written into the caller's.
fn run(types: &Types, ty: TypeId, ends: [(Encoding, Width); 2], args: [u64; 2], policy: Policy) -> (Outcome, Vec<u8>) {
    let encoded = encode(types, &adapter(&[ty], None, (ends[LOWER], ends[LIFT])));
    // Zeros are text in every encoding, and numbers of every kind.
    let (caller, callee) = (vec![0; 2 * PAGE as usize], memory(2 * PAGE));
    let world = World::new(&engine(), &encoded, [policy; 2], [&caller, &callee]);
    let outcome = world.call(&args);
    assert!(outcome.memories[LOWER] == caller, "the caller's memory changed");
    (outcome, callee)
}

#[test]
fn every_realloc_that_lies_traps_and_writes_nothing_elsewhere() {
    with_room(|| {
        let mut types = Types::default();
        let policies = [
            Policy::Unaligned(1),
            Policy::Unaligned(2),
            Policy::AtEnd(0),
            Policy::AtEnd(8),
            Policy::Largest,
            Policy::Trapping(1),
            Policy::Trapping(2),
            Policy::Fixed(HEAP),
            Policy::Growing,
        ];
        for ty in passed(&mut types) {
            for lift in ends() {
                for policy in policies {
                    for count in [0, 3, 20] {
                        let lower = (Encoding::Utf16, Width::W32);
                        let (outcome, callee) = run(&types, ty, [lower, lift], [1024, count], policy);
                        assert_ne!(outcome.result, Err(-2), "{policy:?}: not a trap of ours");
                        let given = &outcome.given[LIFT];
                        check_canaries(&callee, &outcome.memories[LIFT], given, (0, 0));
                        let first = given.first().copied();
                        if let (Policy::Largest | Policy::Trapping(1), _) | (_, None) = (policy, first) {
                            assert!(outcome.result.is_err(), "{policy:?} of {count}");
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn a_realloc_is_checked_even_for_nothing() {
    let mut types = Types::default();
    let [string, bytes, words, ..] = passed(&mut types)[..] else { panic!("five types") };
    let utf8 = (Encoding::Utf8, Width::W32);
    let check = |ty: TypeId, policy: Policy, expected: Fault| {
        for width in Width::ALL {
            let (outcome, _) = run(&types, ty, [utf8, (Encoding::Utf8, width)], [0, 0], policy);
            assert_eq!(outcome.result, Err(code(expected)), "{policy:?} {width:?}");
            assert_eq!(outcome.given[LIFT].len(), 1);
        }
    };
    check(bytes, Policy::Largest, Fault::ListOutOfBounds);
    check(string, Policy::Largest, Fault::StringOutOfBounds);
    check(words, Policy::Fixed(2), Fault::Unaligned);
    check(words, Policy::Largest, Fault::ListOutOfBounds);
}

#[test]
fn sources_are_located_before_anything_else() {
    let mut types = Types::default();
    let end = 2 * PAGE;
    let [string, bytes, words, ..] = passed(&mut types)[..] else { panic!("five types") };
    let check = |ty: TypeId, encoding: Encoding, address: u64, length: u64, expected: Fault| {
        for width in Width::ALL {
            let lower = (encoding, width);
            let (outcome, _) =
                run(&types, ty, [lower, (Encoding::Utf8, Width::W32)], [address, length], Policy::Moving);
            assert_eq!(outcome.result, Err(code(expected)), "{encoding:?} {width:?} {address:#x} {length:#x}");
            assert_eq!(outcome.given[LIFT], [], "realloc ran for a source that is not there");
        }
    };
    let top = u64::from(u32::MAX);
    for (ty, beyond, long, bytes_max) in [
        (string, Fault::StringOutOfBounds, Fault::StringTooLong, STRING_BYTES_MAX),
        (bytes, Fault::ListOutOfBounds, Fault::ListTooLong, LIST_BYTES_MAX),
    ] {
        check(ty, Encoding::Utf8, end - 3, 4, beyond);
        check(ty, Encoding::Utf8, end + 1, 0, beyond);
        check(ty, Encoding::Utf8, top, 1, beyond);
        check(ty, Encoding::Utf8, 0, bytes_max, beyond);
        check(ty, Encoding::Utf8, 0, bytes_max + 1, long);
        check(ty, Encoding::Utf8, top, top >> 1, long);
    }
    check(words, Encoding::Utf8, 4, 0, Fault::Unaligned);
    check(words, Encoding::Utf8, end - 8, 2, Fault::ListOutOfBounds);
    check(words, Encoding::Utf8, 0, LIST_BYTES_MAX / 8 + 1, Fault::ListTooLong);
    check(words, Encoding::Utf8, 0, top, Fault::ListTooLong);
    for encoding in [Encoding::Utf16, Encoding::Compact] {
        check(string, encoding, 1, 0, Fault::Unaligned);
        check(string, encoding, end - 2, 3, Fault::StringOutOfBounds);
    }
    check(string, Encoding::Utf16, 0, STRING_BYTES_MAX / 2 + 1, Fault::StringTooLong);
}

#[test]
fn addresses_of_wide_memories_do_not_wrap() {
    let mut types = Types::default();
    let [string, bytes, words, ..] = passed(&mut types)[..] else { panic!("five types") };
    for ty in [string, bytes, words] {
        for address in [!7, 1 << 63, 1 << 32, (1 << 32) + 8] {
            for length in [0, 1, 8, 1 << 20, 1 << 61, 1 << 63, u64::MAX] {
                let ends = [(Encoding::Utf8, Width::W64), (Encoding::Utf8, Width::W64)];
                let (outcome, callee) = run(&types, ty, ends, [address, length], Policy::Moving);
                assert!(outcome.result.is_err(), "{address:#x} {length:#x}");
                assert!(outcome.memories[LIFT] == callee);
            }
        }
    }
}

/// A string's bytes as they lie at 1024 in the caller's memory.
fn pass_text(lower: Encoding, lift: Encoding, text: &[u8], length: u64) -> Outcome {
    let types = Types::default();
    let ends = ((lower, Width::W32), (lift, Width::W32));
    let encoded = encode(&types, &adapter(&[TypeId::STRING], None, ends));
    let (mut caller, callee) = (memory(2 * PAGE), memory(2 * PAGE));
    caller[1024..1024 + text.len()].copy_from_slice(text);
    let args = [1024, length];
    let outcome = World::new(&engine(), &encoded, [Policy::Moving; 2], [&caller, &callee]).call(&args);
    check_canaries(&callee, &outcome.memories[LIFT], &outcome.given[LIFT], (0, 0));
    // The interpreter makes the same calls of `realloc` and leaves the same memory.
    let heap = Heap::new(Policy::Moving);
    let mut pair = Pair { source: &caller, target: callee, heap, events: Vec::new(), width: Width::W32 };
    let abi = |encoding| Abi { encoding, width: Width::W32 };
    let route = Route { from: abi(lower), to: abi(lift) };
    let list = [TypeId::STRING];
    let signature = |convention| flatten_function(&types, &list, None, Width::W32, convention);
    let signatures = (&signature(Convention::Lower), &signature(Convention::Lift));
    let slots = interpret::params(&mut pair, &types, (&list, route), signatures, &args);
    let call = slots.ok().map(|args| Event::Call { args, may_leave: [1, 1] });
    pair.events.extend(call.clone());
    assert_eq!(pair.events, outcome.events);
    assert!(call.is_none() || pair.target == outcome.seen);
    outcome
}

#[test]
fn text_that_is_none_traps_in_every_encoding() {
    with_room(|| {
        let texts: [(&[u8], Encoding, u64, Fault); 8] = [
            (b"\xff", Encoding::Utf8, 1, Fault::Utf8),
            (b"abcdefghijklmnopqrstuvwxyz\xc3", Encoding::Utf8, 27, Fault::Utf8Incomplete),
            (b"ab\xed\xa0\x80", Encoding::Utf8, 5, Fault::Utf8),
            (b"\xc0\x80", Encoding::Utf8, 2, Fault::Utf8),
            (b"a\0\0\xd8", Encoding::Utf16, 2, Fault::Utf16),
            (b"\0\xdc", Encoding::Utf16, 1, Fault::Utf16),
            (b"\0\xdc\0\xd8", Encoding::Compact, 2 | 1 << 31, Fault::Utf16),
            (b"a\0\xff\xdbb\0", Encoding::Compact, 3 | 1 << 31, Fault::Utf16),
        ];
        for (text, lower, length, fault) in texts {
            for lift in Encoding::ALL {
                assert_eq!(pass_text(lower, lift, text, length).result, Err(code(fault)), "{text:x?} to {lift:?}");
            }
        }
    });
}

#[test]
fn every_length_and_alignment_of_text_stays_within_its_target() {
    with_room(|| {
        for lower in Encoding::ALL {
            for lift in Encoding::ALL {
                for length in 0..=80u64 {
                    let forms: &[(Form, u64)] = match lower {
                        Encoding::Compact => &[(Form::Latin1, 0), (Form::TaggedUtf16, 1 << 31)],
                        Encoding::Utf16 => &[(Form::Utf16, 0)],
                        Encoding::Utf8 => &[(Form::Utf8, 0)],
                    };
                    for (form, tag) in forms {
                        let last = if length % 2 == 0 { 'x' } else { 'é' };
                        let text: String = (1..length).map(|_| 'x').chain((length > 0).then_some(last)).collect();
                        let bytes: Vec<u8> = match form {
                            Form::Utf8 => text.bytes().collect(),
                            Form::Latin1 => text.chars().map(|c| c as u8).collect(),
                            _ => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                        };
                        let units = bytes.len() as u64 / u64::from(form.unit_bytes());
                        let outcome = pass_text(lower, lift, &bytes, units | tag);
                        assert_eq!(outcome.result, Ok(vec![]), "{form:?} to {lift:?} of {length}");
                    }
                }
            }
        }
    });
}

#[test]
fn source_and_target_may_overlap_in_one_memory() {
    with_room(|| {
        let mut types = Types::default();
        for ty in passed(&mut types) {
            // One memory has one width.
            let pairs = ends().into_iter().flat_map(|lower| Encoding::ALL.map(|encoding| (lower, (encoding, lower.1))));
            for (lower, lift) in pairs {
                let mut adapter = adapter(&[ty], None, (lower, lift));
                adapter.lift.memory = Some(Memory { id: Id::Memory(LOWER), width: lift.1, page_bits: 16 });
                adapter.lift.realloc = Some(Callee::Import(Id::Realloc(LOWER)));
                let encoded = encode(&types, &adapter);
                for target in [1000, 1024, 1032, 1048] {
                    let mut contents = memory(2 * PAGE);
                    contents[1024..1124].fill(0);
                    let before = contents.clone();
                    let policies = [Policy::Fixed(target), Policy::Moving];
                    let world = World::new(&engine(), &encoded, policies, [&contents, &[]]);
                    let outcome = world.call(&[1024, 5]);
                    assert_ne!(outcome.result, Err(-2), "{lower:?} {lift:?} at {target}");
                    check_canaries(&before, &outcome.memories[LOWER], &outcome.given[LOWER], (0, 0));
                }
            }
        }
    });
}

/// RUSTSEC-2026-0091: a transcoder wrote beyond what `realloc` gave.
#[test]
fn advisory_transcoding_writes_no_byte_beyond_the_last_realloc() {
    with_room(|| {
        // Growth to the worst case fails to fit: the second `realloc` gives an address near the end of memory.
        let text: Vec<u8> = "aaaaaaaa\u{ffff}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let types = Types::default();
        let ends = ((Encoding::Utf16, Width::W32), (Encoding::Utf8, Width::W32));
        let encoded = encode(&types, &adapter(&[TypeId::STRING], None, ends));
        for less in 0..40 {
            let (mut caller, callee) = (memory(2 * PAGE), memory(2 * PAGE));
            caller[1024..1024 + text.len()].copy_from_slice(&text);
            let policy = Policy::AtEnd(less);
            let outcome = World::new(&engine(), &encoded, [policy; 2], [&caller, &callee]).call(&[1024, 9]);
            // Nine units may become 27 bytes.
            assert_eq!(outcome.result.is_ok(), less >= 27, "{less} bytes before the end");
            check_canaries(&callee, &outcome.memories[LIFT], &outcome.given[LIFT], (0, 0));
        }
    });
}

/// RUSTSEC-2026-0092: a misaligned string of UTF-16 reached code that relied on alignment.
#[test]
fn advisory_misaligned_utf16_is_a_trap() {
    let types = Types::default();
    for lower in [Encoding::Utf16, Encoding::Compact] {
        for lift in Encoding::ALL {
            for tag in [0, 1 << 31] {
                let ends = [(lower, Width::W32), (lift, Width::W32)];
                let length = if lower == Encoding::Compact { 2 | tag } else { 2 };
                let (outcome, _) = run(&types, TypeId::STRING, ends, [1025, length], Policy::Moving);
                assert_eq!(outcome.result, Err(code(Fault::Unaligned)));
            }
        }
    }
    // So is a target: `realloc` is asked for 2 and gives an odd address.
    let ends = [(Encoding::Utf8, Width::W32), (Encoding::Utf16, Width::W32)];
    let (outcome, _) = run(&types, TypeId::STRING, ends, [1024, 4], Policy::Fixed(HEAP + 1));
    assert_eq!(outcome.result, Err(code(Fault::Unaligned)));
}

/// RUSTSEC-2026-0093: UTF-16 that turned out not to be Latin-1 was read beyond its end.
#[test]
fn advisory_utf16_to_latin1_or_utf16_reads_no_byte_beyond_its_source() {
    // The string ends where memory does, so a byte more is out of bounds for the transcoder's own check too.
    let types = Types::default();
    let ends = ((Encoding::Utf16, Width::W32), (Encoding::Compact, Width::W32));
    let encoded = encode(&types, &adapter(&[TypeId::STRING], None, ends));
    for latin1 in 0..40usize {
        let text: Vec<u8> = "a".repeat(latin1).encode_utf16().chain([0x3042]).flat_map(u16::to_le_bytes).collect();
        let (mut caller, callee) = (memory(PAGE), memory(2 * PAGE));
        let start = PAGE as usize - text.len();
        caller[start..].copy_from_slice(&text);
        let world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&caller, &callee]);
        let outcome = world.call(&[start as u64, text.len() as u64 / 2]);
        assert_eq!(outcome.result, Ok(vec![]));
        let (address, bytes) = *outcome.given[LIFT].last().unwrap();
        assert_eq!(outcome.memories[LIFT][address as usize..(address + bytes) as usize], text);
    }
}

/// RUSTSEC-2026-0085: bits beyond the labels of flags made lifting panic.
#[test]
fn advisory_flags_with_bits_too_many_lose_them() {
    let mut types = Types::default();
    for count in 1..=32u32 {
        let labels = (0..count).map(|at| types.name(&format!("f{at}")).unwrap()).collect();
        let flags = types.intern(Type::Flags(labels)).unwrap();
        let list = types.intern(Type::List(flags)).unwrap();
        let end = (Encoding::Utf8, Width::W32);
        let encoded = encode(&types, &adapter(&[flags, list], None, (end, end)));
        let mut caller = memory(PAGE);
        caller[64..96].fill(0xff);
        let callee = memory(2 * PAGE);
        let world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&caller, &callee]);
        let outcome = world.call(&[u64::from(u32::MAX), 64, 3]);
        let mask = u32::MAX >> (32 - count);
        let called = outcome.events.iter().find_map(|event| match event {
            Event::Call { args, .. } => Some(args[0]),
            _ => None,
        });
        assert_eq!(called, Some(u64::from(mask)));
        let bytes = types.layout(flags, Width::W32).size as usize;
        let arrived = &outcome.memories[LIFT][HEAP as usize..][..3 * bytes];
        assert!(arrived.chunks(bytes).all(|flags| flags == &mask.to_le_bytes()[..bytes]), "{count}: {arrived:x?}");
    }
}

#[test]
fn booleans_of_any_byte_are_zero_or_one() {
    let mut types = Types::default();
    let list = types.intern(Type::List(TypeId::scalar(Scalar::Bool))).unwrap();
    for (lower, lift) in [(Width::W32, Width::W32), (Width::W32, Width::W64), (Width::W64, Width::W32)] {
        let ends = ((Encoding::Utf8, lower), (Encoding::Utf8, lift));
        let encoded = encode(&types, &adapter(&[list], None, ends));
        let (mut caller, callee) = (memory(PAGE), memory(2 * PAGE));
        for (at, byte) in caller.iter_mut().enumerate() {
            *byte = if at % 3 == 0 { 0 } else { (at * 37 % 256) as u8 };
        }
        // Every byte there is, at the end of memory as well.
        for (start, count) in (0..40).map(|count| (100 + count, count)).chain([(7, 600), (PAGE - 300, 300)]) {
            let world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&caller, &callee]);
            let outcome = world.call(&[start, count]);
            assert_eq!(outcome.result, Ok(vec![]));
            check_canaries(&callee, &outcome.memories[LIFT], &outcome.given[LIFT], (0, 0));
            let arrived = &outcome.memories[LIFT][HEAP as usize..(HEAP + count) as usize];
            let sent = &caller[start as usize..(start + count) as usize];
            assert!(sent.iter().zip(arrived).all(|(sent, arrived)| *arrived == u8::from(*sent != 0)), "{count}");
        }
    }
}

#[test]
fn discriminants_and_characters_out_of_range_trap() {
    let mut types = Types::default();
    let byte = TypeId::scalar(Scalar::U8);
    let option = types.intern(Type::Option(byte)).unwrap();
    let labels = (0..300).map(|at| types.name(&format!("e{at}")).unwrap()).collect();
    let wide = types.intern(Type::Enum(labels)).unwrap();
    let end = (Encoding::Utf8, Width::W32);
    let check = |ty: TypeId, value: u64, expected: Result<Vec<u64>, i32>| {
        let encoded = encode(&types, &adapter(&[ty], None, (end, end)));
        let (caller, callee) = (memory(PAGE), memory(PAGE));
        let world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&caller, &callee]);
        assert_eq!(world.call(&[value, 0][..types.flat(ty, Width::W32).unwrap().len()]).result, expected, "{value:#x}");
    };
    let bad = |fault| Err(code(fault));
    for value in [2, 3, 255, 256, 0x8000_0000, 0xffff_ffff] {
        check(option, value, bad(Fault::Discriminant));
    }
    check(wide, 299, Ok(vec![]));
    check(wide, 300, bad(Fault::Discriminant));
    let char = TypeId::scalar(Scalar::Char);
    for value in [0, 0xd7ff, 0xe000, 0x10_ffff] {
        check(char, value, Ok(vec![]));
    }
    for value in [0xd800, 0xdbff, 0xdfff, 0x11_0000, 0x11_d800, 0x8000_0000, 0xffff_ffff] {
        check(char, value, bad(Fault::Char));
    }
}
