//! What traps say about accesses out of bounds: where, and how large the memory or table is.
//!
//! Promises: the numbers are the same whichever way bounds are checked: by guard regions, by comparison with and without
//! masks, with and without signals ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)).
//!
//! Invariant: every case runs in every configuration, twice in one store, and a trap of another kind behind it knows nothing of it.
//!
//! Does not know: how the numbers are found.

use wattest::{
    Config, Engine, Error, FailedAccess, FailedElement, Features, InstantiateError, Linker, Module, Store, Trap,
};

/// What a trap says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Access(FailedAccess),
    Element(FailedElement),
}

fn access(address: u64, bytes: Option<u64>, memory_bytes: u64) -> Said {
    Said::Access(FailedAccess { address, bytes, memory_bytes })
}

fn element(index: u64, count: Option<u64>, table_elements: u64) -> Said {
    Said::Element(FailedElement { index, count, table_elements })
}

fn said(trap: &Trap) -> Said {
    match (trap.failed_access(), trap.failed_element()) {
        (None, None) => Said::Nothing,
        (Some(access), None) => Said::Access(*access),
        (None, Some(element)) => Said::Element(*element),
        (Some(_), Some(_)) => panic!("a trap is of a memory or of a table"),
    }
}

/// Engine options of every configuration.
const CONFIGURATIONS: &[&str] = &[
    "",
    "opt-level=none regalloc=single-pass",
    "explicit-bounds",
    "explicit-bounds spectre-mitigation=false",
    "signals-based-traps=false",
    "signals-based-traps=false spectre-mitigation=false",
    "memory-reservation=1MiB memory-guard=64KiB",
    "memory-guard=0",
    "allocation=pooling pooling-memories=10",
    "fuel epoch",
];

fn engine(options: &str) -> Engine {
    let mut config = Config::new();
    config.features(Features::all_implemented());
    for option in options.split_whitespace() {
        let (key, value) = option.split_once('=').unwrap_or((option, "true"));
        config.set(key, value).unwrap_or_else(|error| panic!("{option}: {error}"));
    }
    Engine::new(&config).expect("the configuration is sound")
}

fn run(store: &mut Store<()>, module: &Module, name: &str) -> Error {
    if let Some(ticks) = store.engine().config().get("fuel").filter(|value| value == "true") {
        assert_eq!(ticks, "true");
        store.set_fuel(1_000_000).expect("fuel is counted");
        store.set_epoch_deadline(1 << 40);
    }
    match Linker::new(store.engine()).instantiate(&mut *store, module) {
        Ok(instance) => {
            let run = instance.get_typed_func::<(), ()>(&mut *store, name).expect("it is exported");
            run.call(store, ()).expect_err("it traps")
        }
        Err(InstantiateError::Start(error)) => error,
        Err(error) => panic!("{error}"),
    }
}

