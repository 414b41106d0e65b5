//! The host module `spectest`, as a table.
//!
//! What the official scripts import from the test host
//! ([spec](https://github.com/WebAssembly/spec/tree/main/interpreter#spectest-host-module)). An adapter turns the rows into
//! its engine's own items, fresh for every session.
//!
//! Invariant: the rows are the whole module.
//!
//! Does not know: any engine.

use crate::Value;

/// The module's name.
pub const NAME: &str = "spectest";

/// The type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

/// An item of the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    /// A function of these parameters that does nothing.
    Print(&'static [NumType]),
    /// An immutable global.
    Global(Value),
    /// A table of null function references, ten to twenty entries, with 64-bit indices when true.
    Table(bool),
    /// A memory of one to two pages; shared when true, and then only offered where threads are on.
    Memory(bool),
}

/// Every item with its name.
pub const ITEMS: &[(&str, Item)] = &[
    ("print", Item::Print(&[])),
    ("print_i32", Item::Print(&[NumType::I32])),
    ("print_i64", Item::Print(&[NumType::I64])),
    ("print_f32", Item::Print(&[NumType::F32])),
    ("print_f64", Item::Print(&[NumType::F64])),
    ("print_i32_f32", Item::Print(&[NumType::I32, NumType::F32])),
    ("print_f64_f64", Item::Print(&[NumType::F64, NumType::F64])),
    ("global_i32", Item::Global(Value::I32(666))),
    ("global_i64", Item::Global(Value::I64(666))),
    ("global_f32", Item::Global(Value::F32(666.6f32.to_bits()))),
    ("global_f64", Item::Global(Value::F64(666.6f64.to_bits()))),
    ("table", Item::Table(false)),
    ("table64", Item::Table(true)),
    ("memory", Item::Memory(false)),
    ("shared_memory", Item::Memory(true)),
];

/// Entries of the tables: minimum and maximum.
pub const TABLE_ENTRIES: (u64, u64) = (10, 20);
/// Pages of the memories: minimum and maximum.
pub const MEMORY_PAGES: (u64, u64) = (1, 2);
