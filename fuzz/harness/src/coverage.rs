//! Which operations a run has to reach, and which it did not.
//!
//! The list is that of the byte reader, narrowed to proposals of phase 4 and later
//! ([proposals](https://github.com/WebAssembly/proposals)); names are the reader's. Counts are of executions with an operand at a
//! boundary, or with none at all, wherever they were counted: by the reference in programs, by targets that have models of
//! their own, and by the matrix, there with what surrounded the operation.
//!
//! Invariant: an operation that nothing counted is missing, not forgotten.
//!
//! Does not know: how anything is executed.

use std::collections::{BTreeMap, BTreeSet};
use wattest_reference::operators::OPERATORS;

/// Accesses to memories with 64-bit addresses.
pub const MEMORY64: &str = "memory64";
/// Operations on tables with 64-bit indices.
pub const TABLE64: &str = "table64";
/// Accesses to memories whose pages have another size.
pub const CUSTOM_PAGES: &str = "custom-page-sizes";

/// Every operation is executed so often at least in a long run.
pub const EXECUTIONS_MIN: u64 = 1000;

/// Proposals of phase 4 and later, as the byte reader names them.
const PROPOSALS: &[&str] = &[
    "mvp",
    "sign_extension",
    "saturating_float_to_int",
    "bulk_memory",
    "reference_types",
    "simd",
    "relaxed_simd",
    "tail_call",
    "exceptions",
    "gc",
    "function_references",
    "threads",
    "wide_arithmetic",
];

/// What structures code and is not executed itself, and what is invalid so far.
const STRUCTURE: &[&str] = &["Block", "Loop", "Else", "End", "Nop", "TryTable", "TypedSelectMulti"];

/// Names of all operations that a long run has to reach, and of the kinds of memories and tables.
pub fn required() -> BTreeSet<&'static str> {
    let rows = OPERATORS.iter().filter(|row| PROPOSALS.contains(&row.proposal) && !STRUCTURE.contains(&row.name));
    rows.map(|row| row.name).chain([MEMORY64, TABLE64, CUSTOM_PAGES]).collect()
}

/// Executions by operation, whatever surrounded it.
pub fn totals(counts: &BTreeMap<String, u64>) -> BTreeMap<&str, u64> {
    let mut totals = BTreeMap::new();
    for (key, count) in counts {
        *totals.entry(key.split_once(' ').map_or(key.as_str(), |(name, _)| name)).or_default() += count;
    }
    totals
}

/// Operations that were executed less often than [`EXECUTIONS_MIN`], and how often.
pub fn short(counts: &BTreeMap<String, u64>) -> Vec<(&'static str, u64)> {
    let totals = totals(counts);
    let counted = required().into_iter().map(|name| (name, totals.get(name).copied().unwrap_or(0)));
    counted.filter(|(_, count)| *count < EXECUTIONS_MIN).collect()
}

/// What an operation's values are, as far as its name tells.
pub fn value_class(name: &str) -> &'static str {
    const CLASSES: [(&str, &str); 12] = [
        ("I8x16", "8-bit lanes"),
        ("I16x8", "16-bit lanes"),
        ("I32x4", "32-bit lanes"),
        ("I64x2", "64-bit lanes"),
        ("F32x4", "32-bit float lanes"),
        ("F64x2", "64-bit float lanes"),
        ("V128", "vectors"),
        ("I32", "32-bit integers"),
        ("I64", "64-bit integers"),
        ("F32", "32-bit floats"),
        ("F64", "64-bit floats"),
        ("Memory", "addresses and sizes"),
    ];
    CLASSES.iter().find(|(prefix, _)| name.starts_with(prefix)).map_or("references and control", |(_, class)| class)
}

/// The reader's name of an instruction in text form: `i32.load8_s` is `I32Load8S`.
pub fn operator_name(text: &str) -> String {
    let text = text.split_whitespace().next().unwrap_or_default();
    let mut name = String::new();
    for word in text.split(['.', '_']) {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_forms_agree() {
        let required = required();
        for text in
            ["i32.load8_s", "v128.load8x8_u", "i64.atomic.rmw32.cmpxchg_u", "table.copy 0 1", "f32.convert_i32_s"]
        {
            assert!(required.contains(operator_name(text).as_str()), "{text}");
        }
        assert!(required.len() > 500 && !required.contains("Resume") && !required.contains("Try"));
    }

    #[test]
    fn what_is_short_is_listed() {
        let mut counts: BTreeMap<String, u64> = required().into_iter().map(|name| (name.to_owned(), 1000)).collect();
        assert_eq!(short(&counts), []);
        counts.insert("I32Add".to_owned(), 600);
        counts.insert("I32Add loads".to_owned(), 399);
        counts.remove("ThrowRef");
        assert_eq!(short(&counts), [("I32Add", 999), ("ThrowRef", 0)]);
    }
}
