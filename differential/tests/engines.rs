//! Both engines on modules small enough to know what they do.
//!
//! Invariant: what one engine reports is written down here, so that agreement on nonsense does not pass.
//!
//! Does not know: generated modules.

use wattest_differential::{
    CALLBACK_RECORD, CONFIGS, Call, DefinitionalEngine, Ending, Engine, Form, Frame, FuncIdentity, HostCall, NanRule,
    Plan, Program, ReferenceMode, Run, TrapClass, Value, WasmiEngine, WattestEngine, compare,
};

/// Calls of the original form, by engines that canonicalize NaNs, with a host that only answers.
fn plan_of(calls: Vec<Call>) -> Plan {
    Plan {
        calls,
        form: Form::Original,
        nans: NanRule::Exact,
        acting_host: false,
        host_seed: 5,
        steps_max: 10_000,
        capture: None,
        state_every: 1,
    }
}

fn run_all(text: &str, calls: &[(u32, &[Value])]) -> Vec<(String, Run)> {
    let program = Program::new(wat::parse_str(text).expect("valid text")).expect("a module that can be described");
    let calls = calls.iter().map(|(func, args)| Call { func: *func, args: args.to_vec() }).collect();
    let original = plan_of(calls);
    let exposed = Plan { form: Form::Exposed, ..original.clone() };
    let mut runs = Vec::new();
    let mut run = |engine: &mut dyn Engine, plan: &Plan| {
        let name = format!("{} on the {:?} form", engine.name(), plan.form);
        let run = engine.run(&program, plan).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        runs.push((name, run));
    };
    run(&mut WasmiEngine::new(ReferenceMode::Eager), &exposed);
    run(&mut WasmiEngine::new(ReferenceMode::Lazy), &exposed);
    run(&mut WattestEngine::new(0), &original);
    run(&mut WattestEngine::new(1), &exposed);
    run(&mut DefinitionalEngine, &original);
    runs
}

/// Every engine ends every step as expected, in the same state as the first engine.
fn check(text: &str, calls: &[(u32, &[Value])], expected: &[Ending]) {
    let runs = run_all(text, calls);
    for (name, run) in &runs {
        let endings: Vec<Ending> = run.steps.iter().map(|step| step.ending.clone()).collect();
        assert_eq!(endings, expected, "{name}");
        assert_eq!(compare(&runs[0].1, run, NanRule::Exact), Ok(()), "{name}");
    }
}

fn done() -> Ending {
    Ending::Values(Vec::new())
}

#[test]
fn traps_have_classes() {
    let check_trap = |body: &str, class: TrapClass| {
        let text = format!(
            "(module (memory 1) (table 2 funcref) (elem (i32.const 0) $other) (func $other (param i64)) \
             (func (export \"f\") {body}))"
        );
        check(&text, &[(1, &[])], &[done(), Ending::Trap(class)]);
    };
    check_trap("unreachable", TrapClass::Unreachable);
    check_trap("(drop (i32.load (i32.const 65533)))", TrapClass::MemoryOutOfBounds);
    check_trap("(drop (table.get (i32.const 2)))", TrapClass::TableOutOfBounds);
    check_trap("(call_indirect (i32.const 2))", TrapClass::TableOutOfBounds);
    check_trap("(call_indirect (i32.const 1))", TrapClass::NullCall);
    check_trap("(call_indirect (i32.const 0))", TrapClass::BadSignature);
    check_trap("(drop (i32.div_s (i32.const 1) (i32.const 0)))", TrapClass::DivideByZero);
    check_trap("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", TrapClass::IntegerOverflow);
    check_trap("(drop (i32.trunc_f32_s (f32.const nan)))", TrapClass::BadConversion);
    check_trap("(table.copy (i32.const 1) (i32.const 0) (i32.const 2))", TrapClass::TableOutOfBounds);
}