/// Runs a module of `text`, whose export `run` or whose segments trap.
fn check(text: &str, expected: Said) {
    let text = format!(r#"(module {text} (func (export "stop") unreachable))"#);
    for options in CONFIGURATIONS {
        let engine = engine(options);
        let module = Module::new(&engine, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut store = Store::new(&engine, ());
        for _ in 0..2 {
            let error = run(&mut store, &module, "run");
            let trap = error.trap().unwrap_or_else(|| panic!("{error}: {text}"));
            assert_eq!(said(trap), expected, "{options}: {text}");
        }
        let plain = Module::new(&engine, r#"(module (func (export "stop") unreachable))"#).expect("it is valid");
        let error = run(&mut store, &plain, "stop");
        assert_eq!(error.trap().map(said), Some(Said::Nothing), "{options}: {text}");
    }
}

/// As [`check`], for a body between a memory of one page and the end.
fn check_body(body: &str, expected: Said) {
    check(&format!(r#"(memory 1 3) (func (export "run") {body})"#), expected);
}

#[test]
fn loads_and_stores() {
    check_body("(drop (i32.load (i32.const 65536)))", access(65536, None, 65536));
    check_body("(drop (i32.load (i32.const 65533)))", access(65536, None, 65536));
    check_body("(drop (i32.load8_s (i32.const -1)))", access(0xffff_ffff, None, 65536));
    check_body("(i64.store offset=65536 (i32.const 8) (i64.const 1))", access(65544, None, 65536));
    check_body("(i32.store16 (i32.const 65535) (i32.const 1))", access(65536, None, 65536));
    check_body("(drop (v128.load (i32.const 70000)))", access(70000, None, 65536));
    check_body("(drop (f64.load offset=0xffff0000 (i32.const 0x20000)))", access(0x1_0001_0000, None, 65536));
    check_body("(drop (i32.atomic.rmw.add (i32.const 65536) (i32.const 1)))", access(65536, None, 65536));
    check_body("(drop (v128.load32_zero (i32.const 65534)))", access(65536, None, 65536));
}

#[test]
fn loads_and_stores_of_other_memories() {
    let grown = "(drop (memory.grow (i32.const 1))) (drop (i32.load (i32.const 131072)))";
    check_body(grown, access(131_072, None, 131_072));
    check(
        r#"(memory 1) (memory $m 2) (func (export "run") (drop (i32.load $m (i32.const 200000))))"#,
        access(200_000, None, 131_072),
    );
    check(r#"(memory 0) (func (export "run") (drop (i32.load8_u (i32.const 0))))"#, access(0, None, 0));
    check(r#"(memory 10 (pagesize 1)) (func (export "run") (drop (i32.load (i32.const 8))))"#, access(10, None, 10));
    let wide = |body: &str, expected| check(&format!(r#"(memory i64 1) (func (export "run") {body})"#), expected);
    wide("(drop (i32.load (i64.const 65536)))", access(65536, None, 65536));
    wide("(drop (i32.load (i64.const 65533)))", access(65536, None, 65536));
    wide("(drop (i64.load offset=8 (i64.const 0x123456789abc)))", access(0x1234_5678_9ac4, None, 65536));
    wide("(drop (i64.load offset=16 (i64.const -1)))", access(u64::MAX, None, 65536));
    wide("(i64.store offset=0x100000000 (i64.const 1) (i64.const 2))", access(0x1_0000_0001, None, 65536));
}

#[test]
fn bulk_operations_and_waits() {
    check_body("(memory.fill (i32.const 65530) (i32.const 0) (i32.const 8))", access(65530, Some(8), 65536));
    check_body("(memory.copy (i32.const 0) (i32.const -1) (i32.const 2))", access(0xffff_ffff, Some(2), 65536));
    check_body("(memory.copy (i32.const 65535) (i32.const 0) (i32.const 2))", access(65535, Some(2), 65536));
    check_body("(drop (memory.atomic.notify (i32.const 65536) (i32.const 1)))", access(65536, Some(4), 65536));
    let shared = |body: &str, expected| {
        check(&format!(r#"(memory 1 1 shared) (func (export "run") (drop {body}))"#), expected);
    };
    shared("(memory.atomic.wait32 (i32.const 65536) (i32.const 0) (i64.const 0))", access(65536, Some(4), 65536));
    shared("(memory.atomic.wait64 (i32.const 65536) (i64.const 0) (i64.const 0))", access(65536, Some(8), 65536));
    shared("(memory.atomic.notify offset=8 (i32.const 65532) (i32.const 1))", access(65540, Some(4), 65536));
    check(
        r#"(memory i64 1) (func (export "run") (drop (memory.atomic.notify offset=8 (i64.const -4) (i32.const 1))))"#,
        access(u64::MAX, None, 65536),
    );
    let init = |body: &str| format!(r#"(memory 1) (data $d "four") (func (export "run") {body})"#);
    check(&init("(memory.init $d (i32.const 65534) (i32.const 0) (i32.const 4))"), access(65534, Some(4), 65536));
    // It is the segment that is too short.
    check(&init("(memory.init $d (i32.const 0) (i32.const 0) (i32.const 5))"), Said::Nothing);
}

#[test]
fn tables() {
    let table = |body: &str| {
        format!(
            r#"(table $t 3 funcref) (table $u 5 externref) (table $w i64 2 funcref) (elem $e func $f $f $f $f) (func $f)
            (func (export "run") {body})"#
        )
    };
    check(&table("(drop (table.get $t (i32.const 7)))"), element(7, None, 3));
    check(&table("(drop (table.get $u (i32.const -1)))"), element(0xffff_ffff, None, 5));
    check(&table("(table.set $u (i32.const 5) (ref.null extern))"), element(5, None, 5));
    check(&table("(drop (table.get $w (i64.const 0x100000000)))"), element(0x1_0000_0000, None, 2));
    check(&table("(table.fill $t (i32.const 2) (ref.null func) (i32.const 2))"), element(2, Some(2), 3));
    check(&table("(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 3))"), element(1, Some(3), 3));
    check(&table("(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 3))"), element(1, Some(3), 3));
    check(&table("(table.init $t $e (i32.const 1) (i32.const 0) (i32.const 3))"), element(1, Some(3), 3));
    check(&table("(table.init $t $e (i32.const 0) (i32.const 4) (i32.const 1))"), Said::Nothing);
    // Calls say which trap it is, without numbers.
    check(&table("(call_indirect $t (i32.const 3))"), Said::Nothing);
}

#[test]
fn segments() {
    check(r#"(memory 1) (data (i32.const 65536) "x")"#, access(65536, Some(1), 65536));
    check(r#"(memory i64 1) (data (i64.const 0x100000000) "four")"#, access(0x1_0000_0000, Some(4), 65536));
    check("(table 2 funcref) (func $f) (elem (i32.const 1) func $f $f)", element(1, Some(2), 2));
}
