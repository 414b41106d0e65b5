//! Strings and lists on their way between two components, next to bytes that nobody may write: natively, as users run them.
//!
//! The host lowers a value into the first component, which passes it to the second one; both hold it at an address that the
//! test chooses, at the first or the last bytes of a memory of one page that is otherwise full of one byte.
//!
//! Invariant: after each call every byte outside the largest area that a `realloc` was asked for is what it was.
//!
//! Does not know: adapters; their own tests run the same cases through an interpreter.

use wattest::component::{Component, Instance, Linker, TypedFunc, Val};
use wattest::{Engine, Store, TrapCode};

const PAGE: u32 = 65536;
const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// A core module whose `realloc` gives the address it was told; it knows the largest size it was asked for.
const LIBC: &str = r#"
    (memory (export "memory") 1 2)
    (global $at (mut i32) (i32.const 0))
    (global $room (mut i32) (i32.const 0))
    (global $mode (mut i32) (i32.const 0))
    (func $fill (memory.fill (i32.const 0) (i32.const 0xa5) (i32.const 65536)))
    (start $fill)
    (func (export "place") (param i32 i32)
        (global.set $at (local.get 0)) (global.set $room (i32.const 0)) (global.set $mode (local.get 1)))
    (func (export "realloc") (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
        (if (i32.gt_u (local.get $bytes) (global.get $room)) (then (global.set $room (local.get $bytes))))
        ;; 1: traps; 2: traps when it is to resize; 3: grows the memory; 4: moves what it resizes by 16 bytes.
        (if (i32.eq (global.get $mode) (i32.const 1)) (then unreachable))
        (if (i32.and (i32.eq (global.get $mode) (i32.const 2)) (i32.ne (local.get $old_bytes) (i32.const 0)))
            (then unreachable))
        (if (i32.eq (global.get $mode) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
        (if (i32.and (i32.eq (global.get $mode) (i32.const 4)) (i32.ne (local.get $old_bytes) (i32.const 0)))
            (then
                (global.set $at (i32.sub (global.get $at) (i32.const 16)))
                (global.set $room (i32.add (global.get $room) (i32.const 16)))
                (memory.copy (global.get $at) (local.get $old)
                    (select (local.get $old_bytes) (local.get $bytes)
                        (i32.lt_u (local.get $old_bytes) (local.get $bytes))))))
        (global.get $at))
    ;; How many bytes changed outside of the area; fills the area again.
    (func (export "damage") (result i32)
        (local $p i32) (local $count i32)
        (memory.fill (global.get $at) (i32.const 0xa5) (global.get $room))
        (loop $next
            (if (i64.ne (i64.load (local.get $p)) (i64.const 0xa5a5a5a5a5a5a5a5))
                (then (local.set $count (i32.add (local.get $count) (i32.const 1)))))
            (br_if $next (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 8))) (i32.const 65536))))
        (local.get $count))
"#;