#[test]
fn hidden_state_is_seen() {
    let text = r#"(module
        (memory i64 1 2) (memory 1 1 (pagesize 1)) (table 2 4 funcref) (table 1 externref)
        (global $g (mut i64) (i64.const 1))
        (elem declare func $f)
        (func $f (export "f") (param externref)
            (global.set $g (i64.const 7))
            (i64.store (i64.const 8) (i64.const 9))
            (i32.store8 1 (i32.const 0) (i32.const 3))
            (table.set 0 (i32.const 1) (ref.func $f))
            (table.set 1 (i32.const 0) (local.get 0))))"#;
    let runs = run_all(text, &[(0, &[Value::Extern(Some(77))])]);
    for (name, run) in &runs {
        let state = &run.steps[1].state;
        assert_eq!(state.globals, [Value::I64(7)], "{name}");
        assert_eq!(state.memories[1].bytes, 1, "{name}");
        let tables =
            [vec![Value::Func(FuncIdentity::Null), Value::Func(FuncIdentity::Index(0))], vec![Value::Extern(Some(77))]];
        assert_eq!(state.tables, tables, "{name}");
        assert_eq!(compare(&runs[0].1, run, NanRule::Exact), Ok(()), "{name}");
    }
}

/// Whether a segment was dropped is state: every engine tells on every form, although nothing of it is exported; and a
/// module that forgets to drop one is told apart from the module that does not.
#[test]
fn dropped_segments_are_seen() {
    let text = |drops: &str| {
        format!(
            r#"(module
                (memory i64 1) (table i64 2 funcref) (table 1 externref)
                (data (i64.const 0) "active") (data $d "passive") (data "") (data "kept")
                (elem (i64.const 0) $f) (elem $e func $f) (elem declare func $f) (elem funcref) (elem externref (ref.null extern))
                (func $f (export "f") {drops})
                (func (data.drop $d)))"#
        )
    };
    let runs = run_all(&text("(data.drop $d) (elem.drop $e)"), &[(0, &[])]);
    for (name, run) in &runs {
        let flags = |step: usize| {
            let state = &run.steps[step].state;
            (state.empty_data.clone(), state.empty_elements.clone())
        };
        let all = |flags: &[bool]| flags.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(flags(0), (all(&[true, false, true, false]), all(&[true, false, true, true, false])), "{name}");
        assert_eq!(flags(1), (all(&[true, true, true, false]), all(&[true, true, true, true, false])), "{name}");
    }
    for (drops, expected) in [
        ("(elem.drop $e)", "data segment 1: empty against not empty"),
        ("(data.drop $d)", "element segment 1: empty against not empty"),
    ] {
        for ((name, right), (_, wrong)) in runs.iter().zip(run_all(&text(drops), &[(0, &[])])) {
            let found = compare(right, &wrong, NanRule::Exact).expect_err("a difference");
            assert_eq!((found.step, found.what.as_str()), (1, expected), "{name}");
        }
    }
}

#[test]
fn host_calls_are_recorded() {
    let text = r#"(module
        (import "host" "f" (func $host (param i32 f64) (result i64)))
        (import "host" "g" (global i32))
        (func (export "f") (result i64) (call $host (i32.const 3) (f64.const 0.5))))"#;
    let runs = run_all(text, &[(1, &[]), (1, &[])]);
    let call = HostCall { func: 0, args: vec![Value::I32(3), Value::F64(0.5f64.to_bits())] };
    for (name, run) in &runs {
        assert_eq!(run.trace, [call.clone(), call.clone()], "{name}");
        assert_eq!(compare(&runs[0].1, run, NanRule::Exact), Ok(()), "{name}");
    }
    let first = |run: &Run| run.steps[1].ending.clone();
    assert_ne!(first(&runs[0].1), runs[0].1.steps[2].ending, "results depend on the number of the call");
}

