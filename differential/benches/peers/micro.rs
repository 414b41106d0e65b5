//! The modules behind the small rows, equal for every engine.

use crate::clock::Failure;
use std::path::{Path, PathBuf};

/// What a small row is called, and in which unit it is printed: nanoseconds divided by `divisor`.
pub struct Row {
    /// Its name in a sample.
    pub key: &'static str,
    /// Its name in the table.
    pub text: &'static str,
}

/// The small rows, in the order they are printed.
pub const ROWS: &[Row] = &[
    Row { key: "one_function_cpu", text: "compile + instantiate one exported function, CPU" },
    Row { key: "one_function_wall", text: "compile + instantiate one exported function, wall" },
    Row { key: "host_to_wasm", text: "typed call host -> wasm, (i32, i32) -> i32" },
    Row { key: "wasm_to_host", text: "call wasm -> host, () -> ()" },
    Row { key: "indirect", text: "call_indirect, two targets in turn" },
    Row { key: "cast_final", text: "cast to a final struct type" },
    Row { key: "cast_open_same", text: "cast to a non-final struct type, of its own objects" },
    Row { key: "cast_open", text: "cast to a non-final struct type, of objects of a subtype" },
    Row { key: "throw_here", text: "throw and catch in one function" },
    Row { key: "throw_1", text: "throw, caught by the caller" },
    Row { key: "throw_10", text: "throw, caught ten calls up" },
    Row { key: "call_plain", text: "call and return, outside of any `try_table`" },
    Row { key: "call_try", text: "call and return, each in a `try_table`" },
    Row { key: "data_on_demand", text: "instantiate, 1 MiB data segment, on demand" },
    Row { key: "data_pooled", text: "instantiate, 1 MiB data segment, pooled" },
];

const ONE_FUNCTION: &str = r#"(module (func (export "f")))"#;

