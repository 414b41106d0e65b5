//! Litmus tests on OS threads: small programs whose forbidden outcomes a sequentially consistent memory never shows.
//!
//! Promises: atomics of compiled code are sequentially consistent
//! ([proposal](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md)), in every kind of access and
//! in every layout of a memory.
//!
//! Invariant: no outcome is demanded that depends on how threads are scheduled; only forbidden ones fail.
//!
//! Does not know: which fences or instructions make it so.

use std::fmt::Write;
use wattest::{Config, Engine, Extern, Instance, MemoryType, Module, OptLevel, SharedMemory, Store};

/// Times that each program is run.
const ROUNDS: u32 = 2048;
/// Rounds between two meetings of all threads.
const ROUNDS_PER_MEETING: u32 = 64;
/// Bytes of a round: four locations, each in a cache line of its own, then registers.
const ROUND_BYTES: u32 = 512;
/// Where a round's registers start.
const REGISTERS: u32 = 256;
/// Where threads count themselves in, beyond all rounds.
const MEETING: u32 = ROUNDS * ROUND_BYTES;

/// An access of a thread to one of four locations; registers are numbered over all threads.
#[derive(Clone, Copy)]
enum Op {
    /// Stores a value.
    Store(u32, u32),
    /// Loads into a register.
    Load(u32, u32),
    /// Adds one and loads what was there before into a register.
    Add(u32, u32),
    /// Stores a value and loads what was there before into a register.
    Swap(u32, u32, u32),
    /// A plain store.
    Plain(u32, u32),
    /// A plain load into a register.
    Peek(u32, u32),
}
use Op::{Add, Load, Peek, Plain, Store as Put, Swap};

fn emit(text: &mut String, op: Op) {
    let at = |location: u32| format!("offset={}", location * 64);
    let keep = |register: u32, value: String| {
        format!("(i32.store offset={} (local.get $base) {value})", REGISTERS + register * 4)
    };
    let line = match op {
        Put(location, value) => format!("(i32.atomic.store {} (local.get $base) (i32.const {value}))", at(location)),
        Plain(location, value) => format!("(i32.store {} (local.get $base) (i32.const {value}))", at(location)),
        Load(location, register) => keep(register, format!("(i32.atomic.load {} (local.get $base))", at(location))),
        Peek(location, register) => keep(register, format!("(i32.load {} (local.get $base))", at(location))),
        Add(location, register) => {
            keep(register, format!("(i32.atomic.rmw.add {} (local.get $base) (i32.const 1))", at(location)))
        }
        Swap(location, value, register) => {
            keep(register, format!("(i32.atomic.rmw.xchg {} (local.get $base) (i32.const {value}))", at(location)))
        }
    };
    text.push_str(&line);
}

/// The text of a module with one function per thread, which runs all rounds.
fn program(threads: &[&[Op]], pages: u32) -> String {
    let mut text = format!("(module (import \"\" \"m\" (memory {pages} {pages} shared))");
    for (number, ops) in threads.iter().enumerate() {
        let _ = write!(
            text,
            "(func (export \"t{number}\") (local $base i32) (local $wanted i32) (local $seen i32)
            (loop $rounds
                (if (i32.eqz (i32.rem_u (local.get $base) (i32.const {meeting_bytes}))) (then
                    (local.set $wanted (i32.add (local.get $wanted) (i32.const {count})))
                    (drop (i32.atomic.rmw.add (i32.const {MEETING}) (i32.const 1)))
                    (drop (memory.atomic.notify (i32.const {MEETING}) (i32.const -1)))
                    (block $met (loop $meet
                        (local.set $seen (i32.atomic.load (i32.const {MEETING})))
                        (br_if $met (i32.ge_u (local.get $seen) (local.get $wanted)))
                        (drop (memory.atomic.wait32 (i32.const {MEETING}) (local.get $seen) (i64.const -1)))
                        (br $meet)))))
                ",
            meeting_bytes = ROUNDS_PER_MEETING * ROUND_BYTES,
            count = threads.len(),
        );
        ops.iter().for_each(|op| emit(&mut text, *op));
        let _ = write!(
            text,
            "(local.set $base (i32.add (local.get $base) (i32.const {ROUND_BYTES})))
            (br_if $rounds (i32.lt_u (local.get $base) (i32.const {MEETING})))))"
        );
    }
    text.push(')');
    text
}

