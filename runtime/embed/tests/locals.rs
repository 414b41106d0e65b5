//! Locals in backtraces of code that keeps them.
//!
//! Promises: with [`Config::keep_locals`], every frame of a trap, an exception or a host's error has the numbers that the
//! guest's locals held, however the code was optimized.
//!
//! Invariant: every case runs in every configuration, also from an artifact.
//!
//! Does not know: where frames keep them.

use wattest::LocalValue::{F32, F64, I32, I64};
use wattest::{Backtrace, Config, Engine, Error, Features, Linker, LocalValue, Module, Store, TrapCode};

/// Engine options of every configuration.
const CONFIGURATIONS: &[&str] = &[
    "",
    "opt-level=none",
    "opt-level=none regalloc=single-pass",
    "opt-level=speed-and-size",
    "explicit-bounds",
    "signals-based-traps=false",
    "call-path=entry",
    "fuel epoch",
];

fn engine(options: &str, keep: bool) -> Engine {
    let mut config = Config::new();
    config.features(Features::all_implemented()).keep_locals(keep);
    for option in options.split_whitespace() {
        let (key, value) = option.split_once('=').unwrap_or((option, "true"));
        config.set(key, value).unwrap_or_else(|error| panic!("{option}: {error}"));
    }
    Engine::new(&config).expect("the configuration is sound")
}

fn linker(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "fail", || -> Result<(), Error> { Err(Error::msg("the host failed")) }).expect("one name");
    linker
}

fn end(module: &Module) -> Error {
    let engine = module.engine();
    let mut store = Store::new(engine, ());
    if engine.config().get("fuel").as_deref() == Some("true") {
        store.set_fuel(1 << 40).expect("fuel is counted");
        store.set_epoch_deadline(1 << 40);
    }
    let instance = linker(engine).instantiate(&mut store, module).expect("there is no start function");
    instance.get_typed_func::<(), ()>(&mut store, "run").expect("it is exported").call(&mut store, ()).unwrap_err()
}

fn backtrace(error: &Error) -> &Backtrace {
    match error {
        Error::Trap(trap) => trap.backtrace(),
        Error::Exception(thrown) => thrown.backtrace(),
        Error::Host(error) => error.backtrace(),
        other => panic!("{other}"),
    }
}

/// Runs the export `run` of a module of `text`, and compares the locals of the innermost frames.
#[expect(unsafe_code, reason = "loads the artifact that was just made")]
fn check(text: &str, expected: &[&[Option<LocalValue>]]) {
    let text = format!(r#"(module (import "host" "fail" (func $fail)) (memory 1) {text})"#);
    for options in CONFIGURATIONS {
        let keeping = engine(options, true);
        let module = Module::new(&keeping, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let artifact = module.serialize().expect("it can be serialized");
        // SAFETY: the bytes were just made by `serialize`.
        let loaded = unsafe { Module::deserialize(&keeping, &artifact) }.expect("it was just made");
        for module in [module, loaded] {
            let error = end(&module);
            let found = backtrace(&error);
            let locals: Vec<_> = (0..expected.len()).map(|frame| found.locals(frame)).collect();
            assert_eq!(locals, expected, "{options}: {text}");
            assert!(found.locals(found.frames().len()).is_empty());
        }
        let plain = Module::new(&engine(options, false), &text).expect("it is valid");
        let error = end(&plain);
        assert!((0..8).all(|frame| backtrace(&error).locals(frame).is_empty()), "{options}: {text}");
    }
}

#[test]
fn of_every_kind() {
    check(
        r#"(func $f (param i32 i64 f32 f64) (local i32 v128 funcref externref f32) unreachable)
        (func (export "run") (call $f (i32.const -5) (i64.const -6) (f32.const 1.5) (f64.const -0)))"#,
        &[
            &[
                Some(I32(-5)),
                Some(I64(-6)),
                Some(F32(1.5f32.to_bits())),
                Some(F64((-0.0f64).to_bits())),
                Some(I32(0)),
                None,
                None,
                None,
                Some(F32(0)),
            ],
            &[],
        ],
    );
}

#[test]
fn as_they_last_were() {
    check(
        r#"(func (export "run") (local $i i32) (local $sum i64)
            (loop $next
                (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $i))))
                (drop (i32.load (i32.mul (local.get $i) (i32.const 16384))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next)))"#,
        &[&[Some(I32(4)), Some(I64(10))]],
    );
    check(
        r#"(func (export "run") (local $a i32) (local $b i32)
            (if (i32.eqz (local.get $a)) (then (local.set $b (i32.const 7))) (else (local.set $b (i32.const 8))))
            (local.set $a (i32.div_s (local.tee $b (i32.add (local.get $b) (i32.const 1))) (local.get $a))))"#,
        &[&[Some(I32(0)), Some(I32(8))]],
    );
}

#[test]
fn of_callers_and_below_the_host() {
    check(
        r#"(func $down (param $n i32) (local $twice i32)
            (local.set $twice (i32.mul (local.get $n) (i32.const 2)))
            (if (local.get $n) (then (call $down (i32.sub (local.get $n) (i32.const 1)))) (else (call $fail))))
        (func (export "run") (local f64) (local.set 0 (f64.const 2)) (call $down (i32.const 2)))"#,
        &[
            &[Some(I32(0)), Some(I32(0))],
            &[Some(I32(1)), Some(I32(2))],
            &[Some(I32(2)), Some(I32(4))],
            &[Some(F64(2.0f64.to_bits()))],
        ],
    );
    check(
        r#"(tag $t) (func $throw (param i32) (throw $t))
        (func (export "run") (local i32) (local.set 0 (i32.const 3)) (call $throw (i32.const 9)))"#,
        &[&[Some(I32(9))], &[Some(I32(3))]],
    );
    check(
        r#"(tag $t) (func $throw (throw $t))
        (func (export "run") (local i32)
            (block $caught (try_table (catch $t $caught) (local.set 0 (i32.const 5)) (call $throw)))
            unreachable)"#,
        &[&[Some(I32(5))]],
    );
    check(
        r#"(func $end (param i64) unreachable)
        (func $middle (param i32) (return_call $end (i64.const 11)))
        (func (export "run") (local i32) (local.set 0 (i32.const 6)) (call $middle (i32.const 1)))"#,
        &[&[Some(I64(11))], &[Some(I32(6))]],
    );
}

#[test]
fn of_more_than_a_frame_keeps() {
    let text = format!(
        r#"(func (export "run") (local {}) (local.set 1023 (i32.const 1)) (local.set 1024 (i32.const 2)) unreachable)"#,
        "i32 ".repeat(1030)
    );
    let mut expected = vec![Some(I32(0)); 1030];
    expected[1023] = Some(I32(1));
    expected[1024..].fill(None);
    check(&text, &[&expected]);
}

#[test]
fn of_a_stack_overflow() {
    for options in CONFIGURATIONS {
        let text = r#"(module (func $f (export "run") (local i32) (local.set 0 (i32.const 4)) (call $f)))"#;
        let error = end(&Module::new(&engine(options, true), text).expect("it is valid"));
        assert_eq!(error.trap().map(|trap| trap.code()), Some(TrapCode::StackOverflow));
        let found = backtrace(&error);
        assert_eq!(found.locals(1), [Some(I32(4))], "{options}");
        assert_eq!(found.locals(found.frames().len() - 1), [Some(I32(4))], "{options}");
    }
}
