//! Shared memories between threads.
//!
//! Promises: atomics of several threads with stores of their own meet in one memory, waiters are woken, growth is seen
//! ([proposal](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md)).
//!
//! Invariant: every thread ends by itself; no result depends on how they are scheduled.
//!
//! Does not know: how waiting is done.

use wattest::{Config, Engine, Error, Extern, Instance, MemoryType, Module, SharedMemory, Store, TrapCode, Val};

const TEXT: &str = r#"(module (import "" "m" (memory 1 10 shared))
    (func (export "add") (param i32 i32) (result i32) (local i32)
        (loop $again
            (drop (i32.atomic.rmw.add (local.get 0) (i32.const 1)))
            (drop (i64.atomic.rmw.add (i32.const 64) (i64.const 0x100000001)))
            (drop (i32.atomic.rmw8.add_u (i32.const 80) (i32.const 1)))
            (br_if $again (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 1))))
        (local.get 2))
    (; Waits until the word at 128 is the first parameter, then makes it the second: one half of a ping-pong. ;)
    (func (export "turn") (param i32 i32) (result i32) (local i32)
        (block $mine (loop $again
            (br_if $mine (i32.eq (local.tee 2 (i32.atomic.load (i32.const 128))) (local.get 0)))
            (if (i32.eq (memory.atomic.wait32 (i32.const 128) (local.get 2) (i64.const 10000000000)) (i32.const 2))
                (then unreachable))
            (br $again)))
        (i32.atomic.store (i32.const 128) (local.get 1))
        (memory.atomic.notify (i32.const 128) (i32.const -1)))
    (; Spins until the memory has as many pages as the first parameter says, then stores into the last. ;)
    (func (export "grown") (param i32 i32) (result i32)
        (loop $again (br_if $again (i32.lt_u (memory.size) (local.get 0))))
        (i32.store (i32.sub (i32.mul (local.get 0) (i32.const 65536)) (i32.const 4)) (local.get 1))
        (memory.size))
    (func (export "wait") (param i32 i32) (result i32)
        (memory.atomic.wait32 (local.get 0) (local.get 1) (i64.const 1000000)))
    (func (export "notify") (param i32 i32) (result i32) (memory.atomic.notify (local.get 0) (local.get 1)))
    (func (export "grow") (param i32 i32) (result i32) (memory.grow (local.get 0))))"#;

/// Layouts with and without guard pages.
fn engines() -> [Engine; 2] {
    let mut explicit = Config::new();
    explicit.explicit_bounds(true).memory_reservation(0).memory_guard(0);
    [Engine::default(), Engine::new(&explicit).expect("the configuration is sound")]
}

fn memory(engine: &Engine) -> SharedMemory {
    let ty = MemoryType { memory64: false, shared: true, minimum: 1, maximum: Some(10), page_bytes_log2: 16 };
    SharedMemory::new(engine, ty).expect("there is room")
}

fn word(memory: &SharedMemory, address: usize) -> u32 {
    let byte = |at: usize| memory.data()[at].load(std::sync::atomic::Ordering::SeqCst);
    u32::from_le_bytes([byte(address), byte(address + 1), byte(address + 2), byte(address + 3)])
}

/// Calls `name` in a store of its own.
fn call(module: &Module, memory: &SharedMemory, name: &str, arguments: &[(i32, i32)]) -> Result<Vec<i32>, Error> {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[Extern::from(memory.clone())]).expect("the memory matches");
    let func = instance.get_typed_func::<(i32, i32), i32>(&store, name).expect("it is exported");
    arguments.iter().map(|pair| func.call(&mut store, *pair)).collect()
}

#[test]
fn atomic_additions_add_up() {
    for engine in engines() {
        let (module, memory) = (Module::new(&engine, TEXT).expect("the module is valid"), memory(&engine));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| call(&module, &memory, "add", &[(0, 5_000); 4]).expect("nothing traps"));
            }
        });
        assert_eq!((word(&memory, 0), word(&memory, 64), word(&memory, 68)), (80_000, 80_000, 80_000));
        assert_eq!(word(&memory, 80), 80_000 % 256);
    }
}

