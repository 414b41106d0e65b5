//! V8 as an engine, where there is one: it does what the definitional interpreter does, and a difference is seen.
//!
//! Invariant: without a node that has all of WebAssembly 3.0 every test says so and checks nothing.
//!
//! Does not know: generated modules.

use wattest_differential::v8::{NODE_VARIABLE, Question, Silence, V8};
use wattest_differential::{
    Call, DefinitionalEngine, Ending, Engine, Form, FuncIdentity, NanRule, Plan, Program, Run, TrapClass, Value,
    compare,
};

/// V8, or nothing where it is not installed, which is then said.
fn v8(test: &str) -> Option<V8> {
    match V8::find() {
        Ok(v8) => Some(v8),
        Err(why) => {
            println!("{test}: skipped: {why}; {NODE_VARIABLE} may name one");
            None
        }
    }
}

fn program(text: &str) -> Program {
    Program::new(wat::parse_str(text).expect("valid text")).expect("a module that can be described")
}

fn plan(calls: &[(u32, &[Value])], acting_host: bool) -> Plan {
    let calls = calls.iter().map(|(func, args)| Call { func: *func, args: args.to_vec() }).collect();
    let nans = NanRule::Arithmetic;
    Plan {
        calls,
        form: Form::Original,
        nans,
        acting_host,
        host_seed: 5,
        steps_max: 100_000,
        capture: None,
        state_every: 1,
    }
}

fn reference(program: &Program, plan: &Plan) -> Run {
    DefinitionalEngine.run(program, plan).expect("the reference runs it")
}

/// V8 does as the reference does.
fn check(v8: &mut V8, text: &str, calls: &[(u32, &[Value])], acting_host: bool) -> Run {
    let (program, plan) = (program(text), plan(calls, acting_host));
    let known = reference(&program, &plan);
    let run = v8.run(&[Question { program: &program, plan: &plan, known: &known }]).pop().expect("an answer");
    let run = run.unwrap_or_else(|silence| panic!("{silence}: {text}"));
    assert_eq!(compare(&known, &run, NanRule::Arithmetic), Ok(()), "{text}\n{run:?}");
    assert_eq!(known.steps.len(), run.steps.len(), "{text}");
    run
}

#[test]
fn values_of_all_types_pass() {
    let Some(mut v8) = v8("values_of_all_types_pass") else { return };
    let text = r#"(module
        (global $v (mut v128) (v128.const i64x2 0 0)) (global $e (mut externref) (ref.null extern))
        (global f64 (f64.const nan:0x8000000000123))
        (memory i64 1 3) (memory 1) (table i64 2 funcref) (table 2 externref) (data $d "x") (elem $s func $f)
        (elem declare func $f)
        (func $f (export "f") (param i32 f32 externref v128 i64 funcref) (result i64 externref v128 f32 i32 funcref)
            (global.set $v (local.get 3)) (global.set $e (local.get 2))
            (v128.store (i64.const 40) (local.get 3))
            (i32.store8 1 (i32.const 9) (local.get 0))
            (drop (memory.grow 0 (i64.const 1)))
            (table.set 0 (i64.const 1) (local.get 5)) (table.set 1 (i32.const 0) (local.get 2))
            (data.drop $d) (elem.drop $s)
            (local.get 4) (local.get 2) (local.get 3) (local.get 1) (local.get 0) (ref.func $f)))"#;
    let signalling = Value::F32(0x7fa0_0001);
    let args = [
        Value::I32(u32::MAX),
        signalling,
        Value::Extern(Some(u32::MAX)),
        Value::V128(u128::MAX / 7),
        Value::I64(1 << 63),
        Value::Func(FuncIdentity::Index(0)),
    ];
    let run = check(&mut v8, text, &[(0, &args), (0, &args)], false);
    let Ending::Values(values) = &run.steps[1].ending else { panic!("{run:?}") };
    assert_eq!(values[3], signalling, "the bits of a NaN pass");
    assert_eq!(
        (&run.steps[0].state.empty_data[..], &run.steps[1].state.empty_data[..]),
        (&[Some(false)][..], &[Some(true)][..])
    );
}

