//! Programs of linked modules on the reference and the runtime: what can be reached is the same graph, and a graph that is
//! another one is told apart.
//!
//! Invariant: a planted difference is in one place only, and the message names it.
//!
//! Does not know: generated programs.

use wattest_differential::linked::{
    LinkedCall, LinkedEnding, LinkedEngine, LinkedModule, LinkedProgram, LinkedRun, LinkedWattest, Place,
    compare_linked, row,
};
use wattest_differential::{CONFIGS, DefinitionalEngine, TrapClass};

fn program(text: &str) -> LinkedProgram {
    let wasm = wat::parse_str(text).expect("valid text");
    let modules = vec![LinkedModule { name: "m".into(), wasm }];
    LinkedProgram { modules, calls: vec![LinkedCall { module: 0, export: "f".into(), args: vec![] }] }
}

fn on_reference(text: &str) -> LinkedRun {
    DefinitionalEngine.run(&program(text), 10_000).expect("the reference runs it")
}

fn on_runtime(text: &str, choice: usize, stressed: bool) -> LinkedRun {
    LinkedWattest::new(row(choice, stressed)).run(&program(text), 10_000).expect("the runtime runs it")
}

/// Both engines show the same; then the same of `other`, and between the two the difference.
fn check(text: &str, other: &str, difference: &str) {
    for (choice, stressed) in [(0, false), (3, false), (0, true)] {
        for text in [text, other] {
            let (known, run) = (on_reference(text), on_runtime(text, choice, stressed));
            assert!(known.steps.iter().chain(&run.steps).all(|step| step.graph.is_some()));
            assert_eq!(compare_linked(&known, &run), Ok(()), "{text}\n{:?}\n{:?}", known.steps, run.steps);
        }
        let planted = on_runtime(other, choice, stressed);
        assert_eq!(compare_linked(&on_reference(text), &planted), Err(difference.to_owned()), "{text}\n{other}");
    }
}

/// Lists of pairs behind globals and a table, with these bodies of the only function.
fn pairs(body: &str) -> String {
    format!(
        r#"(module
            (type $pair (struct (field $n (mut i64)) (field $small (mut i8)) (field $next (mut (ref null $pair)))))
            (type $other (struct (field (mut i64)) (field (mut i8)) (field (mut (ref null $pair))) (field f64)))
            (type $row (array (mut anyref)))
            (tag $t (export "t") (param i32 anyref)) (tag $u (export "u") (param i32 anyref)) (tag $private (param i32 anyref))
            (global $g (export "g") (mut (ref null $pair)) (ref.null $pair))
            (table $table (export "table") 3 anyref)
            (func $new (param i64) (result (ref $pair))
                (struct.new $pair (local.get 0) (i32.const 200) (global.get $g)))
            (func (export "f") (result anyref) (local $a (ref null $pair)) (local $b (ref null $pair))
                (local.set $a (call $new (i64.const 1))) (local.set $b (call $new (i64.const 2)))
                {body}))"#
    )
}

#[test]
fn sharing_and_cycles() {
    let with = |element: &str| pairs(&format!("(array.new_fixed $row 2 (local.get $a) {element})"));
    check(
        &with("(local.get $a)"),
        &with("(struct.new $pair (i64.const 1) (i32.const 200) (ref.null $pair))"),
        "step 1: object 0, value 1: object 1 against object 2",
    );
    let cycle = |to: &str| {
        pairs(&format!(
            "(struct.set $pair $next (local.get $a) (local.get {to})) (global.set $g (local.get $a)) (local.get $b)"
        ))
    };
    check(&cycle("$a"), &cycle("$b"), "step 1: object 1, value 2: object 1 against object 0");
}

