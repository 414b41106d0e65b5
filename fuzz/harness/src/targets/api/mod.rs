//! `api`: sequences of embedding calls, misuse included.
//!
//! Three engines (one with a pool, one with fuel and epochs), several stores, modules that import from one another and from
//! the host, and handles of all kinds that are kept beyond their instances, their modules and their stores: instantiate (a
//! module that went through its artifact, too), call, read, write, grow, clone, drop, collect, stop, with handles of other
//! stores now and then, dropped ones among them. Nothing may panic; what belongs to another store is a typed error or not
//! there; memories, tables, globals, [objects] and what [functions](guests) give are as a model says.
//!
//! Invariant: a sequence is a list of numbers, and each number means something whatever came before.
//!
//! Does not know: what compiled code looks like.

mod guests;
mod objects;

use super::{Outcome, Target};
use crate::envelope::{Argument, Envelope, EnvelopeCall};
use crate::source::Source;
use guests::{CALLER, Does, EXPORTER, IMPORTER, PAGE, Shared};
use objects::Object;
use std::cell::RefCell;
use std::rc::Rc;
use wattest::{
    Config, Engine, Error, Extern, ExternRef, Func, Global, GlobalType, Instance, Linker, Memory, MemoryType, Module,
    RefType, Store, Table, TableType, TrapCode, UsageError, Val, ValType,
};
use wattest_differential::Value;

/// Operations of a sequence.
const STEPS_MAX: usize = 200;

/// Kinds of operations.
const KINDS: usize = 20;

/// Stores that live at once.
const STORES: usize = 4;

/// Handles of a kind that are kept, those of stores that are gone among them.
const KEPT_MAX: usize = 12;

/// Instances of a store.
const INSTANCES_MAX: usize = 4;

/// Options of the engines; the last one stops what takes too long.
const ENGINES: [&[(&str, &str)]; 3] =
    [&[], &[("allocation", "pooling"), ("pooling-memories", "8")], &[("fuel", "true"), ("epoch", "true")]];

/// Fuel, and ticks, of which nothing here takes as many.
const AMPLE: u64 = 1 << 40;

/// A memory, table or global and what it should hold; `home` is its store's number among all that there were.
struct Cell<H, M> {
    home: u64,
    handle: H,
    model: Shared<M>,
}

/// A function and what it should do.
struct Callable {
    home: u64,
    func: Func,
    does: Does,
}

/// An exporter with the models of what it exports.
struct Guest {
    instance: Instance,
    add: Func,
    spin: Func,
    memory: Shared<Vec<u8>>,
    global: Shared<i64>,
}

/// A store and the exporters in it.
struct Home {
    id: u64,
    engine: usize,
    store: Store<u32>,
    guests: Vec<Guest>,
}

struct World {
    engines: Vec<Engine>,
    modules: Vec<[Module; 3]>,
    homes: Vec<Home>,
    /// Stores that there were.
    made: u64,
    memories: Vec<Cell<Memory, Vec<u8>>>,
    tables: Vec<Cell<Table, Vec<Option<u32>>>>,
    globals: Vec<Cell<Global, i64>>,
    funcs: Vec<Callable>,
    objects: Vec<(u64, Object)>,
}

