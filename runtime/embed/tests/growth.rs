//! Limits, growth, pools and layouts of memories and tables.
//!
//! Promises: growth is granted or refused as types, limiters and the machine say, an access beyond the end traps whatever
//! the layout, and slots of a pool are used again
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)).
//!
//! Invariant: nothing here needs more memory than it touches.
//!
//! Does not know: how memories are mapped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use wattest::{
    Config, Engine, Error, Instance, InstantiateError, Memory, MemoryType, Module, RefType, ResourceLimiter, Store,
    StoreLimits, StoreLimitsBuilder, Strategy, Table, TableType, TrapCode, Val,
};

fn engine(set: impl FnOnce(&mut Config) -> &mut Config) -> Engine {
    let mut config = Config::new();
    set(&mut config);
    Engine::new(&config).expect("the configuration is sound")
}

/// Layouts of memories, each with its consequences for compiled code.
fn layouts() -> Vec<Engine> {
    vec![
        Engine::default(),
        engine(|config| config.memory_reservation(1 << 16).memory_guard(1 << 16)),
        engine(|config| config.memory_reservation(0).memory_guard(0)),
        engine(|config| config.memory_reservation(1 << 20).memory_guard(0).memory_may_move(false)),
        engine(|config| config.explicit_bounds(true).spectre_mitigation(false)),
        engine(|config| config.explicit_bounds(true).signals_based_traps(false).recycle_memories(false)),
        engine(|config| config.memory_guard(0)),
        engine(|config| config.signals_based_traps(false)),
        engine(|config| config.memory_reservation(1 << 30).memory_guard(2 << 30)),
        engine(|config| config.allocation(Strategy::Pooling).pooling_memories(5).pooling_memory_bytes(4 << 20)),
        engine(|config| {
            let config = config.allocation(Strategy::Pooling).pooling_memories(5).pooling_memory_bytes(4 << 20);
            config.memory_reservation(0).memory_guard(0).pooling_keep_resident(1 << 16)
        }),
    ]
}

fn instantiate<T: 'static>(store: &mut Store<T>, text: &str) -> Result<Instance, InstantiateError> {
    let module = Module::new(store.engine(), text).expect("the module is valid");
    Instance::new(store, &module, &[])
}

/// Calls an export of one parameter and one result.
fn call<T: 'static>(store: &mut Store<T>, instance: Instance, name: &str, argument: Val) -> Result<Val, Error> {
    let mut results = [Val::I32(0)];
    let func = instance.get_func(&*store, name).expect("it is exported");
    func.call(store, &[argument], &mut results)?;
    let [result] = results;
    Ok(result)
}

fn trap(result: Result<Val, Error>) -> Option<TrapCode> {
    result.err().and_then(|error| error.trap().map(wattest::Trap::code))
}

