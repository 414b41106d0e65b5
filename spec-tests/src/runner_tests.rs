//! Tests of the runner, directive by directive, with the fake engine.
//!
//! Invariant: each test is a script and the failures and blocked directives that it must end in.
//!
//! Does not know: real engines.

use crate::fake::FakeEngine;
use crate::{FeatureSet, FileReport, Script, run_script};

fn run(text: &str, threads: bool) -> FileReport {
    let script = Script::parse(text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    run_script("test.wast", &script, &FakeEngine { threads }, &FeatureSet::default())
}

/// Runs `text` after an empty module; `expected` are the lines and texts of the failures.
fn check(text: &str, expected: &[(u32, &str)], blocked: u64) {
    let report = run(&format!("(module)\n{text}"), true);
    let failures: Vec<_> = report.failures.iter().map(|failure| (failure.line, failure.text.as_str())).collect();
    assert_eq!(failures, expected, "{text}");
    assert_eq!(report.total().blocked, blocked, "{text}");
    let total = report.total();
    assert_eq!(total.total, total.passed + total.failed + total.blocked);
}

#[test]
fn assert_return_matches_values() {
    check(r#"(assert_return (invoke "echo" (i32.const 1)) (i32.const 1))"#, &[], 0);
    check(r#"(assert_return (invoke "echo"))"#, &[], 0);
    check(r#"(assert_return (invoke "echo" (f32.const nan)) (f32.const nan:canonical))"#, &[], 0);
    check(r#"(assert_return (invoke "echo" (i32.const 2)) (either (i32.const 1) (i32.const 2)))"#, &[], 0);
    check(r#"(assert_return (invoke "echo" (ref.null func)) (ref.null func))"#, &[], 0);
    check(r#"(assert_return (invoke "echo" (ref.extern 4)) (ref.extern 4))"#, &[], 0);
    check(r#"(assert_return (invoke "echo" (ref.host 4)) (ref.any))"#, &[], 0);
    check(r#"(assert_return (invoke "echo" (v128.const i64x2 1 2)) (v128.const i32x4 1 0 2 0))"#, &[], 0);
    check(r#"(assert_return (get "7") (i32.const 7))"#, &[], 0);
    let wrong = "expected [i32 2 (0x2)], got [i32 1 (0x1)]";
    check(r#"(assert_return (invoke "echo" (i32.const 1)) (i32.const 2))"#, &[(2, wrong)], 0);
    check(r#"(assert_return (invoke "echo") (i32.const 2))"#, &[(2, "expected [i32 2 (0x2)], got []")], 0);
    check(r#"(assert_return (invoke "throw"))"#, &[(2, "expected [], got uncaught exception")], 0);
}

#[test]
fn assert_trap_compares_the_class() {
    check(r#"(assert_trap (invoke "trap unreachable") "unreachable")"#, &[], 0);
    check(r#"(assert_trap (invoke "trap uninitialized element") "uninitialized element 2")"#, &[], 0);
    check(r#"(assert_trap (module (@custom "start traps" "")) "unreachable")"#, &[], 0);
    let other = "expected trap: integer overflow, got trap: unreachable";
    check(r#"(assert_trap (invoke "trap unreachable") "integer overflow")"#, &[(2, other)], 0);
    check(r#"(assert_trap (invoke "echo") "unreachable")"#, &[(2, "expected trap: unreachable, got []")], 0);
    check(r#"(assert_trap (invoke "echo") "bad luck")"#, &[(2, "no trap class is worded `bad luck`")], 0);
    check(r#"(assert_exhaustion (invoke "trap call stack exhausted") "call stack exhausted")"#, &[], 0);
    check(r#"(assert_exception (invoke "throw"))"#, &[], 0);
    check(r#"(assert_exception (invoke "echo"))"#, &[(2, "expected an exception, got []")], 0);
}

#[test]
fn rejected_modules() {
    check(r#"(assert_malformed (module quote "(func") "x")"#, &[], 0);
    check(r#"(assert_malformed (module binary "") "x")"#, &[], 0);
    check(r#"(assert_malformed (module quote "(func)") "x")"#, &[(2, "the module was accepted")], 0);
    check(r#"(assert_invalid (module (@custom "invalid" "")) "x")"#, &[], 0);
    check(r#"(assert_invalid (module) "x")"#, &[(2, "the module was accepted")], 0);
    check(r#"(assert_malformed_custom (module quote "(@name)") "x")"#, &[], 0);
    check(r#"(assert_invalid_custom (module) "x")"#, &[(2, "the module was accepted")], 0);
    check(r#"(assert_unlinkable (module (@custom "mismatch" "")) "x")"#, &[], 0);
    check(r#"(assert_unlinkable (module) "x")"#, &[(2, "expected unlinkable, got []")], 0);
    let invalid = "expected unlinkable, got invalid module: types";
    check(r#"(assert_unlinkable (module (@custom "invalid" "")) "x")"#, &[(2, invalid)], 0);
}

#[test]
fn definitions_instances_and_names() {
    check(r#"(module definition $m) (module instance $i $m) (assert_return (invoke $i "echo"))"#, &[], 0);
    check("(module definition) (module instance)", &[], 0);
    check("(module instance $i $m)", &[(2, "no such module definition")], 0);
    check(r#"(register "M") (module (@custom "missing M" ""))"#, &[], 0);
    check(r#"(module (@custom "missing M" ""))"#, &[(2, "unlinkable: missing M")], 0);
    check(r#"(invoke $x "echo")"#, &[(2, "no instance x")], 0);
    check(r#"(invoke "nothing")"#, &[(2, "broken: no export nothing")], 0);
}

#[test]
fn a_failed_module_blocks_its_uses_only() {
    let script = r#"
        (module $a)
        (module $b (@custom "invalid" ""))
        (assert_return (invoke "echo"))
        (register "M" $b)
        (module (@custom "missing M" ""))
        (assert_return (invoke $b "echo"))
        (assert_return (invoke $a "echo"))
        (module instance $b)"#;
    check(script, &[(4, "invalid module: types")], 5);
}

#[test]
fn a_panic_ends_the_file() {
    let script = "(invoke \"panic boo\")\n(invoke \"echo\")";
    check(script, &[(2, "the engine panicked: boo")], 1);
}

#[test]
fn threads_run_and_report() {
    let script = r#"
        (module $m)
        (thread $t (shared (module $m)) (invoke $m "echo") (invoke "nothing"))
        (wait $t)"#;
    check(script, &[(4, "no instance yet")], 0);
    check(r#"(thread $t (module) (invoke "trap unreachable"))"#, &[(2, "trap: unreachable")], 0);
    check("(wait $t)", &[(2, "no thread t")], 0);
    let script = r#"(module $b (@custom "invalid" "")) (thread $t (shared (module $b))) (wait $t)"#;
    check(script, &[(2, "invalid module: types")], 2);
    let refused = run("(module $m) (thread $t (shared (module $m)))", false);
    assert_eq!(refused.failures[0].text, "unsupported: threads");
}

#[test]
fn what_is_not_supported_says_so() {
    check("(component)", &[(2, "unsupported: component")], 0);
    check(r#"(assert_invalid (component) "x")"#, &[(2, "unsupported: component")], 0);
    check(r#"(assert_suspension (invoke "echo") "x")"#, &[(2, "unsupported: stack switching")], 0);
    let script = Script::parse("(module)").unwrap();
    let report = run_script("x", &script, &FakeEngine { threads: false }, &["impossible"].into_iter().collect());
    assert_eq!(report.failures[0].text, "unsupported: impossible");
}
