//! Components of any size, as text.
//!
//! Shapes whose cost grows with one number
//! ([what instantiation means](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! Invariant: equal numbers give equal text.
//!
//! Does not know: what is measured.

use std::fmt::Write as _;

const MODULE: &str = "(core module $m (memory (export \"m\") 1)
    (func (export \"f\") (param i32 i32)) (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m))";
const OPTIONS: &str = "(memory (core memory $i \"m\")) (realloc (core func $i \"r\"))";

/// One instance that exports functions, one that lowers all of them.
pub fn adapters(count: usize) -> String {
    let mut wat = String::from("(component (component $callee (core module $m (memory (export \"m\") 1)");
    for at in 0..count {
        write!(wat, "(func (export \"f{at}\") (param i32 i32))").expect("memory");
    }
    wat.push_str(
        "(func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable)) (core instance $i (instantiate $m))",
    );
    for at in 0..count {
        write!(wat, "(func (export \"f{at}\") (param \"s\" string) (canon lift (core func $i \"f{at}\") {OPTIONS}))")
            .expect("memory");
    }
    wat.push_str(") (component $caller ");
    for at in 0..count {
        write!(wat, "(import \"f{at}\" (func $f{at} (param \"s\" string)))").expect("memory");
    }
    wat.push_str(MODULE);
    for at in 0..count {
        write!(
            wat,
            "(core func $l{at} (canon lower (func $f{at}) {OPTIONS} {}))",
            ["", "string-encoding=utf16"][at % 2]
        )
        .expect("memory");
    }
    wat.push_str("(core module $u");
    for at in 0..count {
        write!(wat, "(import \"\" \"f{at}\" (func (param i32 i32)))").expect("memory");
    }
    wat.push_str(") (core instance (instantiate $u (with \"\" (instance");
    for at in 0..count {
        write!(wat, "(export \"f{at}\" (func $l{at}))").expect("memory");
    }
    wat.push_str("))))) (instance $callee (instantiate $callee)) (instance (instantiate $caller");
    for at in 0..count {
        write!(wat, "(with \"f{at}\" (func $callee \"f{at}\"))").expect("memory");
    }
    wat + ")))"
}

/// Components that contain two instances of the one below: 2ⁿ instances.
pub fn doubling(levels: usize) -> String {
    let mut wat = String::from("(component (component $c0)");
    for level in 1..=levels {
        let below = level - 1;
        write!(wat, "(component $c{level} (alias outer 1 $c{below} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))")
            .expect("memory");
    }
    wat + &format!("(instance (instantiate $c{levels})))")
}

/// A function lifted and lowered again and again.
pub fn chain(links: usize) -> String {
    let mut wat =
        format!("(component {MODULE} (func $f0 (param \"a\" u32) (param \"b\" u32) (canon lift (core func $i \"f\")))");
    for at in 0..links {
        let next = at + 1;
        write!(wat, "(core func $l{at} (canon lower (func $f{at}))) (func $f{next} (param \"a\" u32) (param \"b\" u32) (canon lift (core func $l{at})))")
            .expect("memory");
    }
    wat + &format!("(export \"f\" (func $f{links})))")
}
