//! `api`: sequences of embedding calls, misuse included.
//!
//! Two engines, several stores, modules that import from one another, and handles of all kinds that are kept beyond their
//! instances: instantiate, call, read, write, grow, clone, drop, with handles of other stores now and then. Nothing may
//! panic; what belongs to another store is a typed error; memories, tables and globals hold what a model says.
//!
//! Invariant: a sequence is a list of numbers, and each number means something whatever came before.
//!
//! Does not know: what modules compute.

use super::{Outcome, Target};
use crate::envelope::{Argument, Envelope, EnvelopeCall};
use crate::source::Source;
use wattest::{
    Config, Engine, Func, Global, GlobalType, Instance, Linker, Memory, MemoryType, Module, RefType, Store, Table,
    TableType, Val, ValType,
};
use wattest_differential::Value;

/// Operations of a sequence.
const STEPS_MAX: usize = 200;

/// Stores that live at once.
const STORES: usize = 3;

const EXPORTER: &str = r#"(module
    (memory (export "m") 1 3)
    (table (export "t") 4 8 externref)
    (global (export "g") (mut i64) (i64.const 5))
    (func (export "add") (param i64) (result i64)
        (global.set 0 (i64.add (global.get 0) (local.get 0))) (global.get 0))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "trap") (unreachable)))"#;