/// Two components; the second keeps where its last value is and gives it out again.
fn pair(ty: &str, from: &str, to: &str) -> String {
    let host = r#"
        (func (export "place") (param "at" u32) (param "mode" u32) (canon lift (core func $i "place")))
        (func (export "damage") (result u32) (canon lift (core func $i "damage")))"#;
    format!(
        r#"(component
  (component $To
    (core module $m {LIBC}
      (global $p (mut i32) (i32.const 0)) (global $n (mut i32) (i32.const 0))
      (func (export "take") (param i32 i32) (result i64)
        (global.set $p (local.get 0)) (global.set $n (local.get 1))
        (i64.or (i64.extend_i32_u (local.get 0)) (i64.shl (i64.extend_i32_u (local.get 1)) (i64.const 32)))))
    (core instance $i (instantiate $m))
    {host}
    (func (export "take") (param "x" {ty}) (result u64)
      (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc")) string-encoding={to})))
  (component $From
    (import "take" (func $take (param "x" {ty}) (result u64)))
    (core module $m {LIBC})
    (core instance $i (instantiate $m))
    (core func $lowered (canon lower (func $take) (memory $i "memory") string-encoding={from}))
    {host}
    (core module $n (import "" "take" (func $take (param i32 i32) (result i64))) (export "pass" (func $take)))
    (core instance $n (instantiate $n (with "" (instance (export "take" (func $lowered))))))
    (core module $raw (import "" "take" (func $take (param i32 i32) (result i64)))
      (func (export "raw") (param i32 i32) (result i64) (call $take (local.get 0) (local.get 1))))
    (core instance $raw (instantiate $raw (with "" (instance (export "take" (func $lowered))))))
    (func (export "raw") (param "p" u32) (param "n" u32) (result u64) (canon lift (core func $raw "raw")))
    (func (export "pass") (param "x" {ty}) (result u64)
      (canon lift (core func $n "pass") (memory $i "memory") (realloc (func $i "realloc")) string-encoding={from})))
  (instance $to (instantiate $To))
  (instance $from (instantiate $From (with "take" (func $to "take"))))
  (export "to" (instance $to))
  (export "from" (instance $from)))"#
    )
}

struct Pair {
    store: Store<()>,
    instance: Instance,
    place: [TypedFunc<(u32, u32), ()>; 2],
    damage: [TypedFunc<(), (u32,)>; 2],
}

impl Pair {
    fn new(engine: &Engine, component: &Component) -> Pair {
        let mut store = Store::new(engine, ());
        let instance = Linker::new(engine).instantiate(&mut store, component).unwrap();
        let ends = ["from", "to"];
        let place = ends.map(|end| instance.get_typed_func(&mut store, [end, "place"]).unwrap());
        let damage = ends.map(|end| instance.get_typed_func(&mut store, [end, "damage"]).unwrap());
        Pair { store, instance, place, damage }
    }

    fn place(&mut self, at: [u32; 2], modes: [u32; 2]) {
        for end in 0..2 {
            self.place[end].call(&mut self.store, (at[end], modes[end])).unwrap();
        }
    }

    fn check_canaries(&mut self, what: &str) {
        for end in 0..2 {
            let damage = self.damage[end].call(&mut self.store, ()).unwrap().0;
            assert_eq!(damage, 0, "{what}: memory {end}");
        }
    }

    fn pass(&mut self, val: &Val) -> wattest::Result<u64> {
        let func = self.instance.get_func(&mut self.store, ["from", "pass"]).unwrap();
        let mut results = [Val::Bool(false)];
        func.call(&mut self.store, std::slice::from_ref(val), &mut results)?;
        match results[0] {
            Val::U64(packed) => Ok(packed),
            ref other => panic!("{other:?}"),
        }
    }
}

fn compile(text: &str) -> (Engine, Component) {
    let engine = Engine::default();
    let component = Component::new(&engine, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (engine, component)
}

/// Texts of so many characters: ASCII; Latin-1 from some place on; with one that needs two units at the end.
fn texts(length: usize) -> [String; 3] {
    let ascii = || "abcdefgh".chars().cycle();
    let latin = ascii().take(length / 2).chain("éü".chars().cycle()).take(length).collect();
    let astral = ascii().take(length.saturating_sub(1)).chain("🎈".chars().take(length.min(1))).collect();
    [ascii().take(length).collect(), latin, astral]
}

/// The length that the receiver must have been given, in its code units and with its tag.
fn expected_units(to: &str, text: &str) -> u64 {
    match to {
        "utf8" => text.len() as u64,
        "utf16" => text.encode_utf16().count() as u64,
        _ if text.chars().all(|char| u32::from(char) < 256) => text.chars().count() as u64,
        _ => text.encode_utf16().count() as u64 | 1 << 31,
    }
}

/// Addresses at the first and the last bytes of a memory, for an area of so many bytes at most and of an alignment.
fn addresses(offset: u32, room: u32, align: u32) -> [u32; 2] {
    let first = offset * align;
    [first, (PAGE - room - first) / align * align]
}

#[test]
fn texts_stay_within_their_areas_at_every_length_and_alignment() {
    for from in ENCODINGS {
        for to in ENCODINGS {
            let (engine, component) = compile(&pair("string", from, to));
            let mut pair = Pair::new(&engine, &component);
            let align = |encoding| if encoding == "utf8" { 1 } else { 2 };
            for length in 0..=80u32 {
                for offset in 0..8 {
                    let text = &texts(length as usize)[(length as usize + offset as usize) % 3];
                    // No protocol asks for more than two bytes for each of the four of a character in utf-8.
                    let room = 8 * length;
                    let sources = addresses(offset, room, align(from));
                    let targets = addresses(7 - offset, room, align(to));
                    for at in [[sources[0], targets[1]], [sources[1], targets[0]]] {
                        let what = format!("{from} {to} {text:?} at {at:?}");
                        pair.place(at, [0, 0]);
                        let packed =
                            pair.pass(&Val::String(text.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
                        assert_eq!(packed & 0xffff_ffff, u64::from(at[1]), "{what}");
                        assert_eq!(packed >> 32, expected_units(to, text), "{what}");
                        pair.check_canaries(&what);
                    }
                }
            }
        }
    }
}

/// An element of a list by its number.
type Element = fn(u32) -> Val;

#[test]
fn lists_stay_within_their_areas_at_every_length_and_alignment() {
    let rows: [(&str, u32, Element); 4] = [
        ("(list u8)", 1, |n| Val::U8(n as u8)),
        ("(list bool)", 1, |n| Val::Bool(n % 2 == 1)),
        ("(list u32)", 4, Val::U32),
        ("(list u64)", 8, |n| Val::U64(n.into())),
    ];
    for (ty, size, element) in rows {
        let (engine, component) = compile(&pair(ty, "utf8", "utf8"));
        let mut pair = Pair::new(&engine, &component);
        for length in 0..=80u32 {
            let list = Val::List((0..length).map(element).collect());
            for offset in 0..8 {
                let (sources, targets) =
                    (addresses(offset, size * length, size), addresses(7 - offset, size * length, size));
                for at in [[sources[0], targets[1]], [sources[1], targets[0]]] {
                    let what = format!("{ty} {length} at {at:?}");
                    pair.place(at, [0, 0]);
                    let packed = pair.pass(&list).unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(packed, u64::from(at[1]) | u64::from(length) << 32, "{what}");
                    pair.check_canaries(&what);
                }
            }
        }
    }
}

/// What a receiver's `realloc` does wrong, or unusually, at which address, and how the call ends.
#[test]
fn reallocs_that_lie_trap_and_those_that_move_or_grow_do_not() {
    let text = "é漢🎈".repeat(7);
    for from in ENCODINGS {
        for to in ENCODINGS {
            let (engine, component) = compile(&pair("string", from, to));
            let odd = if to == "utf8" { None } else { Some(TrapCode::UnalignedPointer) };
            let rows = [
                (1001, 0, odd),
                (PAGE, 0, Some(TrapCode::StringOutOfBounds)),
                (PAGE - 2, 0, Some(TrapCode::StringOutOfBounds)),
                (u32::MAX - 1, 0, Some(TrapCode::StringOutOfBounds)),
                (1000, 1, Some(TrapCode::Unreachable)),
                (1000, 3, None),
                (1000, 4, None),
            ];
            for (at, mode, expected) in rows {
                let mut pair = Pair::new(&engine, &component);
                pair.place([2000, at], [0, mode]);
                let result = pair.pass(&Val::String(text.clone()));
                let what = format!("{from} {to} {at} {mode}: {result:?}");
                let code = result.as_ref().err().map(|error| error.trap().map(wattest::Trap::code));
                assert_eq!(code, expected.map(Some), "{what}");
                match result {
                    Ok(packed) => {
                        assert_eq!(packed >> 32, expected_units(to, &text), "{what}");
                        pair.check_canaries(&what);
                    }
                    // Nothing of the tree is ever entered again.
                    Err(_) => assert!(pair.damage[1].call(&mut pair.store, ()).is_err(), "{what}"),
                }
            }
        }
    }
}

#[test]
fn sources_that_lie_trap_before_anything_is_allocated() {
    for (from, align) in [("utf8", 1), ("utf16", 2), ("latin1+utf16", 2)] {
        let (engine, component) = compile(&pair("string", from, "utf8"));
        let rows = [
            (PAGE, 1, TrapCode::StringOutOfBounds),
            (PAGE + 2, 0, TrapCode::StringOutOfBounds),
            (PAGE - 2, 3, TrapCode::StringOutOfBounds),
            (u32::MAX - 1, 2, TrapCode::StringOutOfBounds),
            (0, 100_000_000, TrapCode::StringOutOfBounds),
            (0, u32::MAX, TrapCode::ValueTooLarge),
            // What the memories are full of is no text in utf-8.
            (0, 1, TrapCode::InvalidUtf8),
            (1, 0, TrapCode::UnalignedPointer),
        ];
        for (address, length, expected) in rows {
            let expected = match expected {
                TrapCode::UnalignedPointer if align == 1 => None,
                TrapCode::InvalidUtf8 if align == 2 => None,
                // A tagged length of 2³¹ − 1 units.
                TrapCode::ValueTooLarge if length == u32::MAX => Some(TrapCode::ValueTooLarge),
                other => Some(other),
            };
            let mut pair = Pair::new(&engine, &component);
            pair.place([0, 1000], [0, 0]);
            let raw = pair.instance.get_typed_func::<(u32, u32), (u64,)>(&mut pair.store, ["from", "raw"]).unwrap();
            let result = raw.call(&mut pair.store, (address, length));
            let code = result.as_ref().err().map(|error| error.trap().map(wattest::Trap::code));
            assert_eq!(code, expected.map(Some), "{from} {address} {length}: {result:?}");
        }
    }
}

/// A guest with a 64-bit memory, its allocator a bump.
const WIDE: &str = r#"(component
    (core module $m
        (memory (export "memory") i64 1)
        (global $next (mut i64) (i64.const 1024))
        (func (export "realloc") (param i64 i64 i64 i64) (result i64)
            (local $at i64)
            (local.set $at (i64.and (i64.add (global.get $next) (i64.sub (local.get 2) (i64.const 1)))
                                    (i64.sub (i64.const 0) (local.get 2))))
            (global.set $next (i64.add (local.get $at) (local.get 3)))
            (memory.copy (local.get $at) (local.get 0) (local.get 1))
            (local.get $at))
        (func (export "text") (param i64 i64) (result i64)
            (i64.store (i64.const 16) (local.get 0))
            (i64.store (i64.const 24) (local.get 1))
            (i64.const 16))
        (func (export "beyond") (result i64)
            (i64.store (i64.const 16) (i64.const 0x1_0000_0000))
            (i64.store (i64.const 24) (i64.const 1))
            (i64.const 16)))
    (core instance $i (instantiate $m))
    (func (export "text") (param "s" string) (result string)
        (canon lift (core func $i "text") (memory $i "memory") (realloc (func $i "realloc")) string-encoding=ENC))
    (func (export "words") (param "s" (list u16)) (result (list u16))
        (canon lift (core func $i "text") (memory $i "memory") (realloc (func $i "realloc"))))
    (func (export "texts") (param "s" (list string)) (result (list string))
        (canon lift (core func $i "text") (memory $i "memory") (realloc (func $i "realloc")) string-encoding=ENC))
    (func (export "beyond") (result string)
        (canon lift (core func $i "beyond") (memory $i "memory") string-encoding=ENC)))"#;

#[test]
fn guests_with_64_bit_memories_are_called_with_and_without_types() {
    for encoding in ENCODINGS {
        let (engine, component) = compile(&WIDE.replace("ENC", encoding));
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let text = instance.get_typed_func::<(&str,), (String,)>(&mut store, "text").unwrap();
        let words = instance.get_typed_func::<(Vec<u16>,), (Vec<u16>,)>(&mut store, "words").unwrap();
        let texts = instance.get_typed_func::<(Vec<String>,), (Vec<String>,)>(&mut store, "texts").unwrap();
        for sample in ["", "hello", "grüße, 世界 🎈"] {
            assert_eq!(text.call(&mut store, (sample,)).unwrap().0, sample);
            let list = vec![sample.to_owned(), "é".repeat(40), String::new()];
            assert_eq!(texts.call(&mut store, (list.clone(),)).unwrap().0, list);
            let dynamic = instance.get_func(&mut store, "texts").unwrap();
            let list = Val::List(list.into_iter().map(Val::String).collect());
            let mut results = [Val::Bool(false)];
            dynamic.call(&mut store, std::slice::from_ref(&list), &mut results).unwrap();
            assert_eq!(results[0], list);
        }
        let sample = (0..=999).collect::<Vec<u16>>();
        assert_eq!(words.call(&mut store, (sample.clone(),)).unwrap().0, sample);
        let beyond = instance.get_typed_func::<(), (String,)>(&mut store, "beyond").unwrap();
        let code = beyond.call(&mut store, ()).unwrap_err().trap().map(wattest::Trap::code);
        assert_eq!(code, Some(TrapCode::StringOutOfBounds));
    }
}