/// Host functions grow and write the memory and call back, and both engines see the same.
#[test]
fn hosts_act() {
    let text = r#"(module
        (import "host" "f" (func $host (param i32) (result i32)))
        (memory (export "m") 1 9)
        (global $count (mut i32) (i32.const 0))
        (func (export "f") (param i32) (result i32)
            (i32.add (call $host (local.get 0)) (memory.size)))
        (func (export "last") (param i32) (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (global.get $count)))"#;
    let program = Program::new(wat::parse_str(text).expect("valid text")).expect("a module that can be described");
    let calls = (0..100).map(|arg| Call { func: 1, args: vec![Value::I32(arg)] }).collect();
    let plan = Plan { acting_host: true, ..plan_of(calls) };
    let oracle = WasmiEngine::new(ReferenceMode::Eager).run(&program, &plan).expect("wasmi runs it");
    let subject = WattestEngine::new(0).run(&program, &plan).expect("wattest runs it");
    assert_eq!(compare(&oracle, &subject, NanRule::Exact), Ok(()));
    let callbacks = oracle.trace.iter().filter(|call| call.func == CALLBACK_RECORD).count();
    let last = oracle.steps.last().expect("there are steps");
    assert_eq!(last.state.globals, [Value::I32(callbacks as u32)]);
    assert!(
        callbacks > 3 && last.state.memories[0].bytes > 1 << 16,
        "{callbacks} callbacks, {:?}",
        last.state.memories
    );
}

#[test]
fn imports_are_seen_after_a_failed_instantiation() {
    let text = r#"(module
        (import "host" "m" (memory 1 2))
        (data (i32.const 0) "abc")
        (data (i32.const 65536) "x"))"#;
    check(text, &[], &[Ending::Trap(TrapClass::MemoryOutOfBounds)]);
    let text = r#"(module
        (import "host" "m" (memory 1 2))
        (start $start)
        (func $start (i32.store (i32.const 0) (i32.const 9)) unreachable))"#;
    check(text, &[], &[Ending::Trap(TrapClass::Unreachable)]);
}

#[test]
fn a_budget_poisons() {
    let text = r#"(module (func (export "f") (loop (br 0))) (func (export "g")))"#;
    let program = Program::new(wat::parse_str(text).expect("valid text")).expect("a module that can be described");
    let calls = vec![Call { func: 1, args: vec![] }, Call { func: 0, args: vec![] }, Call { func: 1, args: vec![] }];
    let plan = Plan {
        calls,
        form: Form::Exposed,
        nans: NanRule::Exact,
        acting_host: false,
        host_seed: 0,
        steps_max: 1000,
        capture: None,
        state_every: 1,
    };
    let run = WasmiEngine::new(ReferenceMode::Eager).run(&program, &plan).expect("the module is accepted");
    assert_eq!(run.steps.len(), 2, "the instantiation and the first call");
    assert_eq!(run.stopped, Some(wattest_differential::Poison::Budget));
}

/// Where a trap was is the same on every engine that knows: the definitional interpreter, and the runtime in every
/// configuration on both forms.
#[test]
fn traps_have_places() {
    let check_place = |body: &str| {
        let text = format!("(module (memory 1) (func (export \"f\") (param i32) (result i32) {body}))");
        let program = Program::new(wat::parse_str(&text).expect("valid text")).expect("a module that can be described");
        let calls = [0u32, 1, 70_000].map(|argument| Call { func: 0, args: vec![Value::I32(argument)] }).to_vec();
        let mut plan = plan_of(calls);
        let expected = Engine::run(&mut DefinitionalEngine, &program, &plan).expect("it runs");
        assert!(expected.steps.iter().any(|step| step.offset.is_some()), "{body}: no trap with an offset");
        for row in 0..CONFIGS.len() {
            for form in [Form::Original, Form::Exposed] {
                plan.form = form;
                let mut engine = WattestEngine::new(row);
                let run = engine.run(&program, &plan).expect("it runs");
                assert_eq!(compare(&expected, &run, NanRule::Exact), Ok(()), "{} on {form:?}: {body}", engine.name());
            }
        }
    };
    // A branch to a block that only traps must not be merged with it.
    check_place("(if (local.get 0) (then (unreachable))) (i32.const 1)");
    check_place("(block (br_if 0 (i32.eqz (local.get 0))) (unreachable)) (i32.const 1)");
    check_place("(i32.add (i32.load (local.get 0)) (i32.load offset=65530 (local.get 0)))");
    check_place("(i32.div_s (i32.const 5) (i32.sub (local.get 0) (i32.const 1)))");
    // The comparison of a product with zero becomes one of the loaded factor, which the optimizer makes.
    check_place(
        "(block (br_if 0 (i32.mul (i32.load offset=65535 align=1 (local.get 0)) (i32.const 0x55555555)))) (i32.const 1)",
    );
    check_place("(i32.trunc_f32_s (f32.mul (f32.convert_i32_u (local.get 0)) (f32.const 1e9)))");
}

