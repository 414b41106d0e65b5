//! Calls between components in compiled code: values through fused adapters, and guests that misbehave on the way.
//!
//! Invariant: what a test passes goes host → outer component → adapter → inner component and all the way back.
//!
//! Does not know: how adapters are made; `wattest-fuse` tests them against its interpreter.

use wattest::component::{Component, ComponentType, Instance, Lift, Linker, Lower};
use wattest::{Engine, Result, Store, TrapCode};

/// A memory with a bump allocator, and a function that gives back the slice it is given.
const GUEST: &str = r#"
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 1024))
    (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                                (i32.sub (i32.const 0) (local.get 2))))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (memory.copy (local.get $at) (local.get 0)
            (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
        (local.get $at))
    (func (export "echo") (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0))
        (i32.store (i32.const 20) (local.get 1))
        (i32.const 16))
"#;

/// A component whose `run` passes what it is given to another and gives back what comes from there.
fn chain(ty: &str, outer: &str, inner: &str, inner_guest: &str) -> String {
    format!(
        r#"(component
            (component $inner
                (core module $m {inner_guest})
                (core instance $i (instantiate $m))
                (func (export "echo") (param "v" {ty}) (result {ty})
                    (canon lift (core func $i "echo") string-encoding={inner} (memory $i "memory")
                        (realloc (func $i "realloc")))))
            (component $outer
                (import "echo" (func $echo (param "v" {ty}) (result {ty})))
                (core module $libc {GUEST})
                (core instance $libc (instantiate $libc))
                (core func $echo (canon lower (func $echo) string-encoding={outer} (memory $libc "memory")
                    (realloc (func $libc "realloc"))))
                (core module $m
                    (import "" "echo" (func $echo (param i32 i32 i32)))
                    (func (export "run") (param i32 i32) (result i32)
                        (call $echo (local.get 0) (local.get 1) (i32.const 32))
                        (i32.const 32)))
                (core instance $i (instantiate $m (with "" (instance (export "echo" (func $echo))))))
                (func (export "run") (param "v" {ty}) (result {ty})
                    (canon lift (core func $i "run") string-encoding={outer} (memory $libc "memory")
                        (realloc (func $libc "realloc")))))
            (instance $inner (instantiate $inner))
            (instance $outer (instantiate $outer (with "echo" (func $inner "echo"))))
            (export "outer" (instance $outer)))"#
    )
}

fn instance(engine: &Engine, text: &str) -> (Store<()>, Instance) {
    let component = Component::new(engine, text).unwrap_or_else(|error| panic!("{error}"));
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

fn run<V: Lower + Lift + ComponentType + Send + Sync + 'static>(text: &str, values: Vec<V>) -> Vec<Result<V>> {
    let (mut store, instance) = instance(&Engine::default(), text);
    let run = instance.get_typed_func::<(V,), (V,)>(&mut store, ["outer", "run"]).unwrap();
    values.into_iter().map(|value| run.call(&mut store, (value,)).map(|(value,)| value)).collect()
}

fn check<V>(ty: &str, values: &[V])
where
    V: Lower + Lift + ComponentType + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static,
{
    let results = run(&chain(ty, "utf8", "utf16", GUEST), values.to_vec());
    let results: Vec<V> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(results, values, "{ty}");
}

fn check_trap(guest: &str, expected: TrapCode) {
    let results = run(&chain("string", "utf8", "utf8", guest), vec!["some text that is not short".to_owned()]);
    let code = results[0].as_ref().err().and_then(|error| error.trap()).map(wattest::Trap::code);
    assert_eq!(code, Some(expected), "{:?}", results[0]);
}

#[test]
fn strings_through_every_pair_of_encodings() {
    let encodings = ["utf8", "utf16", "latin1+utf16"];
    let texts =
        ["", "a", "ab", "abc", "hello", "sixteen letters!", "longer than sixteen", "é", "grün und süß", "世界 🎈"];
    for outer in encodings {
        for inner in encodings {
            let values: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let results = run(&chain("string", outer, inner, GUEST), values.clone());
            let results: Vec<String> = results.into_iter().map(Result::unwrap).collect();
            assert_eq!(results, values, "{outer} to {inner}");
        }
    }
}

