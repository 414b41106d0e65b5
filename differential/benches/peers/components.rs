//! The components behind the rows about components, equal for every engine.
//!
//! Two inner components each: the second imports what the first exports and calls it in a loop, so that a row is what one
//! call between components costs, without the host.

use crate::clock::Failure;
use crate::micro::Row;
use std::fmt::Write as _;
use std::path::Path;

/// The rows, in the order they are printed.
pub const ROWS: &[Row] = &[
    Row { key: "core_typed", text: "core: typed call host -> wasm, (i32, i32) -> i32, Rust API" },
    Row { key: "typed", text: "typed call host -> component, (u32, u32) -> u32" },
    Row { key: "scalar", text: "call between components, (u32, u32) -> u32" },
    Row { key: "empty_string", text: "call between components with an empty string" },
    Row { key: "bytes", text: "list<u8> of 1 MiB between components" },
    Row { key: "utf16_utf8", text: "64 Ki ASCII characters, utf-16 -> utf-8" },
    Row { key: "utf8_utf16", text: "64 Ki ASCII characters, utf-8 -> utf-16" },
    Row { key: "compile_1000_cpu", text: "compile a component with 1,000 functions called across, CPU" },
    Row { key: "compile_1000_wall", text: "compile a component with 1,000 functions called across, wall" },
];

/// Functions of the component whose compilation is measured.
const FUNCTIONS: usize = 1000;

/// Writes the components into a folder.
pub fn write(folder: &Path) -> Result<(), Failure> {
    let string = |from, to| passing("string", from, to);
    let components = [
        ("core_add", CORE_ADD.to_owned()),
        ("typed", TYPED.to_owned()),
        ("scalar", SCALAR.to_owned()),
        ("string_utf8", string("utf8", "utf8")),
        ("bytes", passing("(list u8)", "utf8", "utf8")),
        ("utf16_utf8", string("utf16", "utf8")),
        ("utf8_utf16", string("utf8", "utf16")),
        ("compile_1000", many()),
    ];
    for (name, text) in components {
        std::fs::write(folder.join(format!("{name}.wasm")), wat::parse_str(text)?)?;
    }
    Ok(())
}

const CORE_ADD: &str = r#"(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;

const TYPED: &str = r#"(component
  (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#;

const SCALAR: &str = r#"(component
  (component $A
    (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
  (component $B
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (core func $lowered (canon lower (func $add)))
    (core module $m
      (import "a" "add" (func $add (param i32 i32) (result i32)))
      (func (export "loop") (param $n i32) (result i32) (local $sum i32)
        (loop
          (local.set $sum (call $add (local.get $sum) (i32.const 1)))
          (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "a" (instance (export "add" (func $lowered))))))
    (func (export "loop") (param "n" u32) (result u32) (canon lift (core func $i "loop"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "add" (func $a "add"))))
  (func (export "loop") (alias export $b "loop")))"#;

/// A value of a type with pointer and length, passed `n` times; `realloc` of the receiver always gives the same buffer.
fn passing(ty: &str, from: &str, to: &str) -> String {
    let zeros = if ty == "string" { "a" } else { "\\00" };
    let fill = format!(
        r#"(func $fill (local $p i32)
          (loop (i32.store8 (i32.add (i32.const 65536) (local.get $p)) (i32.const {byte}))
            (br_if 0 (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const {step}))) (i32.const 1048576)))))
        (start $fill)"#,
        byte = if zeros == "a" { 97 } else { 7 },
        step = if from == "utf16" { 2 } else { 1 },
    );
    format!(
        r#"(component
  (component $A
    (core module $m
      (memory (export "memory") 40)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "take") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "x" {ty})
      (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc")) string-encoding={to})))
  (component $B
    (import "take" (func $take (param "x" {ty})))
    (core module $memory
      (memory (export "memory") 40)
      {fill})
    (core instance $mem (instantiate $memory))
    (core func $lowered (canon lower (func $take) (memory $mem "memory") string-encoding={from}))
    (core module $m
      (import "a" "take" (func $take (param i32 i32)))
      (func (export "loop") (param $n i32) (param $length i32)
        (loop
          (call $take (i32.const 65536) (local.get $length))
          (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (core instance $i (instantiate $m (with "a" (instance (export "take" (func $lowered))))))
    (func (export "loop") (param "n" u32) (param "length" u32) (canon lift (core func $i "loop"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "take" (func $a "take"))))
  (func (export "loop") (alias export $b "loop")))"#
    )
}

/// Functions of ten shapes, each lifted in one component and lowered in another.
fn many() -> String {
    const SHAPES: [(&str, &str, &str); 10] = [
        (r#"(param "a" u32)"#, "(param i32)", ""),
        (r#"(param "a" u32) (result u32)"#, "(param i32) (result i32)", "(local.get 0)"),
        (r#"(param "a" u64) (param "b" f64) (result f64)"#, "(param i64 f64) (result f64)", "(local.get 1)"),
        (r#"(param "a" bool) (param "b" char)"#, "(param i32 i32)", ""),
        (r#"(param "a" string)"#, "(param i32 i32)", ""),
        (r#"(param "a" (list u8))"#, "(param i32 i32)", ""),
        (r#"(param "a" (option u32)) (result u32)"#, "(param i32 i32) (result i32)", "(local.get 1)"),
        (r#"(param "a" (list string))"#, "(param i32 i32)", ""),
        (r#"(param "a" (tuple u8 u16 u32))"#, "(param i32 i32 i32)", ""),
        (r#"(param "a" (result u32 (error string)))"#, "(param i32 i32 i32)", ""),
    ];
    let (mut core, mut lifts, mut imports, mut lowers) = (String::new(), String::new(), String::new(), String::new());
    let (mut with, mut taken, mut given, mut calls) = (String::new(), String::new(), String::new(), String::new());
    for index in 0..FUNCTIONS {
        let (ty, flat, body) = SHAPES[index % SHAPES.len()];
        let _ = writeln!(core, r#"(func (export "f{index}") {flat} {body})"#);
        let _ = writeln!(
            lifts,
            r#"(func (export "f{index}") {ty}
                 (canon lift (core func $i "f{index}") (memory $i "memory") (realloc (func $i "realloc"))))"#
        );
        let _ = writeln!(imports, r#"(import "f{index}" (func $f{index} {ty}))"#);
        let _ = writeln!(lowers, r#"(core func $l{index} (canon lower (func $f{index}) (memory $mem "memory")))"#);
        let _ = writeln!(with, r#"(export "f{index}" (func $l{index}))"#);
        let _ = writeln!(taken, r#"(import "a" "f{index}" (func $f{index} {flat}))"#);
        let _ = writeln!(given, r#"(with "f{index}" (func $a "f{index}"))"#);
        let arguments = flat.split(')').next().unwrap_or_default().split(' ').skip(1);
        let arguments: String = arguments.map(|ty| format!("({ty}.const 0)")).collect();
        let drop = if flat.contains("result") { "drop" } else { "" };
        let _ = writeln!(calls, "(call $f{index} {arguments}) {drop}");
    }
    format!(
        r#"(component
  (component $A
    (core module $m (memory (export "memory") 2)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      {core})
    (core instance $i (instantiate $m))
    {lifts})
  (component $B
    {imports}
    (core module $memory (memory (export "memory") 1))
    (core instance $mem (instantiate $memory))
    {lowers}
    (core module $m {taken} (func (export "all") {calls}))
    (core instance $i (instantiate $m (with "a" (instance {with}))))
    (func (export "all") (canon lift (core func $i "all"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B {given}))
  (func (export "all") (alias export $b "all")))"#
    )
}