#[test]
fn ping_and_pong() {
    for engine in engines() {
        let (module, memory) = (Module::new(&engine, TEXT).expect("the module is valid"), memory(&engine));
        std::thread::scope(|scope| {
            scope.spawn(|| call(&module, &memory, "turn", &[(0, 1); 500]).expect("nobody waits for long"));
            scope.spawn(|| call(&module, &memory, "turn", &[(1, 2); 500]).expect("nobody waits for long"));
            scope.spawn(|| call(&module, &memory, "turn", &[(2, 0); 500]).expect("nobody waits for long"));
        });
        assert_eq!(word(&memory, 128), 0);
    }
}

#[test]
fn growth_is_seen_everywhere() {
    for engine in engines() {
        let (module, memory) = (Module::new(&engine, TEXT).expect("the module is valid"), memory(&engine));
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| call(&module, &memory, "grown", &[(2, 7), (5, 8)]).expect("the page is there"));
            assert_eq!(memory.grow(1).ok(), Some(1));
            assert_eq!(call(&module, &memory, "grow", &[(3, 0), (100, 0)]).ok(), Some(vec![2, -1]));
            let seen = seen.join().expect("nothing panics");
            assert!(seen[0] >= 2 && seen[1] == 5, "{seen:?}");
        });
        assert_eq!((word(&memory, 2 * 65_536 - 4), word(&memory, 5 * 65_536 - 4), memory.size()), (7, 8, 5));
        assert!(memory.grow(6).is_err() && memory.grow(u64::MAX).is_err());
    }
}

#[test]
fn waits_end() {
    for engine in engines() {
        let (module, memory) = (Module::new(&engine, TEXT).expect("the module is valid"), memory(&engine));
        assert_eq!(call(&module, &memory, "wait", &[(0, 1), (0, 0)]).ok(), Some(vec![1, 2]));
        assert_eq!(call(&module, &memory, "notify", &[(0, -1)]).ok(), Some(vec![0]));
        for (name, address, code) in [
            ("wait", 2, TrapCode::UnalignedAtomic),
            ("wait", 65_536, TrapCode::MemoryOutOfBounds),
            ("wait", -4, TrapCode::MemoryOutOfBounds),
            ("notify", 1, TrapCode::UnalignedAtomic),
            ("notify", 65_536, TrapCode::MemoryOutOfBounds),
        ] {
            let error = call(&module, &memory, name, &[(address, 0)]).expect_err("the address is bad");
            assert_eq!(error.trap().map(wattest::Trap::code), Some(code), "{name} {address}");
        }
        assert_eq!(memory.atomic_wait32(0, 1, -1).ok(), Some(1));
        assert_eq!(memory.atomic_wait64(8, 0, 1000).ok(), Some(2));
        assert!(memory.atomic_wait64(4, 0, 1000).is_err() && memory.atomic_wait32(u64::MAX - 3, 0, 0).is_err());
        // The host wakes the guest and the guest the host.
        std::thread::scope(|scope| {
            let guest = scope.spawn(|| call(&module, &memory, "turn", &[(1, 2)]));
            memory.data()[128].store(1, std::sync::atomic::Ordering::SeqCst);
            while word(&memory, 128) != 2 {
                let _ = memory.atomic_notify(128, 1).expect("the address is good");
                let _ = memory.atomic_wait32(128, 1, 1_000_000).expect("the address is good");
            }
            guest.join().expect("nothing panics").expect("nothing traps");
        });
    }
}

#[test]
fn a_memory_that_is_not_shared_cannot_be_waited_on() {
    let mut store = Store::new(&Engine::default(), ());
    let text = r#"(module (memory 1)
        (func (export "run") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
        (func (export "notify") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 9))))"#;
    let module = Module::new(store.engine(), text).expect("the module is valid");
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let mut results = [Val::I32(0)];
    let run = instance.get_func(&store, "run").expect("it is exported");
    let error = run.call(&mut store, &[], &mut results).expect_err("it traps");
    assert_eq!(error.trap().map(wattest::Trap::code), Some(TrapCode::ExpectedSharedMemory));
    let notify = instance.get_func(&store, "notify").expect("it is exported");
    notify.call(&mut store, &[], &mut results).expect("nobody waits");
    assert_eq!(results, [Val::I32(0)]);
}