const IMPORTER: &str = r#"(module
    (import "e" "m" (memory 1))
    (import "e" "g" (global $g (mut i64)))
    (import "e" "add" (func $add (param i64) (result i64)))
    (func (export "twice") (param i64) (result i64) (drop (call $add (local.get 0))) (call $add (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;

/// A memory, table or global and what it should hold.
struct Cell<H, M> {
    store: usize,
    handle: H,
    model: M,
}

/// A store and the exporters in it.
struct Home {
    engine: usize,
    store: Store<u32>,
    instances: Vec<Instance>,
}

struct World {
    engines: Vec<Engine>,
    modules: Vec<[Module; 2]>,
    homes: Vec<Home>,
    memories: Vec<Cell<Memory, Vec<u8>>>,
    tables: Vec<Cell<Table, u64>>,
    globals: Vec<Cell<Global, i64>>,
    funcs: Vec<(usize, Func)>,
}

type Step = Result<(), String>;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn ensure(holds: bool, what: &str) -> Step {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl World {
    fn new() -> Result<World, String> {
        let mut engines = Vec::new();
        for options in [&[][..], &[("allocation", "pooling"), ("pooling-memories", "8")][..]] {
            let mut config = Config::new();
            for (key, value) in options {
                config.set(key, value).map_err(text)?;
            }
            engines.push(Engine::new(&config).map_err(text)?);
        }
        let mut modules = Vec::new();
        for engine in &engines {
            let module =
                |source: &str| Module::from_binary(engine, &wat::parse_str(source).map_err(text)?).map_err(text);
            modules.push([module(EXPORTER)?, module(IMPORTER)?]);
        }
        let mut world = World {
            engines,
            modules,
            homes: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            funcs: Vec::new(),
        };
        (0..STORES).for_each(|store| world.homes.push(world.home(store)));
        Ok(world)
    }

    fn home(&self, number: usize) -> Home {
        let engine = number % self.engines.len();
        Home { engine, store: Store::new(&self.engines[engine], number as u32), instances: Vec::new() }
    }

    /// One step: `kind` says what, the others with which handles and numbers.
    fn step(&mut self, kind: usize, home: usize, pick: usize, number: u64) -> Step {
        let home = home % self.homes.len();
        match kind % 14 {
            0 => self.instantiate(home),
            1 => self.link(home, pick),
            2 => self.new_memory(home, number),
            3 => self.grow_memory(home, pick, number),
            4 => self.write_memory(home, pick, number),
            5 => self.new_global(home, number),
            6 => self.set_global(home, pick, number),
            7 => self.new_table(home, number),
            8 => self.grow_table(home, pick, number),
            9 | 10 => self.call(home, pick, number),
            11 => self.host_function(home, number),
            12 => self.forget(home),
            _ => self.check(home),
        }
    }

    fn instantiate(&mut self, home: usize) -> Step {
        if self.homes[home].instances.len() >= 4 {
            return Ok(());
        }
        let Home { engine, store, instances } = &mut self.homes[home];
        let instance = Instance::new(&mut *store, &self.modules[*engine][0], &[]).map_err(text)?;
        instances.push(instance);
        let memory = instance.get_memory(&*store, "m").ok_or("no memory")?;
        let table = instance.get_table(&*store, "t").ok_or("no table")?;
        self.memories.push(Cell { store: home, handle: memory, model: memory.data(&*store).to_vec() });
        self.tables.push(Cell { store: home, handle: table, model: 4 });
        for name in ["add", "trap"] {
            self.funcs.push((home, instance.get_func(&*store, name).ok_or("no function")?));
        }
        ensure(instance.get_export(&*store, "nothing").is_none(), "an export that is not there")?;
        // A module of another engine is refused.
        let other = &self.modules[(*engine + 1) % self.modules.len()][0];
        ensure(Instance::new(&mut *store, other, &[]).is_err(), "a module of another engine is instantiated")
    }

    fn link(&mut self, home: usize, pick: usize) -> Step {
        let Home { engine, store, instances } = &mut self.homes[home];
        let module = &self.modules[*engine][1];
        let mut linker = Linker::new(&self.engines[*engine]);
        ensure(linker.missing_imports(module).len() == 3, "three imports are missing")?;
        ensure(linker.instantiate(&mut *store, module).is_err(), "imports are missing, and it is instantiated")?;
        if instances.is_empty() || instances.len() >= 4 {
            return Ok(());
        }
        let exporter = instances[pick % instances.len()];
        linker.instance(&mut *store, "e", exporter).map_err(text)?;
        let importer = linker.instantiate(&mut *store, module).map_err(text)?;
        let (add, twice) = (exporter.get_func(&*store, "add"), importer.get_func(&*store, "twice"));
        let (add, twice) = (add.ok_or("no add")?, twice.ok_or("no twice")?);
        let mut out = [Val::I64(0)];
        add.call(&mut *store, &[Val::I64(0)], &mut out).map_err(text)?;
        let before = out[0].clone();
        twice.call(&mut *store, &[Val::I64(7)], &mut out).map_err(text)?;
        match (before, &out[0]) {
            (Val::I64(before), Val::I64(after)) => ensure(before.wrapping_add(14) == *after, "the global is shared"),
            _ => Err("a result of another type".to_owned()),
        }
    }

    fn new_memory(&mut self, home: usize, number: u64) -> Step {
        if self.memories.len() >= 6 {
            return Ok(());
        }
        let ty = MemoryType {
            memory64: number & 1 == 1,
            shared: false,
            minimum: number % 3,
            maximum: Some(number % 3 + 2),
            page_bytes_log2: 16,
        };
        let store = &mut self.homes[home].store;
        let handle = Memory::new(&mut *store, ty).map_err(text)?;
        let model = vec![0; (number % 3) as usize * 65_536];
        self.memories.push(Cell { store: home, handle, model });
        Ok(())
    }

    fn grow_memory(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.memories.len().max(1);
        let Some(cell) = self.memories.get_mut(pick % count) else { return Ok(()) };
        let store = &mut self.homes[home].store;
        let delta = number % 4;
        let grown = cell.handle.grow(&mut *store, delta);
        if cell.store != home {
            return ensure(grown.is_err(), "a memory of another store grows");
        }
        if let Ok(old) = grown {
            ensure(old as usize * 65_536 == cell.model.len(), "the old size")?;
            cell.model.resize(cell.model.len() + delta as usize * 65_536, 0);
        }
        ensure(cell.handle.data_size(&*store) == cell.model.len(), "the size after growth")
    }

    fn write_memory(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.memories.len().max(1);
        let Some(cell) = self.memories.get_mut(pick % count) else { return Ok(()) };
        let store = &mut self.homes[home].store;
        let at = (number % 140_000) as usize;
        let bytes = number.to_le_bytes();
        let written = cell.handle.write(&mut *store, at, &bytes);
        if cell.store != home {
            return ensure(written.is_err(), "a memory of another store is written");
        }
        let fits = at + bytes.len() <= cell.model.len();
        ensure(written.is_ok() == fits, "a write is refused exactly when it does not fit")?;
        if fits {
            cell.model[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        let mut back = [0; 8];
        ensure(cell.handle.read(&*store, at, &mut back).is_ok() == fits && (!fits || back == bytes), "reads back")
    }

    fn new_global(&mut self, home: usize, number: u64) -> Step {
        if self.globals.len() >= 8 {
            return Ok(());
        }
        let ty = GlobalType { content: ValType::I64, mutable: true };
        let store = &mut self.homes[home].store;
        ensure(Global::new(&mut *store, ty, Val::I32(1)).is_err(), "a global of i64 with an i32")?;
        let handle = Global::new(&mut *store, ty, Val::I64(number as i64)).map_err(text)?;
        self.globals.push(Cell { store: home, handle, model: number as i64 });
        Ok(())
    }

    fn set_global(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.globals.len().max(1);
        let Some(cell) = self.globals.get_mut(pick % count) else { return Ok(()) };
        let store = &mut self.homes[home].store;
        let set = cell.handle.set(&mut *store, Val::I64(number as i64));
        ensure(set.is_ok() == (cell.store == home), "a global is set in its own store only")?;
        ensure(cell.handle.set(&mut *store, Val::F64(0)).is_err(), "a global of i64 is set to an f64")?;
        if set.is_ok() {
            cell.model = number as i64;
        }
        Ok(())
    }

    fn new_table(&mut self, home: usize, number: u64) -> Step {
        if self.tables.len() >= 6 {
            return Ok(());
        }
        let minimum = number % 10;
        let ty = TableType { element: RefType::EXTERN, table64: false, minimum, maximum: Some(minimum + 5) };
        let handle = Table::new(&mut self.homes[home].store, ty, Val::ExternRef(None)).map_err(text)?;
        self.tables.push(Cell { store: home, handle, model: minimum });
        Ok(())
    }

    fn grow_table(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.tables.len().max(1);
        let Some(cell) = self.tables.get_mut(pick % count) else { return Ok(()) };
        let store = &mut self.homes[home].store;
        let grown = cell.handle.grow(&mut *store, number % 4, Val::ExternRef(None));
        if cell.store != home {
            return ensure(grown.is_err(), "a table of another store grows");
        }
        if let Ok(old) = grown {
            ensure(old == cell.model, "the old size of a table")?;
            cell.model += number % 4;
        }
        ensure(cell.handle.size(&*store) == cell.model, "the size of a table")?;
        let set = cell.handle.set(&mut *store, number % 20, Val::ExternRef(None));
        ensure(set.is_ok() == (number % 20 < cell.model), "an element is set exactly where there is one")
    }

    fn call(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let Some((owner, func)) = self.funcs.get(pick % self.funcs.len().max(1)).copied() else { return Ok(()) };
        let store = &mut self.homes[home].store;
        if owner != home {
            let ended = func.call(&mut *store, &[Val::I64(1)], &mut [Val::I64(0)]);
            return ensure(ended.is_err(), "a function of another store is called");
        }
        let ty = func.ty(&*store);
        let mut out = vec![Val::I64(0); ty.results().len()];
        let wrong = func.call(&mut *store, &[Val::F32(0), Val::F32(0), Val::F32(0)], &mut out);
        ensure(wrong.is_err(), "a function takes arguments that it has not")?;
        let args = if ty.params().len() == 1 { vec![Val::I64(number as i64 % 1000)] } else { Vec::new() };
        let ended = func.call(&mut *store, &args, &mut out);
        ensure(ended.is_ok() || ended.is_err_and(|error| error.trap().is_some()), "a call ends in values or a trap")
    }

    fn host_function(&mut self, home: usize, number: u64) -> Step {
        if self.funcs.len() >= 24 {
            return Ok(());
        }
        let store = &mut self.homes[home].store;
        let func = Func::wrap(&mut *store, move |x: i64| x.wrapping_add(number as i64));
        let typed = func.typed::<i64, i64>(&*store).map_err(text)?;
        ensure(func.typed::<i32, i64>(&*store).is_err(), "a function has the type that it has")?;
        let seen = typed.call(&mut *store, 3).map_err(text)?;
        self.funcs.push((home, func));
        ensure(seen == (number as i64).wrapping_add(3), "a host function gives what it computes")
    }

    /// A store goes, and all that belongs to it; handles that are kept elsewhere must not be used any more.
    fn forget(&mut self, home: usize) -> Step {
        self.memories.retain(|cell| cell.store != home);
        self.tables.retain(|cell| cell.store != home);
        self.globals.retain(|cell| cell.store != home);
        self.funcs.retain(|(owner, _)| *owner != home);
        self.homes[home] = self.home(home);
        Ok(())
    }

    fn check(&mut self, home: usize) -> Step {
        let store = &mut self.homes[home].store;
        for cell in self.globals.iter().filter(|cell| cell.store == home) {
            let seen = cell.handle.get(&mut *store).map_err(text)?;
            ensure(matches!(seen, Val::I64(value) if value == cell.model), "a global holds what was set")?;
        }
        for cell in self.memories.iter().filter(|cell| cell.store == home) {
            ensure(cell.handle.data(&*store) == cell.model, "a memory holds what was written")?;
        }
        Ok(())
    }
}

/// The target.
#[derive(Default)]
pub struct Api;

impl Target for Api {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let mut case = Envelope::new("api");
        for _ in 0..source.between(10, STEPS_MAX) {
            let numbers = [u64::from(source.byte()), source.byte().into(), source.byte().into(), source.u64()];
            let args = numbers.into_iter().map(|number| Argument::Value(Value::I64(number))).collect();
            case.calls.push(EnvelopeCall { module: 0, func: "step".to_owned(), args });
        }
        Some(case)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let mut world = match World::new() {
            Ok(world) => world,
            Err(what) => return Outcome::failed("wattest", what),
        };
        for (step, call) in case.calls.iter().enumerate() {
            let number = |position: usize| match call.args.get(position) {
                Some(Argument::Value(Value::I64(bits))) => *bits,
                _ => 0,
            };
            let (kind, home, pick) = (number(0) as usize, number(1) as usize, number(2) as usize);
            if let Err(what) = world.step(kind, home, pick, number(3)) {
                return Outcome::failed("wattest", format!("step {step}, kind {}: {what}", kind % 14));
            }
        }
        Outcome { checks: case.calls.len() as u64, useful: true, ..Outcome::default() }
    }
}