/// In a script's object one name would stand for the last of them.
#[test]
fn imports_may_share_a_name() {
    let Some(mut v8) = v8("imports_may_share_a_name") else { return };
    let text = r#"(module
        (import "" "" (global funcref)) (import "" "" (global $n i64)) (import "" "" (func $h (param i64) (result i64)))
        (import "" "" (memory 1)) (import "" "" (table 1 funcref)) (import "" "" (func (result i32)))
        (func (export "f") (result i64 i32) (call $h (global.get $n)) (call 1)))"#;
    let run = check(&mut v8, text, &[(2, &[])], false);
    assert_eq!(run.trace.iter().map(|call| call.func).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn traps_have_classes_and_places() {
    let Some(mut v8) = v8("traps_have_classes_and_places") else { return };
    let mut trap = |body: &str, class: TrapClass| {
        let text = format!(
            "(module (memory 1) (table 2 funcref) (elem (i32.const 0) $other) (func $other (param i64)) \
             (func (export \"f\") (nop) {body}))"
        );
        let run = check(&mut v8, &text, &[(1, &[])], false);
        assert_eq!(run.steps[1].ending, Ending::Trap(class), "{body}");
        assert!(run.steps[1].offset.is_some(), "{body}: no place");
    };
    trap("unreachable", TrapClass::Unreachable);
    trap("(drop (i32.add (i32.const 1) (i32.load (i32.const 65533))))", TrapClass::MemoryOutOfBounds);
    trap("(memory.fill (i32.const 65533) (i32.const 0) (i32.const 9))", TrapClass::MemoryOutOfBounds);
    trap("(drop (table.get (i32.const 2)))", TrapClass::TableOutOfBounds);
    trap("(call_indirect (i32.const 2))", TrapClass::TableOutOfBounds);
    trap("(call_indirect (i32.const 1))", TrapClass::NullCall);
    trap("(call_indirect (i32.const 0))", TrapClass::BadSignature);
    trap("(drop (i32.div_s (i32.const 1) (i32.const 0)))", TrapClass::DivideByZero);
    trap("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", TrapClass::IntegerOverflow);
    trap("(drop (i32.trunc_f32_s (f32.const nan)))", TrapClass::BadConversion);
    trap("(table.copy (i32.const 1) (i32.const 0) (i32.const 2))", TrapClass::TableOutOfBounds);
}

#[test]
fn the_host_is_the_same() {
    let Some(mut v8) = v8("the_host_is_the_same") else { return };
    let text = r#"(module
        (import "host" "f" (func $host (param i32 v128 externref) (result i32 v128 externref)))
        (import "host" "g" (global i64))
        (import "host" "e" (global (mut externref)))
        (import "host" "m" (memory 1 9))
        (import "host" "t" (table 1 2 externref))
        (export "m" (memory 0))
        (global $count (mut i32) (i32.const 0))
        (func $start (i32.store (i32.const 8) (i32.const 7)))
        (start $start)
        (func (export "f") (param i32) (result i32 v128 externref i64)
            (call $host (local.get 0) (v128.const i64x2 1 -1) (global.get 1)) (global.get 0))
        (func (export "last") (param i32) (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (global.get $count)))"#;
    let args: Vec<[Value; 1]> = (0..400).map(|number| [Value::I32(number)]).collect();
    let calls: Vec<(u32, &[Value])> = args.iter().map(|args| (2, &args[..])).collect();
    let run = check(&mut v8, text, &calls, true);
    let last = run.steps.last().expect("there are steps");
    assert!(last.state.memories[0].bytes > 1 << 16, "the host acts");
    assert!(run.steps.iter().any(|step| step.ending == Ending::Trap(TrapClass::Host)), "the host fails now and then");
}

#[test]
fn failed_instantiations_leave_what_was_imported() {
    let Some(mut v8) = v8("failed_instantiations_leave_what_was_imported") else { return };
    let segment =
        r#"(module (import "host" "m" (memory 1 2)) (data (i32.const 0) "abc") (data (i32.const 65536) "x"))"#;
    let start = r#"(module
        (import "host" "m" (memory 1 2)) (import "host" "g" (global (mut v128)))
        (start $start)
        (func $start (i32.store (i32.const 0) (i32.const 9)) unreachable))"#;
    check(&mut v8, segment, &[], false);
    check(&mut v8, start, &[], false);
}

/// Of a batch, each case has its own answer: one that does as expected, one that does not, one that V8 refuses.
#[test]
fn batches_keep_their_order_and_see_differences() {
    let Some(mut v8) = v8("batches_keep_their_order_and_see_differences") else { return };
    let text = |operation: &str| {
        format!("(module (func (export \"f\") (param i32) (result i32) ({operation} (local.get 0) (i32.const 3))))")
    };
    let (right, wrong) = (program(&text("i32.add")), program(&text("i32.sub")));
    let lacking =
        program("(module (memory 0 1 (pagesize 1)) (func (export \"f\") (param i32) (result i32) (i32.const 1)))");
    let plan = plan(&[(0, &[Value::I32(9)])], false);
    let known = reference(&right, &plan);
    let question = |program| Question { program, plan: &plan, known: &known };
    let answers = v8.run(&[question(&right), question(&lacking), question(&wrong), question(&right)]);
    let verdicts: Vec<Result<bool, Silence>> = answers
        .iter()
        .map(|answer| {
            answer.as_ref().map(|run| compare(&known, run, NanRule::Exact).is_ok()).map_err(|silence| *silence)
        })
        .collect();
    assert_eq!(verdicts, [Ok(true), Err(Silence::Proposal), Ok(false), Ok(true)]);
}

#[test]
fn bytes_are_judged() {
    let Some(mut v8) = v8("bytes_are_judged") else { return };
    let wasm = |text: &str| wat::parse_str(text).expect("valid text");
    let good = wasm("(module (type (sub (struct (field (mut i8))))) (func (try_table)) (memory i64 1))");
    let bad = wasm("(module (func (result i32) (i64.const 1)))");
    let large = wasm("(module (memory i64 0x1000000000000))");
    // `try` and `catch_all` of the older proposal.
    let legacy = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x08\x01\x06\0\x06\x40\x19\x0b\x0b";
    let legacy = [&legacy[..], &[]].concat();
    let verdicts = v8.judge(&[&good, &bad, b"\0asm", &legacy[..], &large]);
    let verdicts: Vec<Result<bool, Silence>> =
        verdicts.into_iter().map(|verdict| verdict.map(|it| it.is_ok())).collect();
    assert_eq!(verdicts[..3], [Ok(true), Ok(false), Ok(false)]);
    assert!(matches!(verdicts[3], Err(Silence::LegacyExceptions) | Ok(false)), "{verdicts:?}");
    assert!(matches!(verdicts[4], Err(Silence::Limit) | Ok(true)), "{verdicts:?}");
}
