//! How long components take to become plans.
//!
//! `cargo run --release -p wattest-component --example compile` prints a table: components of 10 to 10,000 adapters, and files
//! made to be expensive
//! ([what instantiation means](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! Invariant: every component is made here, from a number; nothing is read.
//!
//! Does not know: how long compiling core modules takes.

use std::fmt::Write as _;
use std::time::Instant;
use wattest_component::{CompileOptions, DecodeOptions, Features, compile};

const MODULE: &str = "(core module $m (memory (export \"m\") 1)
    (func (export \"f\") (param i32 i32)) (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m))";
const OPTIONS: &str = "(memory (core memory $i \"m\")) (realloc (core func $i \"r\"))";

/// One instance that exports functions, one that lowers all of them.
fn adapters(count: usize) -> String {
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

fn doubling(levels: usize) -> String {
    let mut wat = String::from("(component (component $c0)");
    for level in 1..=levels {
        let below = level - 1;
        write!(wat, "(component $c{level} (alias outer 1 $c{below} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))")
            .expect("memory");
    }
    wat + &format!("(instance (instantiate $c{levels})))")
}

fn chain(links: usize) -> String {
    let mut wat =
        format!("(component {MODULE} (func $f0 (param \"a\" u32) (param \"b\" u32) (canon lift (core func $i \"f\")))");
    for at in 0..links {
        let next = at + 1;
        write!(wat, "(core func $l{at} (canon lower (func $f{at}))) (func $f{next} (param \"a\" u32) (param \"b\" u32) (canon lift (core func $l{at})))")
            .expect("memory");
    }
    wat + &format!("(export \"f\" (func $f{links})))")
}

fn measure(name: &str, wat: &str) {
    let binary = wat::parse_str(wat).expect("well-formed text");
    let features = Features::all(wattest_module::Features::default());
    let decode = DecodeOptions { features, ..DecodeOptions::default() };
    let options = CompileOptions { decode, verify: false, ..CompileOptions::default() };
    let begin = Instant::now();
    let outcome = compile(&binary, &options);
    let elapsed = begin.elapsed();
    let outcome = match outcome {
        Ok(plan) => format!("{} bytes of adapters", plan.linear.templates.iter().map(Vec::len).sum::<usize>()),
        Err(error) => error.to_string(),
    };
    println!("{name:>24} {:>9} bytes {:>10.3} ms  {outcome}", binary.len(), elapsed.as_secs_f64() * 1e3);
}

fn main() {
    for count in [10, 100, 1_000, 10_000] {
        measure(&format!("{count} adapters"), &adapters(count));
    }
    measure("2^40 instances", &doubling(40));
    measure("chain of 20,000", &chain(20_000));
}