#[test]
fn values_lengths_and_types() {
    let table = |object: &str| pairs(&format!("(table.set $table (i32.const 1) {object}) (ref.i31 (i32.const 5))"));
    check(&table("(local.get $a)"), &table("(local.get $b)"), "step 1: object 0, value 0: I64(1) against I64(2)");
    check(
        &table("(struct.new $pair (i64.const 1) (i32.const 200) (ref.null $pair))"),
        &table("(struct.new $other (i64.const 1) (i32.const 200) (ref.null $pair) (f64.const 0))"),
        "step 1: object 0: struct mut-i64 mut-i8 mut-ref against struct mut-i64 mut-i8 mut-ref f64",
    );
    check(
        &table("(array.new_default $row (i32.const 3))"),
        &table("(array.new_default $row (i32.const 4))"),
        "step 1: object 0: array of 3 mut-ref against array of 4 mut-ref",
    );
    check(
        &table("(ref.i31 (i32.const 7))"),
        &table("(ref.i31 (i32.const -7))"),
        "step 1: visible references, value 3: I31(7) against I31(7ffffff9)",
    );
}

#[test]
fn exceptions_carry_their_payloads() {
    let throws = |tag: &str, number: i32, object: &str| {
        pairs(&format!("(throw {tag} (i32.const {number}) (local.get {object}))"))
    };
    check(&throws("$t", 1, "$a"), &throws("$t", 2, "$a"), "step 1: object 0, value 0: I32(1) against I32(2)");
    check(&throws("$t", 1, "$a"), &throws("$t", 1, "$b"), "step 1: object 1, value 0: I64(1) against I64(2)");
    check(&throws("$t", 1, "$a"), &throws("$u", 1, "$a"), "step 1: object 0: exception m.t against exception m.u");
    check(&throws("$t", 1, "$a"), &throws("$private", 1, "$a"), "step 1: object 0: exception m.t against exception ");
}

#[test]
fn traps_have_places() {
    // Not through null: where guard pages catch that, its place is not exact.
    let traps = |before: &str| pairs(&format!("{before} (drop (ref.cast (ref $other) (local.get $a))) unreachable"));
    let (text, other) = (traps(""), traps("(nop)"));
    let place = |text: &str| match on_reference(text).steps[1].place {
        Some(Place::At { module: 0, offset, is_late: false }) => offset,
        place => panic!("{place:?}"),
    };
    let (left, right) = (place(&text), place(&other));
    check(
        &text,
        &other,
        &format!("step 1: Trap(CastFailure) at offset {left:#x} of module 0 against offset {right:#x} of module 0"),
    );
}