#[test]
fn lists_of_everything() {
    check("(list u8)", &[vec![], vec![1u8, 2, 3], (0..=255).collect()]);
    check("(list u64)", &[vec![], vec![u64::MAX, 0, 7]]);
    check("(list f64)", &[vec![0.5, -1.0, f64::INFINITY]]);
    check("(list bool)", &[vec![true, false, true]]);
    check("(list char)", &[vec!['a', 'é', '世', '🎈']]);
    check("(list (tuple u8 u32))", &[vec![(1u8, 2u32), (3, 4)]]);
    check("(list string)", &[vec![], vec!["a".to_owned(), "grün".to_owned(), String::new()]]);
    check("(list (list string))", &[vec![vec!["a".to_owned()], vec![], vec!["b".to_owned(), "c".to_owned()]]]);
    check("(list (option u64))", &[vec![None, Some(7u64), None]]);
    check("(list (result u8 (error string)))", &[vec![Ok(1u8), Err("no".to_owned())]]);
}

#[test]
fn a_realloc_that_lies_is_a_trap_of_its_caller() {
    let broken = |body: &str| {
        let (before, rest) = GUEST.split_once("(local $at i32)").unwrap();
        let (_, after) = rest.split_once("(local.get $at))\n").unwrap();
        format!("{before}{body})\n{after}")
    };
    check_trap(&broken("(i32.const -1)"), TrapCode::StringOutOfBounds);
    check_trap(&broken("(i32.const 131050)"), TrapCode::StringOutOfBounds);
    check_trap(&broken("(unreachable)"), TrapCode::Unreachable);
}

#[test]
fn an_exception_ends_at_the_boundary_of_its_component() {
    let (before, _) = GUEST.split_once(r#"(func (export "echo")"#).unwrap();
    let throwing = format!(r#"{before} (tag $t) (func (export "echo") (param i32 i32) (result i32) (throw $t))"#);
    check_trap(&throwing, TrapCode::UncaughtException);
    // Nor does a caller see it that catches everything.
    let catching = chain("string", "utf8", "utf8", &throwing).replace(
        "(call $echo (local.get 0) (local.get 1) (i32.const 32))",
        "(block $caught (try_table (catch_all $caught) (call $echo (local.get 0) (local.get 1) (i32.const 32))))",
    );
    let results = run(&catching, vec!["text".to_owned()]);
    let code = results[0].as_ref().err().and_then(|error| error.trap()).map(wattest::Trap::code);
    assert_eq!(code, Some(TrapCode::UncaughtException), "{:?}", results[0]);
}

#[test]
fn seventeen_parameters_and_a_result_go_through_memory() {
    let params: String = (0..17).map(|at| format!(r#"(param "p{at}" u32)"#)).collect();
    let text = format!(
        r#"(component
            (component $inner
                (core module $m {GUEST}
                    (func (export "sum") (param $at i32) (result i32)
                        (local $sum i32) (local $left i32)
                        (local.set $left (i32.const 17))
                        (loop $again
                            (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
                            (local.set $at (i32.add (local.get $at) (i32.const 4)))
                            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
                        (local.get $sum)))
                (core instance $i (instantiate $m))
                (func (export "sum") {params} (result u32)
                    (canon lift (core func $i "sum") (memory $i "memory") (realloc (func $i "realloc")))))
            (component $outer
                (import "sum" (func $sum {params} (result u32)))
                (core module $libc {GUEST})
                (core instance $libc (instantiate $libc))
                (core func $sum (canon lower (func $sum) (memory $libc "memory")))
                (core module $m
                    (import "" "sum" (func $sum (param i32) (result i32)))
                    (import "" "memory" (memory 1))
                    (func (export "run") (param i32) (result i32)
                        (local $at i32)
                        (local.set $at (i32.const 400))
                        (loop $again
                            (i32.store offset=96 (local.get $at) (local.get 0))
                            (br_if $again (local.tee $at (i32.sub (local.get $at) (i32.const 4)))))
                        (call $sum (i32.const 100))))
                (core instance $i (instantiate $m (with "" (instance
                    (export "sum" (func $sum)) (export "memory" (memory $libc "memory"))))))
                (func (export "run") (param "v" u32) (result u32) (canon lift (core func $i "run"))))
            (instance $inner (instantiate $inner))
            (instance $outer (instantiate $outer (with "sum" (func $inner "sum"))))
            (export "outer" (instance $outer)))"#
    );
    let results = run(&text, vec![3u32]);
    assert_eq!(results[0].as_ref().ok(), Some(&51));
}
