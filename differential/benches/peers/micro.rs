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
    let modules = [("one_function", ONE_FUNCTION), ("calls", CALLS), ("data", data.as_str()), ("trivial", TRIVIAL)];
    for (name, text) in modules {
        std::fs::write(folder.join(format!("{name}.wasm")), wat::parse_str(text)?)?;
    }
    Ok(folder)
}