fn engines() -> [Engine; 2] {
    let mut explicit = Config::new();
    explicit.explicit_bounds(true).memory_reservation(0).memory_guard(0).opt_level(OptLevel::None);
    [Engine::default(), Engine::new(&explicit).expect("the configuration is sound")]
}

/// Runs `threads` and fails if any round's registers and final locations are `forbidden`.
fn check(name: &str, threads: &[&[Op]], forbidden: impl Fn(&[u32; 8], &[u32; 4]) -> bool) {
    let pages = (MEETING + 64).div_ceil(65_536);
    for engine in engines() {
        let module = Module::new(&engine, program(threads, pages)).expect("the program is a module");
        let ty = MemoryType {
            memory64: false,
            shared: true,
            minimum: pages.into(),
            maximum: Some(pages.into()),
            page_bytes_log2: 16,
        };
        let memory = SharedMemory::new(&engine, ty).expect("there is room");
        std::thread::scope(|scope| {
            for number in 0..threads.len() {
                let (module, memory) = (&module, &memory);
                scope.spawn(move || {
                    let mut store = Store::new(module.engine(), ());
                    let imports = [Extern::from(memory.clone())];
                    let instance = Instance::new(&mut store, module, &imports).expect("the memory matches");
                    let run = instance.get_typed_func::<(), ()>(&store, &format!("t{number}")).expect("exported");
                    run.call(&mut store, ()).expect("nothing traps");
                });
            }
        });
        let word = |at: u32| {
            let byte = |at: u32| memory.data()[at as usize].load(std::sync::atomic::Ordering::SeqCst);
            u32::from_le_bytes([byte(at), byte(at + 1), byte(at + 2), byte(at + 3)])
        };
        for round in 0..ROUNDS {
            let base = round * ROUND_BYTES;
            let registers = std::array::from_fn(|register| word(base + REGISTERS + register as u32 * 4));
            let locations = std::array::from_fn(|location| word(base + location as u32 * 64));
            assert!(!forbidden(&registers, &locations), "{name}, round {round}: {registers:?} {locations:?}");
        }
    }
}

#[test]
fn message_passing() {
    check("message passing", &[&[Put(0, 1), Put(1, 1)], &[Load(1, 0), Load(0, 1)]], |r, _| r[0] == 1 && r[1] == 0);
    // The data themselves need not be atomic.
    check("published data", &[&[Plain(0, 1), Put(1, 1)], &[Load(1, 0), Peek(0, 1)]], |r, _| r[0] == 1 && r[1] == 0);
    check("by exchange", &[&[Plain(0, 1), Swap(1, 1, 2)], &[Swap(1, 2, 0), Peek(0, 1)]], |r, _| r[0] == 1 && r[1] == 0);
}

#[test]
fn store_buffering() {
    let both_missed = |r: &[u32; 8], _: &[u32; 4]| r[0] == 0 && r[1] == 0;
    check("store buffering", &[&[Put(0, 1), Load(1, 0)], &[Put(1, 1), Load(0, 1)]], both_missed);
    check("by exchange", &[&[Swap(0, 1, 2), Load(1, 0)], &[Swap(1, 1, 3), Load(0, 1)]], both_missed);
}

#[test]
fn load_buffering() {
    check("load buffering", &[&[Load(0, 0), Put(1, 1)], &[Load(1, 1), Put(0, 1)]], |r, _| r[0] == 1 && r[1] == 1);
}

#[test]
fn independent_reads_of_independent_writes() {
    let threads: [&[Op]; 4] = [&[Put(0, 1)], &[Put(1, 1)], &[Load(0, 0), Load(1, 1)], &[Load(1, 2), Load(0, 3)]];
    check("readers disagree", &threads, |r, _| r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0);
}

#[test]
fn one_location_is_coherent() {
    check("two reads go back", &[&[Put(0, 1), Put(0, 2)], &[Load(0, 0), Load(0, 1)]], |r, _| r[0] > r[1]);
    check("writes are ordered", &[&[Put(0, 1), Put(1, 2)], &[Put(1, 1), Put(0, 2)]], |_, l| l[0] == 1 && l[1] == 1);
}

#[test]
fn updates_are_not_lost() {
    let threads: [&[Op]; 3] = [&[Add(0, 0), Add(0, 1)], &[Add(0, 2), Add(0, 3)], &[Add(0, 4)]];
    check("sums", &threads, |r, l| {
        let mut seen = [r[0], r[1], r[2], r[3], r[4]];
        seen.sort_unstable();
        l[0] != 5 || seen != [0, 1, 2, 3, 4] || r[0] > r[1] || r[2] > r[3]
    });
}