/// A reference to an exported function is told from others when it comes to the host.
#[test]
fn functions_that_come_to_the_host_are_named() {
    let text = "(module (import \"host\" \"f\" (func $host (param funcref)))
        (func $a (export \"a\")) (func $b) (elem declare func $a $b)
        (func (export \"go\") (call $host (ref.func $a)) (call $host (ref.func $b)) (call $host (ref.null func))))";
    let program = Program::new(wat::parse_str(text).expect("valid text")).expect("a module that can be described");
    let plan = plan_of(vec![Call { func: 3, args: Vec::new() }]);
    let engines: [Box<dyn Engine>; 3] = [
        Box::new(WasmiEngine::new(ReferenceMode::Eager)),
        Box::new(DefinitionalEngine),
        Box::new(WattestEngine::new(0)),
    ];
    for mut engine in engines {
        let run = engine.run(&program, &plan).expect("it runs");
        let seen: Vec<&Value> = run.trace.iter().flat_map(|call| &call.args).collect();
        let func = Value::Func;
        let expected = [func(FuncIdentity::Index(1)), func(FuncIdentity::Unknown), func(FuncIdentity::Null)];
        assert_eq!(seen, expected.iter().collect::<Vec<_>>(), "{}", engine.name());
    }
}

/// Rows that keep locals tell the frames of a trap with them, whatever the code looks like; others tell nothing.
#[test]
fn traps_have_locals_where_they_are_kept() {
    let text = "(module (memory 1)
        (func $inner (param i64) (result i32) (local f32 v128)
            (local.set 1 (f32.const 2))
            (local.set 0 (i64.add (local.get 0) (i64.const 1)))
            (i32.load (i32.wrap_i64 (local.get 0))))
        (func (export \"f\") (param i32) (result i32) (local i32)
            (local.set 1 (i32.const 9))
            (drop (call $inner (i64.extend_i32_u (local.get 0))))
            (local.set 1 (i32.const 8))
            (local.get 1)))";
    let program = Program::new(wat::parse_str(text).expect("valid text")).expect("a module that can be described");
    let frame = |func, locals: &[Option<Value>]| Frame { func, locals: locals.to_vec() };
    let expected = [
        frame(0, &[Some(Value::I64(70_001)), Some(Value::F32(0x4000_0000)), None]),
        frame(1, &[Some(Value::I32(70_000)), Some(Value::I32(9))]),
    ];
    let mut kept = 0;
    for (row, config) in CONFIGS.iter().enumerate() {
        let plan = Plan {
            form: if row % 2 == 0 { Form::Original } else { Form::Exposed },
            ..plan_of([0, 70_000].map(|argument| Call { func: 1, args: vec![Value::I32(argument)] }).to_vec())
        };
        let run = WattestEngine::new(row).run(&program, &plan).expect("it runs");
        assert_eq!(run.steps[1].frames, None, "{}", config.name);
        let frames = run.steps[2].frames.as_deref();
        assert_eq!(frames, config.keeps_locals().then_some(&expected[..]), "{}", config.name);
        kept += u32::from(config.keeps_locals());
    }
    assert!(kept > 1, "nothing to compare with");
}