type Step = Result<(), String>;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn ensure(holds: bool, what: &str) -> Step {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Whether something was refused because it is another store's.
fn is_foreign<T>(ended: &Result<T, Error>) -> bool {
    matches!(ended, Err(Error::Usage(UsageError::WrongStore { .. })))
}

fn share<M>(model: M) -> Shared<M> {
    Rc::new(RefCell::new(model))
}

/// Keeps one more; the oldest goes where there are too many.
fn keep<T>(all: &mut Vec<T>, one: T) {
    if all.len() >= KEPT_MAX {
        all.remove(0);
    }
    all.push(one);
}

fn compile(engine: &Engine) -> Result<[Module; 3], String> {
    let module = |source: &str| Module::from_binary(engine, &wat::parse_str(source).map_err(text)?).map_err(text);
    Ok([module(EXPORTER)?, module(IMPORTER)?, module(CALLER)?])
}

impl World {
    fn new() -> Result<World, String> {
        let mut engines = Vec::new();
        for options in ENGINES {
            let mut config = Config::new();
            for (key, value) in options {
                config.set(key, value).map_err(text)?;
            }
            engines.push(Engine::new(&config).map_err(text)?);
        }
        let modules = engines.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let mut world = World {
            engines,
            modules,
            homes: Vec::new(),
            made: 0,
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            funcs: Vec::new(),
            objects: Vec::new(),
        };
        for store in 0..STORES {
            let home = world.home(store);
            world.homes.push(home);
        }
        Ok(world)
    }

    fn home(&mut self, number: usize) -> Home {
        self.made += 1;
        let engine = number % self.engines.len();
        let mut store = Store::new(&self.engines[engine], number as u32);
        store.set_epoch_deadline(AMPLE);
        // Engines that count no fuel want none.
        let _ = store.set_fuel(AMPLE);
        Home { id: self.made, engine, store, guests: Vec::new() }
    }

    /// One step: `kind` says what, the others with which handles and numbers.
    fn step(&mut self, kind: usize, home: usize, pick: usize, number: u64) -> Step {
        let home = home % self.homes.len();
        match kind % KINDS {
            0 => self.instantiate(home, pick),
            1 => self.link(home, pick),
            2 => self.new_memory(home, number),
            3 => self.grow_memory(home, pick, number),
            4 => self.write_memory(home, pick, number),
            5 => self.new_global(home, number),
            6 => self.set_global(home, pick, number),
            7 => self.new_table(home, number),
            8 => self.grow_table(home, pick, number),
            9..=12 => self.call(home, pick, number),
            13 => self.host_function(home, pick, number),
            14 => self.forget(home),
            15 => self.new_object(home, number),
            16 => self.use_object(home, pick, number),
            17 => self.stop(home, pick, number),
            18 => self.drop_modules(home),
            _ => self.check(home, number),
        }
    }

    fn instantiate(&mut self, home: usize, pick: usize) -> Step {
        let Home { id, engine, store, guests } = &mut self.homes[home];
        if guests.len() >= INSTANCES_MAX {
            return Ok(());
        }
        let mut module = self.modules[*engine][0].clone();
        if pick.is_multiple_of(3) {
            module = module.reload().map_err(text)?;
        }
        let instance = Instance::new(&mut *store, &module, &[]).map_err(text)?;
        // The instance lives without it.
        drop(module);
        let memory = instance.get_memory(&*store, "m").ok_or("no memory")?;
        let table = instance.get_table(&*store, "t").ok_or("no table")?;
        let global = instance.get_global(&*store, "g").ok_or("no global")?;
        let (bytes, elements, value) = (share(vec![0; PAGE]), share(vec![None; 4]), share(5));
        keep(&mut self.memories, Cell { home: *id, handle: memory, model: bytes.clone() });
        keep(&mut self.tables, Cell { home: *id, handle: table, model: elements.clone() });
        keep(&mut self.globals, Cell { home: *id, handle: global, model: value.clone() });
        let func = |name: &str| instance.get_func(&*store, name).ok_or("no function");
        let (add, spin) = (func("add")?, func("spin")?);
        let exported = [
            (add, Does::Add(value.clone())),
            (func("store")?, Does::Store(bytes.clone())),
            (func("put")?, Does::Put(elements)),
            (func("throw")?, Does::Throw),
            (spin, Does::Spin),
            (func("trap")?, Does::Trap),
        ];
        for (func, does) in exported {
            keep(&mut self.funcs, Callable { home: *id, func, does });
        }
        guests.push(Guest { instance, add, spin, memory: bytes, global: value });
        ensure(instance.get_export(&*store, "nothing").is_none(), "an export that is not there")?;
        // A module of another engine is refused.
        let other = &self.modules[(*engine + 1) % self.modules.len()][0];
        ensure(Instance::new(&mut *store, other, &[]).is_err(), "a module of another engine is instantiated")
    }

    fn link(&mut self, home: usize, pick: usize) -> Step {
        let Home { id, engine, store, guests } = &mut self.homes[home];
        let module = &self.modules[*engine][1];
        let mut linker = Linker::new(&self.engines[*engine]);
        ensure(linker.missing_imports(module).len() == 3, "three imports are missing")?;
        ensure(linker.instantiate(&mut *store, module).is_err(), "imports are missing, and it is instantiated")?;
        let Some(guest) = guests.get(pick % guests.len().max(1)) else { return Ok(()) };
        linker.instance(&mut *store, "e", guest.instance).map_err(text)?;
        let importer = linker.instantiate(&mut *store, module).map_err(text)?;
        let (twice, grow) = (importer.get_func(&*store, "twice"), importer.get_func(&*store, "grow"));
        let (twice, grow) = (twice.ok_or("no twice")?, grow.ok_or("no grow")?);
        let (does_twice, does_grow) = (Does::Twice(guest.global.clone()), Does::Grow(guest.memory.clone()));
        does_twice.call(store, twice, 7, None)?;
        keep(&mut self.funcs, Callable { home: *id, func: twice, does: does_twice });
        keep(&mut self.funcs, Callable { home: *id, func: grow, does: does_grow });
        Ok(())
    }

    fn new_memory(&mut self, home: usize, number: u64) -> Step {
        let ty = MemoryType {
            memory64: number & 1 == 1,
            shared: false,
            minimum: number % 3,
            maximum: Some(number % 3 + 2),
            page_bytes_log2: 16,
        };
        let Home { id, store, .. } = &mut self.homes[home];
        // Nothing but a dropped store gives a memory back.
        if self.memories.iter().filter(|cell| cell.home == *id).count() >= 6 {
            return Ok(());
        }
        let handle = Memory::new(&mut *store, ty).map_err(text)?;
        let model = share(vec![0; (number % 3) as usize * PAGE]);
        keep(&mut self.memories, Cell { home: *id, handle, model });
        Ok(())
    }

    fn grow_memory(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.memories.len().max(1);
        let Some(cell) = self.memories.get(pick % count) else { return Ok(()) };
        let Home { id, store, .. } = &mut self.homes[home];
        let delta = number % 4;
        let grown = cell.handle.grow(&mut *store, delta);
        if cell.home != *id {
            return ensure(is_foreign(&grown), "a memory of another store grows");
        }
        let mut model = cell.model.borrow_mut();
        if let Ok(old) = grown {
            ensure(old as usize * PAGE == model.len(), "the old size")?;
            let length = model.len() + delta as usize * PAGE;
            model.resize(length, 0);
        }
        ensure(cell.handle.data_size(&*store) == model.len(), "the size after growth")
    }

    fn write_memory(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.memories.len().max(1);
        let Some(cell) = self.memories.get(pick % count) else { return Ok(()) };
        let Home { id, store, .. } = &mut self.homes[home];
        let at = (number % 140_000) as usize;
        let bytes = number.to_le_bytes();
        let written = cell.handle.write(&mut *store, at, &bytes);
        if cell.home != *id {
            return ensure(written.is_err(), "a memory of another store is written");
        }
        let mut model = cell.model.borrow_mut();
        let fits = at + bytes.len() <= model.len();
        ensure(written.is_ok() == fits, "a write is refused exactly when it does not fit")?;
        if fits {
            model[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        let mut back = [0; 8];
        ensure(cell.handle.read(&*store, at, &mut back).is_ok() == fits && (!fits || back == bytes), "reads back")
    }

    fn new_global(&mut self, home: usize, number: u64) -> Step {
        let ty = GlobalType { content: ValType::I64, mutable: true };
        let Home { id, store, .. } = &mut self.homes[home];
        ensure(Global::new(&mut *store, ty, Val::I32(1)).is_err(), "a global of i64 with an i32")?;
        let handle = Global::new(&mut *store, ty, Val::I64(number as i64)).map_err(text)?;
        keep(&mut self.globals, Cell { home: *id, handle, model: share(number as i64) });
        Ok(())
    }

    fn set_global(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.globals.len().max(1);
        let Some(cell) = self.globals.get(pick % count) else { return Ok(()) };
        let Home { id, store, .. } = &mut self.homes[home];
        let set = cell.handle.set(&mut *store, Val::I64(number as i64));
        let is_right = if cell.home == *id { set.is_ok() } else { is_foreign(&set) };
        ensure(is_right, "a global is set in its own store only")?;
        ensure(cell.handle.set(&mut *store, Val::F64(0)).is_err(), "a global of i64 is set to an f64")?;
        if set.is_ok() {
            *cell.model.borrow_mut() = number as i64;
        }
        Ok(())
    }

    fn new_table(&mut self, home: usize, number: u64) -> Step {
        let minimum = number % 10;
        let ty = TableType { element: RefType::EXTERN, table64: false, minimum, maximum: Some(minimum + 5) };
        let Home { id, store, .. } = &mut self.homes[home];
        let handle = Table::new(&mut *store, ty, Val::ExternRef(None)).map_err(text)?;
        keep(&mut self.tables, Cell { home: *id, handle, model: share(vec![None; minimum as usize]) });
        Ok(())
    }

    fn grow_table(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.tables.len().max(1);
        let object = self.host_value(home, pick);
        let foreign = self.objects.iter().find(|(owner, _)| *owner != self.homes[home].id);
        let foreign = foreign.and_then(|(_, object)| object.host_value());
        let Some(cell) = self.tables.get(pick % count) else { return Ok(()) };
        let Home { id, store, .. } = &mut self.homes[home];
        let (value, payload) = object.map_or((None, None), |(object, payload)| (Some(object), Some(payload)));
        let grown = cell.handle.grow(&mut *store, number % 4, Val::ExternRef(value.clone()));
        if cell.home != *id {
            return ensure(is_foreign(&grown), "a table of another store grows");
        }
        let mut model = cell.model.borrow_mut();
        if let Ok(old) = grown {
            ensure(old as usize == model.len(), "the old size of a table")?;
            let length = model.len() + (number % 4) as usize;
            model.resize(length, payload);
        }
        ensure(cell.handle.size(&*store) as usize == model.len(), "the size of a table")?;
        let at = number % 20;
        if let Some((foreign, _)) = foreign {
            let set = cell.handle.set(&mut *store, at, Val::ExternRef(Some(foreign)));
            ensure(is_foreign(&set), "an object of another store becomes an element")?;
        }
        let set = cell.handle.set(&mut *store, at, Val::ExternRef(value));
        if let Some(place) = model.get_mut(at as usize) {
            *place = payload;
        }
        ensure(set.is_ok() == ((at as usize) < model.len()), "an element is set exactly where there is one")
    }

    /// A host value of a store, with what is behind it, or null.
    fn host_value(&self, home: usize, pick: usize) -> Option<(ExternRef, u32)> {
        let id = self.homes[home].id;
        let own: Vec<_> = self
            .objects
            .iter()
            .filter(|(owner, _)| *owner == id)
            .filter_map(|(_, object)| object.host_value())
            .collect();
        own.get(pick % (own.len() + 1)).cloned()
    }

    fn call(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let object = self.host_value(home, pick);
        let Some(Callable { home: owner, func, does }) = self.funcs.get(pick % self.funcs.len().max(1)) else {
            return Ok(());
        };
        let Home { id, store, .. } = &mut self.homes[home];
        if owner != id {
            let ended = func.call(&mut *store, &[Val::I64(1)], &mut [Val::I64(0)]);
            ensure(is_foreign(&ended), "a function of another store is called")?;
            return ensure(func.typed::<i64, i64>(&*store).is_err(), "a function of another store is typed");
        }
        does.refuses(store, *func)?;
        does.call(store, *func, number, object)
    }

    /// A function of the host, for itself and behind a guest that calls it.
    fn host_function(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let Home { id, engine, store, guests } = &mut self.homes[home];
        let guest = guests.get(pick % guests.len().max(1));
        let (func, does) = match (number % 3, guest) {
            (0, _) => (guests::fails(store), Does::Fails),
            (1, Some(guest)) => (guests::re_enters(store, guest.add), Does::ReEnters(guest.global.clone())),
            _ => (guests::plus(store, number as i64), Does::Plus(number as i64)),
        };
        let caller = Instance::new(&mut *store, &self.modules[*engine][2], &[Extern::Func(func)]).map_err(text)?;
        let via = caller.get_func(&*store, "via").ok_or("no via")?;
        for func in [func, via] {
            does.call(store, func, number, None)?;
            keep(&mut self.funcs, Callable { home: *id, func, does: does.clone() });
        }
        Ok(())
    }

    /// A store goes, and all that belongs to it but handles.
    fn forget(&mut self, home: usize) -> Step {
        self.homes[home] = self.home(home);
        Ok(())
    }

    fn new_object(&mut self, home: usize, number: u64) -> Step {
        let Home { id, store, .. } = &mut self.homes[home];
        let object = Object::new(store, number)?;
        keep(&mut self.objects, (*id, object));
        Ok(())
    }

    fn use_object(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let count = self.objects.len().max(1);
        let Some((owner, object)) = self.objects.get_mut(pick % count) else { return Ok(()) };
        let Home { id, store, .. } = &mut self.homes[home];
        if number.is_multiple_of(3) {
            store.collect_garbage();
        }
        if owner == id { object.check(store, number) } else { object.check_foreign(store) }
    }

    /// What takes too long is stopped, and the store goes on.
    fn stop(&mut self, home: usize, pick: usize, number: u64) -> Step {
        let Home { engine, store, guests, .. } = &mut self.homes[home];
        if *engine + 1 != ENGINES.len() {
            return ensure(store.set_fuel(1).is_err(), "an engine that counts no fuel takes some");
        }
        let Some(guest) = guests.get(pick % guests.len().max(1)) else { return Ok(()) };
        if number.is_multiple_of(2) {
            store.set_fuel(number % 5000).map_err(text)?;
            guests::is_stopped(store, guest.spin, TrapCode::OutOfFuel)?;
            store.set_fuel(AMPLE).map_err(text)
        } else {
            store.set_epoch_deadline(1);
            self.engines[*engine].increment_epoch();
            guests::is_stopped(store, guest.spin, TrapCode::Interrupted)?;
            store.set_epoch_deadline(AMPLE);
            Ok(())
        }
    }

    /// An engine's modules go, and are compiled again; instances live on.
    fn drop_modules(&mut self, home: usize) -> Step {
        let engine = self.homes[home].engine;
        self.modules[engine] = compile(&self.engines[engine])?;
        Ok(())
    }

    /// Everything, in its own store and in another one.
    fn check(&mut self, home: usize, number: u64) -> Step {
        let Home { id, store, .. } = &mut self.homes[home];
        for cell in &self.globals {
            let seen = cell.handle.get(&*store);
            let is_right = match seen {
                Ok(Val::I64(value)) if cell.home == *id => value == *cell.model.borrow(),
                other => cell.home != *id && is_foreign(&other),
            };
            ensure(is_right, "a global holds what was set")?;
        }
        for cell in &self.memories {
            if cell.home == *id {
                ensure(cell.handle.data(&*store) == *cell.model.borrow(), "a memory holds what was written")?;
            } else {
                let hidden = cell.handle.data(&*store).is_empty() && cell.handle.data_size(&*store) == 0;
                ensure(hidden && cell.handle.size(&*store) == 0, "a memory of another store is seen")?;
            }
        }
        for cell in &self.tables {
            let model = cell.model.borrow();
            let wanted = if cell.home == *id { model.len() } else { 0 };
            ensure(cell.handle.size(&*store) as usize == wanted, "the size of a table")?;
            for (at, expected) in model.iter().enumerate() {
                let seen = cell.handle.get(&*store, at as u64);
                let is_right = match cell.home == *id {
                    true => guests::element(store, seen) == Some(*expected),
                    false => seen.is_none(),
                };
                ensure(is_right, "a table holds what was set")?;
            }
        }
        for (owner, object) in &mut self.objects {
            if owner == id { object.check(store, number)? } else { object.check_foreign(store)? }
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
                return Outcome::failed("wattest", format!("step {step}, kind {}: {what}", kind % KINDS));
            }
        }
        Outcome { checks: case.calls.len() as u64, useful: true, ..Outcome::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};

    /// What a world with one exporter and one object of each kind says to a change of its models.
    fn check(what: &str, expected: &str, change: impl Fn(&mut World) -> Step) {
        let mut world = World::new().expect("a world");
        world.instantiate(2, 0).expect("an instance");
        for number in 0..4 {
            world.new_object(2, number + (9 << 8)).expect("an object");
        }
        world.check(2, 1).expect("as it should be");
        world.check(0, 1).expect("nothing of the others' is seen");
        let found = change(&mut world).and_then(|()| world.check(2, 1)).expect_err(what);
        assert!(found.contains(expected), "{what}: {found}");
    }

    #[test]
    fn every_difference_is_seen() {
        let all = |world: &mut World, does: &dyn Fn(&Does) -> bool| {
            let at = world.funcs.iter().position(|callable| does(&callable.does)).expect("such a function");
            world.call(2, at, 3)
        };
        check("a byte", "a memory", |world| {
            world.memories[0].model.borrow_mut()[7] = 1;
            Ok(())
        });
        check("an element", "a table", |world| {
            world.tables[0].model.borrow_mut()[1] = Some(3);
            Ok(())
        });
        check("a global", "a global", |world| {
            *world.globals[0].model.borrow_mut() += 1;
            Ok(())
        });
        check("a sum", "instead of", |world| {
            *world.globals[0].model.borrow_mut() += 1;
            all(world, &|does| matches!(does, Does::Add(_)))
        });
        check("a store", "a guest stores", |world| {
            world.memories[0].model.borrow_mut().clear();
            all(world, &|does| matches!(does, Does::Store(_)))
        });
        check("an owner", "of another store is", |world| {
            world.objects.iter_mut().for_each(|(owner, _)| *owner = u64::MAX);
            Ok(())
        });
        check("a host value", "a host value", |world| {
            world.objects.retain_mut(|(_, object)| match object {
                Object::Extern(_, payload) => {
                    *payload += 1;
                    true
                }
                _ => false,
            });
            Ok(())
        });
    }

    #[test]
    fn handles_outlive_their_stores() {
        let mut world = World::new().expect("a world");
        for home in 0..STORES {
            world.instantiate(home, home).expect("an instance");
            world.new_object(home, 2 + (9 << 8)).expect("an array");
            world.forget(home).expect("a new store");
        }
        assert!(world.memories.len() == STORES && world.objects.len() == STORES && !world.funcs.is_empty());
        for home in 0..STORES {
            world.check(home, 1).expect("nothing is seen");
            for pick in 0..KEPT_MAX {
                world.call(home, pick, 1).expect("refused");
                world.grow_memory(home, pick, 1).expect("refused");
            }
        }
    }

    #[test]
    fn every_kind_of_step_is_taken() {
        let case = Api.generate(&expand(case_seed(5, 1))).expect("a case");
        let kinds: std::collections::BTreeSet<_> = (0..8)
            .filter_map(|index| Api.generate(&expand(case_seed(5, index))))
            .flat_map(|case| case.calls)
            .filter_map(|call| match call.args.first() {
                Some(Argument::Value(Value::I64(kind))) => Some(*kind as usize % KINDS),
                _ => None,
            })
            .collect();
        assert_eq!(kinds, (0..KINDS).collect());
        assert_eq!(Api.run(&case).disagreement, None);
    }
}