const CALLS: &str = r#"(module
  (import "host" "nop" (func $nop))
  (type $unary (func (param i32) (result i32)))
  (table 2 2 funcref)
  (elem (i32.const 0) $inc $dec)
  (func $inc (type $unary) (i32.add (local.get 0) (i32.const 3)))
  (func $dec (type $unary) (i32.sub (local.get 0) (i32.const 1)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "host_loop") (param i32)
    (loop
      (call $nop)
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "indirect_loop") (param $n i32)
    (local $x i32)
    (loop
      (local.set $x (call_indirect (type $unary) (local.get $x) (i32.and (local.get $n) (i32.const 1))))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

/// A function `(func (param i32))` of [`OBJECTS`] that does something this often.
pub struct Loop {
    /// Its name, which is the row's key.
    pub key: &'static str,
    /// Turns.
    pub count: u32,
}

/// The loops over objects and exceptions; every driver reads them from the file `objects.rows`.
pub const LOOPS: &[Loop] = &[
    Loop { key: "cast_final", count: 10_000_000 },
    Loop { key: "cast_open_same", count: 10_000_000 },
    Loop { key: "cast_open", count: 10_000_000 },
    Loop { key: "throw_here", count: 1_000_000 },
    Loop { key: "throw_1", count: 300_000 },
    Loop { key: "throw_10", count: 100_000 },
    Loop { key: "call_plain", count: 10_000_000 },
    Loop { key: "call_try", count: 10_000_000 },
];

/// What is cast comes from globals that anybody may write, and changes from turn to turn, so that no cast can be moved out
/// of its loop; what is thrown carries a number that the catching loop needs.
const OBJECTS: &str = r#"(module
  (type $sealed (struct (field i32)))
  (type $open (sub (struct (field i32))))
  (type $below (sub $open (struct (field i32 i32))))
  (type $step (func (param i32) (result i32)))
  (global $sealed1 (export "s1") (mut anyref) (struct.new $sealed (i32.const 1)))
  (global $sealed2 (export "s2") (mut anyref) (struct.new $sealed (i32.const 2)))
  (global $open1 (export "o1") (mut anyref) (struct.new $open (i32.const 1)))
  (global $open2 (export "o2") (mut anyref) (struct.new $open (i32.const 2)))
  (global $below1 (export "b1") (mut anyref) (struct.new $below (i32.const 1) (i32.const 1)))
  (global $below2 (export "b2") (mut anyref) (struct.new $below (i32.const 2) (i32.const 2)))
  (tag $t (param i32))
  (func (export "cast_final") (param $n i32) (local $x anyref) (local $y anyref) (local $z anyref)
    (local.set $x (global.get $sealed1))
    (local.set $y (global.get $sealed2))
    (loop
      (drop (ref.cast (ref $sealed) (local.get $x)))
      SWAP_AND_REPEAT))
  (func (export "cast_open_same") (param $n i32) (local $x anyref) (local $y anyref) (local $z anyref)
    (local.set $x (global.get $open1))
    (local.set $y (global.get $open2))
    (loop
      (drop (ref.cast (ref $open) (local.get $x)))
      SWAP_AND_REPEAT))
  (func (export "cast_open") (param $n i32) (local $x anyref) (local $y anyref) (local $z anyref)
    (local.set $x (global.get $below1))
    (local.set $y (global.get $below2))
    (loop
      (drop (ref.cast (ref $open) (local.get $x)))
      SWAP_AND_REPEAT))
  (func (export "throw_here") (param $n i32)
    (loop
      (local.set $n (i32.sub (block (result i32) (try_table (catch $t 0) (throw $t (local.get $n))) (unreachable))
        (i32.const 1)))
      (br_if 0 (local.get $n))))
  (func $throw (type $step) (throw $t (i32.sub (local.get 0) (i32.const 1))))
  (func (export "throw_1") (param $n i32)
    (loop
      (local.set $n (block (result i32) (drop (try_table (result i32) (catch $t 0) (call $throw (local.get $n))))
        (unreachable)))
      (br_if 0 (local.get $n))))
  (func $deep (param $depth i32) (param $n i32) (result i32)
    (if (result i32) (local.get $depth)
      (then (i32.add (call $deep (i32.sub (local.get $depth) (i32.const 1)) (local.get $n)) (i32.const 1)))
      (else (call $throw (local.get $n)))))
  (func (export "throw_10") (param $n i32)
    (loop
      (local.set $n (block (result i32)
        (drop (try_table (result i32) (catch $t 0) (call $deep (i32.const 8) (local.get $n))))
        (unreachable)))
      (br_if 0 (local.get $n))))
  (func $less (type $step) (i32.sub (local.get 0) (i32.const 1)))
  (func (export "call_plain") (param $n i32)
    (loop
      (local.set $n (call $less (local.get $n)))
      (br_if 0 (local.get $n))))
  (func (export "call_try") (param $n i32)
    (loop
      (local.set $n (block (result i32) (try_table (result i32) (catch $t 0) (call $less (local.get $n)))))
      (br_if 0 (local.get $n)))))"#;

/// The end of a turn of a loop over two objects.
const SWAP_AND_REPEAT: &str = "(local.set $z (local.get $x))
      (local.set $x (local.get $y))
      (local.set $y (local.get $z))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))";

const TRIVIAL: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Bytes of the data segment.
const DATA_BYTES: usize = 1 << 20;

/// Writes the modules into a folder that no other run uses, and names it.
pub fn write() -> Result<PathBuf, Failure> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peers-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let segment: String = (0..DATA_BYTES).map(|index| char::from(b'a' + (index * 7 % 23) as u8)).collect();
    let data =
        format!(r#"(module (memory (export "memory") 17) (data (i32.const 0) "{segment}") (func (export "f")))"#);
    let objects = OBJECTS.replace("SWAP_AND_REPEAT", SWAP_AND_REPEAT);
    let modules = [
        ("one_function", ONE_FUNCTION),
        ("calls", CALLS),
        ("objects", objects.as_str()),
        ("data", data.as_str()),
        ("trivial", TRIVIAL),
    ];
    for (name, text) in modules {
        std::fs::write(folder.join(format!("{name}.wasm")), wat::parse_str(text)?)?;
    }
    let rows: String = LOOPS.iter().map(|row| format!("{} {}\n", row.key, row.count)).collect();
    std::fs::write(folder.join("objects.rows"), rows)?;
    Ok(folder)
}
