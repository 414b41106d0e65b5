//! Small components that describe large things, through the embedding API: a typed error or a component, never more.
//!
//! Invariant: each runs on a thread with a small stack, and names the error it has to end in
//! ([limits](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! Does not know: where in the pipeline a limit is; `wattest-component` has the finer tests.

use std::fmt::Write as _;
use wattest::component::{Component, Linker};
use wattest::{CompileError, Engine, Store};
use wattest_component::ComponentError;

/// Enough for the flat code of debug builds, and for nothing that recurses into what a guest describes.
const STACK_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It is a component, and an instance of it comes to be.
    Instance,
    /// A limit of ours.
    Limit,
    /// A limit of the validator.
    Invalid,
}

fn check(wat: &str, expected: Expected) {
    // Text is the tester's, not the guest's: it is parsed with all the stack there is.
    let binary = wat::parse_str(wat).expect("well-formed text");
    let work = move || {
        let engine = Engine::default();
        let component = match Component::from_binary(&engine, &binary) {
            Ok(component) => component,
            Err(CompileError::Component(ComponentError::Limit(_) | ComponentError::Type(_))) => return Expected::Limit,
            Err(CompileError::Component(ComponentError::Invalid { .. })) => return Expected::Invalid,
            Err(error) => panic!("{error:?}"),
        };
        let mut store = Store::new(&engine, ());
        Linker::new(&engine).instantiate(&mut store, &component).expect("an instance");
        Expected::Instance
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).expect("a thread");
    assert_eq!(thread.join().expect("no panic"), expected);
}

#[test]
fn instantiations_that_double_forty_times_are_a_limit() {
    let mut wat = "(component (component $c0)".to_owned();
    for level in 1..=40 {
        let below = level - 1;
        write!(
            wat,
            "(component $c{level} (alias outer 1 $c{below} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))"
        )
        .expect("memory");
    }
    check(&(wat + "(instance (instantiate $c40)))"), Expected::Limit);
}

#[test]
fn a_function_lifted_and_lowered_twenty_thousand_times_is_flat() {
    let mut wat = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
        (func $f0 (canon lift (core func $i \"f\")))"
        .to_owned();
    for link in 0..20_000 {
        let next = link + 1;
        write!(
            wat,
            "(core func $l{link} (canon lower (func $f{link}))) (func $f{next} (canon lift (core func $l{link})))"
        )
        .expect("memory");
    }
    check(&(wat + "(export \"f\" (func $f20000)))"), Expected::Instance);
}

/// A function that takes lists of lists, called from one component by another.
fn lists(depth: usize) -> String {
    let mut types = "(type $t0 (list u8))".to_owned();
    for level in 1..depth {
        write!(types, "(type $t{level} (list $t{}))", level - 1).expect("memory");
    }
    let last = depth - 1;
    format!(
        "(component {types}
            (component $A (alias outer 1 $t{last} (type $t))
                (core module $m (memory (export \"m\") 1) (func (export \"f\") (param i32 i32))
                    (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable))
                (core instance $i (instantiate $m))
                (func (export \"f\") (param \"x\" $t)
                    (canon lift (core func $i \"f\") (memory $i \"m\") (realloc (func $i \"r\")))))
            (component $B (alias outer 1 $t{last} (type $t)) (import \"f\" (func $f (param \"x\" $t)))
                (core module $n (memory (export \"m\") 1)) (core instance $n (instantiate $n))
                (core func $l (canon lower (func $f) (memory $n \"m\")))
                (core module $m (import \"\" \"f\" (func (param i32 i32))))
                (core instance (instantiate $m (with \"\" (instance (export \"f\" (func $l)))))))
            (instance $a (instantiate $A))
            (instance (instantiate $B (with \"f\" (func $a \"f\")))))"
    )
}

#[test]
fn lists_of_lists_cross_ninety_deep_and_no_deeper_than_the_validator_lets_them() {
    check(&lists(90), Expected::Instance);
    check(&lists(1_000), Expected::Invalid);
}

#[test]
fn a_type_of_a_hundred_thousand_cases_is_refused() {
    let mut wat = "(component (type (enum".to_owned();
    for case in 0..100_000 {
        write!(wat, " \"c{case}\"").expect("memory");
    }
    check(&(wat + ")))"), Expected::Invalid);
}

#[test]
fn an_import_name_of_megabytes_is_refused() {
    let name = "a".repeat(4 << 20);
    check(&format!("(component (import \"{name}\" (func)))"), Expected::Invalid);
}