/// The module that a trap was in is the one whose instruction it was; segments that do not fit are in none.
#[test]
fn places_name_the_module() {
    let check = |texts: &[&str], expected: &[Option<usize>]| {
        let modules = texts.iter().enumerate().map(|(index, text)| LinkedModule {
            name: format!("m{index}"),
            wasm: wat::parse_str(text).expect("valid text"),
        });
        let modules: Vec<LinkedModule> = modules.collect();
        let calls = vec![LinkedCall { module: modules.len() - 1, export: "f".into(), args: vec![] }];
        let program = LinkedProgram { modules, calls };
        let known = DefinitionalEngine.run(&program, 10_000).expect("the reference runs it");
        let of = |run: &LinkedRun| match run.steps.last().and_then(|step| step.place) {
            Some(Place::At { module, .. }) => Some(module),
            Some(Place::Nowhere) => None,
            None => panic!("{run:?}"),
        };
        for choice in 0..CONFIGS.len() {
            let run = LinkedWattest::new(row(choice, false)).run(&program, 10_000).expect("the runtime runs it");
            assert_eq!(compare_linked(&known, &run), Ok(()), "{texts:?}");
            assert!(expected.contains(&of(&run)) && of(&run) == of(&known), "{texts:?}: {:?}", of(&run));
        }
    };
    let callee = r#"(module (memory 1)
        (func (export "f") unreachable) (func (export "g") (drop (i32.load (i32.const 65536)))))"#;
    let caller = |name: &str| {
        format!(r#"(module (import "m0" "{name}" (func $g)) (func (export "f") (call $g) (drop (i32.const 1))))"#)
    };
    check(&[callee, &caller("f")], &[Some(0)]);
    check(&[callee, &caller("g")], &[Some(0)]);
    check(&[callee, r#"(module (func (export "f") unreachable))"#], &[Some(1)]);
    check(&[callee, r#"(module (func $start unreachable) (start $start) (func (export "f")))"#], &[Some(1)]);
    check(&[callee, r#"(module (memory 1) (data (i32.const 65536) "a") (func (export "f")))"#], &[None]);
    check(&[callee, r#"(module (table 1 funcref) (elem (i32.const 1) $f) (func $f (export "f")))"#], &[None]);
}

/// Both engines see what `f` does to what no export shows, and tell it from what `g`, of the same module, does.
#[test]
fn private_state_is_seen() {
    let check = |one: &str, other: &str, difference: &str| {
        let text = |body: &str| {
            format!(
                r#"(module
                    (global $n (mut i32) (i32.const 5)) (global $r (mut anyref) (ref.null any))
                    (memory $shown (export "memory") 1) (memory $m 1 3) (table $t 2 anyref)
                    (elem $items anyref (ref.i31 (i32.const 9))) (data $bytes "abcdefgh")
                    (func (export "f") {body}))"#
            )
        };
        let (one, other) = (text(one), text(other));
        for (choice, stressed) in [(0, false), (3, false), (0, true)] {
            for text in [&one, &other] {
                let (known, run) = (on_reference(text), on_runtime(text, choice, stressed));
                assert!(known.steps.iter().chain(&run.steps).all(|step| step.private.is_some()));
                assert_eq!(compare_linked(&known, &run), Ok(()), "{text}");
            }
            let planted = on_runtime(&other, choice, stressed);
            assert_eq!(compare_linked(&on_reference(&one), &planted), Err(format!("step 1: {difference}")), "{other}");
        }
    };
    check("", "(global.set $n (i32.const 6))", "private global 0: I32(5) against I32(6)");
    check("", "(global.set $r (ref.i31 (i32.const 6)))", "private global 1: Null against Reference");
    check("", "(i32.store8 $m (i32.const 9) (i32.const 7))", "private memory 0, word 1: 0x0 against 0x700");
    check("", "(drop (memory.grow $m (i32.const 2)))", "private memory 0: 65536 bytes against 196608");
    check("", "(drop (memory.grow $shown (i32.const 1)))", "exported memory 0: 65536 bytes against 131072");
    check("", "(drop (table.grow $t (ref.null any) (i32.const 3)))", "private tables of [2] elements against [5]");
    let element = |object: &str| format!("(table.set $t (i32.const 1) {object})");
    check(
        &element("(ref.i31 (i32.const 1))"),
        &element("(ref.i31 (i32.const 2))"),
        "visible references, value 3: I31(1) against I31(2)",
    );
    check("", "(data.drop $bytes)", "data segment 0: not empty against empty");
    check("", "(elem.drop $items)", "element segment 0: not empty against empty");
}

/// A module that calls the host.
fn hosted(body: &str) -> String {
    format!(
        r#"(module
            (import "host" "digest" (func $digest (param i32 i64 f64 v128) (result i64)))
            (import "host" "swap" (func $swap (param anyref i32 anyref) (result anyref anyref)))
            (import "host" "call" (func $call (param i32 funcref)))
            (import "host" "throw" (func $throw (param i64 exnref)))
            (type $box (struct (field (mut i32))))
            (tag $t (export "t") (param i32))
            (global $n (mut i32) (i32.const 0))
            (elem declare func $thrower $trapper $again $other)
            (func $thrower (throw $t (i32.const 9)))
            (func $trapper (unreachable))
            (func $again (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (call $call (global.get $n) (ref.func $again)))
            (func $other (param i32))
            (func (export "f") (result i32 anyref) {body}))"#
    )
}

#[test]
fn the_host_answers_alike() {
    let check = |body: &str, calls: &[(usize, usize)], ending: Option<LinkedEnding>| {
        let text = hosted(body);
        let known = on_reference(&text);
        for (choice, stressed) in
            (0..CONFIGS.len()).step_by(3).map(|choice| (choice, false)).chain([(0, true), (1, true)])
        {
            let run = on_runtime(&text, choice, stressed);
            assert_eq!(compare_linked(&known, &run), Ok(()), "{body}");
            let step = run.steps.last().expect("a step");
            let made: Vec<(usize, usize)> =
                step.host_calls.iter().map(|call| (call.function, call.args.len())).collect();
            assert_eq!(made, calls, "{body}");
            match &ending {
                Some(ending) => assert_eq!(step.ending, *ending, "{body}"),
                None => assert!(matches!(step.ending, LinkedEnding::Values(_)), "{body}: {:?}", step.ending),
            }
        }
    };
    let null = "(ref.null any)";
    check(
        &format!(
            "(i32.wrap_i64 (call $digest (i32.const 1) (i64.const 2) (f64.const 3) (v128.const i64x2 4 5))) {null}"
        ),
        &[(0, 4)],
        None,
    );
    check(
        "(call $swap (struct.new $box (i32.const 7)) (i32.const 0) (ref.i31 (i32.const 3)))
         (drop) (i31.get_u (ref.cast (ref i31))) (ref.null any)",
        &[(1, 3)],
        None,
    );
    // Caught behind the host's frame, and thrown by the host once more.
    let caught = r#"(block $done (result i32)
        (block $again (result i32 exnref)
            (try_table (catch_ref $t $again) (call $call (i32.const 0) (ref.func $thrower)))
            (unreachable))
        (local.set $e) (drop)"#;
    let local = "(local $e exnref)";
    check(&format!("{local} {caught} (i32.const 4)) {null}"), &[(2, 2)], None);
    check(
        &format!("{local} {caught} (call $throw (i64.const 1) (local.get $e)) (i32.const 4)) {null}"),
        &[(2, 2), (3, 2)],
        Some(LinkedEnding::Exception),
    );
    let trap = |class| Some(LinkedEnding::Trap(class));
    check("(call $call (i32.const 0) (ref.func $trapper)) (unreachable)", &[(2, 2)], trap(TrapClass::Unreachable));
    check("(call $call (i32.const 0) (ref.null func)) (unreachable)", &[(2, 2)], trap(TrapClass::Host));
    check("(call $call (i32.const 0) (ref.func $other)) (unreachable)", &[(2, 2)], trap(TrapClass::Host));
    check("(call $throw (i64.const 0) (ref.null exn)) (unreachable)", &[(3, 2)], trap(TrapClass::Host));
    check("(call $again) (unreachable)", &[(2, 2); 9], trap(TrapClass::Host));
    // Arguments and the number of calls are compared.
    let run = |body: &str| on_reference(&hosted(body));
    let call = "(call $call (i32.const 0) (ref.func $trapper))";
    let compared =
        compare_linked(&run(&format!("{call} (unreachable)")), &on_runtime(&hosted("(unreachable)"), 0, false));
    assert_eq!(compared, Err("step 1: host calls: 1 of them against 0".into()));
}

/// A module of that name takes the host's place.
#[test]
fn a_module_may_have_the_name_of_the_host() {
    let module = |name: &str, text: &str| LinkedModule { name: name.into(), wasm: wat::parse_str(text).expect("text") };
    let importer = r#"(module (import "host" "call" (func (param i32 funcref))) (func (export "f")))"#;
    let own = r#"(module (func (export "call") (param i32 funcref)))"#;
    let check = |modules: Vec<LinkedModule>, expected: &LinkedEnding| {
        let calls = vec![LinkedCall { module: modules.len() - 1, export: "f".into(), args: vec![] }];
        let program = LinkedProgram { modules, calls };
        let known = DefinitionalEngine.run(&program, 10_000).expect("the reference runs it");
        let run = LinkedWattest::new(row(0, false)).run(&program, 10_000).expect("the runtime runs it");
        assert_eq!(compare_linked(&known, &run), Ok(()));
        assert_eq!(run.steps.last().map(|step| &step.ending), Some(expected));
    };
    let nothing = LinkedEnding::Values(vec![]);
    check(vec![module("a", importer)], &nothing);
    check(vec![module("host", own), module("a", importer)], &nothing);
    check(vec![module("a", importer), module("host", own)], &LinkedEnding::Unlinkable);
}
