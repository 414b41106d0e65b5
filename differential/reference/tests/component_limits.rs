//! What hostile components meet instead of the host's limits.

use std::fmt::Write;
use wattest_reference::component::{Component, Evaluator, Limits, NoHost, Val};
use wattest_reference::{Failure, ModuleError, TrapClass};

fn decode(text: &str) -> Result<Component, ModuleError> {
    Component::decode(&wat::parse_str(text).unwrap())
}

/// What instantiation ends in, or the call of `run`.
fn run(text: &str) -> Result<Option<Val>, Failure> {
    let component = decode(text).unwrap_or_else(|error| panic!("{error}"));
    let limits = Limits { fuel: 1_000_000, instances: 1_000, values: 1 << 16, ..Limits::default() };
    let mut evaluator = Evaluator::new(limits, Box::new(NoHost));
    let root = evaluator.instantiate(&component)?;
    let func = root.func(&["run"]).unwrap();
    evaluator.call(&func, &[])
}

fn check_limit(text: &str, what: &str) {
    match run(text) {
        Err(Failure::Limit(limit)) => assert_eq!(limit, what),
        other => panic!("{what} expected, got {other:?}"),
    }
}

/// Each component instantiates the one before twice.
#[test]
fn instances_by_powers_are_a_limit() {
    let mut text = "(component (component $c0 (core module $m) (core instance (instantiate $m)))\n".to_owned();
    for at in 1..40 {
        let before = at - 1;
        let _ = writeln!(
            text,
            "(component $c{at} (alias outer 1 $c{before} (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))"
        );
    }
    text.push_str("(instance (instantiate $c39)))");
    check_limit(&text, "instances");
}

/// Each component instantiates the one before.
#[test]
fn deep_instantiation_is_a_limit() {
    let mut text = "(component (component $c0)\n".to_owned();
    for at in 1..300 {
        let before = at - 1;
        let _ =
            writeln!(text, "(component $c{at} (alias outer 1 $c{before} (component $c)) (instance (instantiate $c)))");
    }
    text.push_str("(instance (instantiate $c299)))");
    check_limit(&text, "nested instantiation");
}

/// Components inside components.
#[test]
fn deep_nesting_is_refused() {
    let header = wat::parse_str("(component)").unwrap();
    let mut wasm = header.clone();
    for _ in 0..150 {
        // A section of a nested component, its size in four bytes of LEB128.
        let size = wasm.len();
        let leb = [0, 7, 14, 21].map(|shift| (size >> shift) as u8 & 0x7f | if shift < 21 { 0x80 } else { 0 });
        wasm = [&header[..], &[4], &leb, &wasm].concat();
    }
    assert!(matches!(Component::decode(&wasm), Err(ModuleError::Unsupported { .. })));
}

/// A list of lists of lists … all of which are the same bytes.
#[test]
fn values_by_powers_are_a_limit() {
    let ty = format!("{}u8{}", "(list ".repeat(9), ")".repeat(9));
    let text = format!(
        r#"(component
          (core module $m (memory (export "mem") 1)
            (func $start (local $at i32)
              (loop $next
                (i32.store offset=4 (local.get $at) (i32.const 1000))
                (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 16000)))))
            (start $start)
            (func (export "f") (result i32) (i32.const 0)))
          (core instance $i (instantiate $m))
          (func (export "run") (result {ty}) (canon lift (core func $i "f") (memory (core memory $i "mem")))))"#
    );
    check_limit(&text, "values");
}

/// A call through a chain of components that lift what they lower.
#[test]
fn a_chain_of_adapters_ends_in_a_trap() {
    let mut text = "(component\n\
        (component $c (import \"f\" (func $f)) (core func $l (canon lower (func $f))) (func (export \"f\") (canon lift (core func $l))))\n\
        (component $e (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) (func (export \"f\") (canon lift (core func $i \"f\"))))\n\
        (instance $i0 (instantiate $e))\n"
        .to_owned();
    for at in 1..400 {
        let before = at - 1;
        let _ = writeln!(text, "(instance $i{at} (instantiate $c (with \"f\" (func $i{before} \"f\"))))");
    }
    text.push_str("(export \"run\" (func $i399 \"f\")))");
    match run(&text) {
        Err(Failure::Trap(trap)) => assert_eq!(trap.class, TrapClass::StackExhausted),
        other => panic!("a trap expected, got {other:?}"),
    }
}

/// A guest without end.
#[test]
fn a_loop_ends_in_a_trap() {
    let text = r#"(component
        (core module $m (func (export "f") (loop $again (br $again))))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "f"))))"#;
    match run(text) {
        Err(Failure::Trap(trap)) => assert_eq!(trap.class, TrapClass::OutOfFuel),
        other => panic!("a trap expected, got {other:?}"),
    }
}