/// Loads of all widths around the end of a memory, 32 and 64 bits wide, and around the ends of their index spaces.
#[test]
fn the_edges_of_memories() {
    for engine in layouts() {
        for (index, pages, memory) in [("i32", 3u64, "3"), ("i64", 3, "i64 3"), ("i32", 0, "0"), ("i64", 0, "i64 0")] {
            let load = |name: &str, op: &str, offset: u64| {
                format!(r#"(func (export "{name}") (param {index}) (result i32) ({op} offset={offset} (local.get 0)))"#)
            };
            let top = if index == "i64" { u64::MAX } else { u64::from(u32::MAX) };
            let loads = ["i32.load8_u", "i32.load16_u", "i32.load"];
            let mut offsets =
                vec![0, 1, 8, 65_535, 65_536, 1 << 20, 0x7fff_ffff, 0xffff_fff0, 0xffff_ffff, top - 8, top];
            offsets.sort_unstable();
            offsets.dedup();
            let functions = loads.iter().enumerate().flat_map(|(width, op)| {
                offsets.iter().map(move |offset| load(&format!("{width} {offset}"), op, *offset))
            });
            let text = format!("(module (memory {memory}) {})", functions.collect::<String>());
            let mut store = Store::new(&engine, ());
            let instance = instantiate(&mut store, &text).expect("there is room");
            let length = u128::from(pages * 65_536);
            for (width, bytes) in [1u128, 2, 4].into_iter().enumerate() {
                for &offset in &offsets {
                    for start in
                        [0, 1, 196_604, 196_605, 196_607, 196_608, 0xfffe_ffff, u64::from(u32::MAX), top - 4, top]
                    {
                        let argument = if index == "i64" { Val::I64(start as i64) } else { Val::I32(start as i32) };
                        let result = call(&mut store, instance, &format!("{width} {offset}"), argument);
                        let fits = u128::from(start) + u128::from(offset) + bytes <= length;
                        let expected = (!fits).then_some(TrapCode::MemoryOutOfBounds);
                        assert_eq!(
                            trap(result),
                            expected,
                            "{index} {start}+{offset}, {bytes} bytes: {:?}",
                            engine.config()
                        );
                    }
                }
            }
        }
    }
}

/// Memories grow page by page; the contents and what compiled code sees stay right, also when they move.
#[test]
fn memories_grow() {
    for engine in layouts() {
        let text = r#"(module (memory (export "m") 1 40)
            (func (export "fill") (param i32) (result i32) (local $page i32)
                (loop $next
                    (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.add (local.get $page) (i32.const 5)))
                    (local.set $page (i32.add (local.get $page) (i32.const 1)))
                    (br_if $next (i32.and
                        (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
                        (i32.lt_u (local.get $page) (local.get 0)))))
                (local.get $page))
            (func (export "load") (param i32) (result i32) (i32.load (i32.mul (local.get 0) (i32.const 65536))))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
        let mut store = Store::new(&engine, ());
        let instance = instantiate(&mut store, text).expect("there is room");
        let memory = instance.get_memory(&store, "m").expect("it is exported");
        // A memory that may not move stays within its reservation.
        let may_not_move = engine.config().get("memory-may-move").as_deref() == Some("false");
        let pages = if may_not_move { 16 } else { 40 };
        assert_eq!(
            call(&mut store, instance, "fill", Val::I32(40)).ok(),
            Some(Val::I32(pages)),
            "{:?}",
            engine.config()
        );
        assert_eq!(memory.size(&store), pages as u64);
        for page in 0..pages {
            let value = call(&mut store, instance, "load", Val::I32(page)).ok();
            assert_eq!(value, Some(Val::I32(page + 5)));
            assert_eq!(memory.data(&store)[page as usize * 65_536], page as u8 + 5);
        }
        assert_eq!(trap(call(&mut store, instance, "load", Val::I32(pages))), Some(TrapCode::MemoryOutOfBounds));
        for delta in [1, 65_535, -1, i32::MIN] {
            let refused = if may_not_move || delta != 0 { -1 } else { pages };
            assert_eq!(call(&mut store, instance, "grow", Val::I32(delta)).ok(), Some(Val::I32(refused)));
        }
        assert_eq!(call(&mut store, instance, "grow", Val::I32(0)).ok(), Some(Val::I32(pages)));
        assert!(matches!(memory.grow(&mut store, u64::MAX), Err(Error::Limit(_))));
        // The host grows a memory that compiled code then uses.
        let mut store = Store::new(&engine, ());
        let instance = instantiate(&mut store, text).expect("there is room");
        let memory = instance.get_memory(&store, "m").expect("it is exported");
        assert_eq!(memory.grow(&mut store, 9).ok(), Some(1));
        memory.write(&mut store, 9 * 65_536, &[9]).expect("it is within the memory");
        assert_eq!(call(&mut store, instance, "load", Val::I32(9)).ok(), Some(Val::I32(9)));
    }
}

#[test]
fn wide_memories_and_single_byte_pages() {
    let features = wattest::Features::all_implemented();
    for reservation in [0, 1 << 16, 4 << 30] {
        let engine = engine(|config| config.features(features).memory_reservation(reservation));
        let mut store = Store::new(&engine, ());
        let text = r#"(module (memory i64 1)
            (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
            (func (export "load") (param i64) (result i32) (i32.load8_u (local.get 0))))"#;
        let instance = instantiate(&mut store, text).expect("there is room");
        for delta in [1 << 48, (1 << 48) - 1, i64::MAX, i64::MIN, -1, -2, 1 << 40] {
            assert_eq!(call(&mut store, instance, "grow", Val::I64(delta)).ok(), Some(Val::I64(-1)), "{delta}");
        }
        assert_eq!(call(&mut store, instance, "grow", Val::I64(2)).ok(), Some(Val::I64(1)));
        for (address, fits) in
            [(3 * 65_536 - 1, true), (3 * 65_536, false), (1 << 32, false), (i64::MIN, false), (-1, false)]
        {
            assert_eq!(call(&mut store, instance, "load", Val::I64(address)).is_ok(), fits, "{address}");
        }
        let text = r#"(module (memory 3 70000 (pagesize 1))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "load") (param i32) (result i32) (i32.load16_u (local.get 0))))"#;
        let instance = instantiate(&mut store, text).expect("there is room");
        for (grow, old, last) in
            [(0, 3, 1), (1, 3, 2), (1, 4, 3), (4091, 5, 4094), (1, 4096, 4095), (65_903, 4097, 69_998)]
        {
            assert_eq!(call(&mut store, instance, "grow", Val::I32(grow)).ok(), Some(Val::I32(old)));
            assert!(call(&mut store, instance, "load", Val::I32(last)).is_ok(), "{last}");
            let beyond = call(&mut store, instance, "load", Val::I32(last + 1));
            assert_eq!(trap(beyond), Some(TrapCode::MemoryOutOfBounds), "{last}");
        }
        assert_eq!(call(&mut store, instance, "grow", Val::I32(1)).ok(), Some(Val::I32(-1)));
    }
}

/// Memories and tables that no machine has: refused, or mapped without being touched.
#[test]
fn what_is_too_large_is_refused() {
    for engine in layouts() {
        let texts = [
            "(module (memory 65536))",
            "(module (memory i64 0x1000000000000))",
            "(module (memory i64 0xffffffff))",
            "(module (memory i64 0x80000000) (memory i64 0x80000000) (memory i64 0x80000000))",
            "(module (memory 65536) (memory 65536) (memory 65536) (memory 65536) (memory 65536) (memory 65536))",
            "(module (table 10000000 funcref))",
            "(module (table 10000001 funcref))",
            "(module (table 0xffffffff externref))",
            "(module (table i64 0xffffffffffffffff externref))",
            "(module (table 9000000 funcref) (table 9000000 externref) (table 9000000 funcref) (memory 1))",
        ];
        for text in texts {
            let mut store = Store::new(&engine, ());
            match instantiate(&mut store, text) {
                Ok(_) | Err(InstantiateError::Limit(_)) => {}
                Err(other) => panic!("{text}: {other:?}"),
            }
            instantiate(&mut store, "(module (memory 1) (table 1 funcref))").expect("the store still works");
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("0", |line| line.trim());
    let kilobytes = peak.trim_end_matches(" kB").parse::<u64>().expect("it is a number");
    assert!(kilobytes < 1 << 20, "{kilobytes} kB were used");
}

#[test]
fn store_limits() {
    let text = r#"(module (memory (export "m") 1) (table (export "t") 5 funcref)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "grow table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"#;
    let limited = |builder: StoreLimitsBuilder| {
        let mut store = Store::new(&Engine::default(), builder.build());
        store.limiter(|limits| limits);
        store
    };
    let builder = StoreLimitsBuilder::new().memory_bytes(3 << 16).table_elements(7).instances(2).memories(3).tables(3);
    let mut store = limited(builder.clone());
    let instance = instantiate(&mut store, text).expect("it is within the limits");
    for (name, delta, expected) in [
        ("grow", 3, -1),
        ("grow", 2, 1),
        ("grow", 1, -1),
        ("grow table", 3, -1),
        ("grow table", 2, 5),
        ("grow table", 1, -1),
    ] {
        assert_eq!(call(&mut store, instance, name, Val::I32(delta)).ok(), Some(Val::I32(expected)), "{name} {delta}");
    }
    let memory = instance.get_memory(&store, "m").expect("it is exported");
    assert!(matches!(memory.grow(&mut store, 1), Err(Error::Limit(_))));
    let table = instance.get_table(&store, "t").expect("it is exported");
    assert!(matches!(table.grow(&mut store, 1, Val::FuncRef(None)), Err(Error::Limit(_))));
    for refused in ["(module (memory 4))", "(module (table 8 funcref))", "(module (memory 1) (memory 1) (memory 1))"] {
        assert!(matches!(instantiate(&mut store, refused), Err(InstantiateError::Limit(_))), "{refused}");
    }
    instantiate(&mut store, text).expect("refusals do not count");
    assert!(matches!(instantiate(&mut store, "(module)"), Err(InstantiateError::Limit(_))));
    let ty = MemoryType { memory64: false, shared: false, minimum: 1, maximum: None, page_bytes_log2: 16 };
    Memory::new(&mut store, ty).expect("the third memory");
    assert!(matches!(Memory::new(&mut store, ty), Err(Error::Limit(_))));
    let ty = TableType { element: RefType::FUNC, table64: false, minimum: 1, maximum: None };
    Table::new(&mut store, ty, Val::FuncRef(None)).expect("the third table");
    assert!(matches!(Table::new(&mut store, ty, Val::FuncRef(None)), Err(Error::Limit(_))));

    let mut store = limited(builder.trap_on_grow_failure(true));
    let instance = instantiate(&mut store, text).expect("it is within the limits");
    for name in ["grow", "grow table"] {
        let code = trap(call(&mut store, instance, name, Val::I32(100)));
        assert_eq!(code, Some(TrapCode::AllocationTooLarge), "{name}");
    }
    assert!(matches!(instantiate(&mut store, "(module (memory 4))"), Err(InstantiateError::Start(Error::Trap(_)))));
    assert_eq!(call(&mut store, instance, "grow", Val::I32(1)).ok(), Some(Val::I32(1)));
}

/// What an embedder's own limiter may do.
struct Moody(StoreLimits);

impl ResourceLimiter for Moody {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, Box<dyn std::any::Any + Send>> {
        match desired >> 16 {
            4 => Err(Box::new(Error::msg("four pages are unlucky"))),
            5 => std::panic::resume_unwind(Box::new("five pages are worse")),
            _ => self.0.memory_growing(current, desired, maximum),
        }
    }
}

#[test]
fn limiters_that_fail_and_panic() {
    let mut store = Store::new(&Engine::default(), Moody(StoreLimits::default()));
    store.limiter(|moody| moody);
    let text = r#"(module (memory (export "m") 1)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let instance = instantiate(&mut store, text).expect("it is within the limits");
    let memory = instance.get_memory(&store, "m").expect("it is exported");
    for _ in 0..3 {
        let error = call(&mut store, instance, "grow", Val::I32(3)).expect_err("the limiter fails");
        assert_eq!(error.to_string(), "four pages are unlucky");
        assert_eq!(memory.grow(&mut store, 3).expect_err("the limiter fails").to_string(), "four pages are unlucky");
        let payload = catch_unwind(AssertUnwindSafe(|| call(&mut store, instance, "grow", Val::I32(4))));
        assert_eq!(payload.expect_err("the limiter panics").downcast_ref::<&str>(), Some(&"five pages are worse"));
        assert!(catch_unwind(AssertUnwindSafe(|| memory.grow(&mut store, 4))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| instantiate(&mut store, "(module (memory 5))").is_ok())).is_err());
        assert_eq!(memory.size(&store), 1);
    }
    assert_eq!(call(&mut store, instance, "grow", Val::I32(1)).ok(), Some(Val::I32(1)));
}

#[test]
fn pools_run_out_and_recover() {
    let engine =
        engine(|config| config.allocation(Strategy::Pooling).pooling_memories(3).pooling_memory_bytes(1 << 20));
    let text = r#"(module (memory (export "m") 1) (data (i32.const 0) "new")
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let module = Module::new(&engine, text).expect("the module is valid");
    let mut stores = (0..3).map(|_| Store::new(&engine, ())).collect::<Vec<_>>();
    for store in &mut stores {
        Instance::new(&mut *store, &module, &[]).expect("there is a slot");
    }
    let mut late = Store::new(&engine, ());
    assert!(matches!(Instance::new(&mut late, &module, &[]), Err(InstantiateError::Limit(_))));
    stores.pop();
    Instance::new(&mut late, &module, &[]).expect("a slot is free again");
    drop(late);
    // An instance that fails half way keeps no slots, even while its store lives.
    let mut store = Store::new(&engine, ());
    let greedy = Module::new(&engine, "(module (memory 1) (memory 1))").expect("the module is valid");
    for _ in 0..5 {
        assert!(matches!(Instance::new(&mut store, &greedy, &[]), Err(InstantiateError::Limit(_))));
    }
    Instance::new(&mut store, &module, &[]).expect("the last slot is free");
    drop((store, stores));
    let wide = instantiate(&mut Store::new(&engine, ()), "(module (memory 17))");
    assert!(matches!(wide, Err(InstantiateError::Limit(_))), "{wide:?}");
    for round in 0..10_000 {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("the slots are free");
        let memory = instance.get_memory(&store, "m").expect("it is exported");
        assert_eq!(&memory.data(&store)[..4], b"new\0", "round {round}");
        memory.write(&mut store, 0, b"used").expect("it is within the memory");
        memory.write(&mut store, 65_535, &[1]).expect("it is within the memory");
        if round % 16 == 0 {
            assert_eq!(call(&mut store, instance, "grow", Val::I32(15)).ok(), Some(Val::I32(1)));
            assert_eq!(call(&mut store, instance, "grow", Val::I32(1)).ok(), Some(Val::I32(-1)));
            assert!(memory.data(&store)[65_536..].iter().step_by(4096).all(|byte| *byte == 0), "round {round}");
            memory.data_mut(&mut store)[65_536..].fill(7);
        }
    }
}
