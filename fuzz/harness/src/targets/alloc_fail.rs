//! `alloc_fail`: when the machine has no memory, there is an error of its kind, and everything stays usable.
//!
//! A program is loaded (from its binary, or from an artifact), instantiated, called and grows, while the n-th mapping or
//! guest-sized allocation of this thread fails, for n from none to enough. Every step must end in what a
//! [model](Model) allows: its value, -1 from what grows, or an error that says that there is no room; never in a panic.
//! Afterwards, with memory again, the same instance in the same store does all that is asked of it, from where it was; so does
//! a fresh store of the same engine; and in the end pools have as many slots as ever.
//!
//! Invariant: the failures are this thread's alone, and over before the next case. The program follows from the settings.
//!
//! Does not know: which operation failed.

use super::subject::Engines;
use super::{Outcome, Target};
use crate::artifact::load;
use crate::envelope::Envelope;
use crate::panics;
use crate::source::Source;
use wattest::{
    CompileError, DeserializeError, Engine, Error, Instance, InstantiateError, Module, Store, TrapCode, Val,
};
use wattest_vm::sys::fault;

/// Memories of a pool.
const POOL: usize = 8;

/// Configurations that allocate in different ways.
const OPTIONS: [&str; 5] = [
    "",
    "allocation=pooling pooling-memories=8",
    "memory-reservation=64KiB memory-guard=64KiB",
    "copy-on-write=false recycle-memories=false",
    "allocation=pooling pooling-memories=8 pooling-keep-resident=65536",
];

/// The n-th operation fails, up to this n.
const FAILURES_MAX: u64 = 64;

/// What memories and tables grow by, and to.
const PAGES_MORE: u32 = 3;
const PAGES_MAX: u32 = 200;
const ELEMENTS_MORE: u32 = 3000;
const ELEMENTS_MAX: u32 = 20_000;

/// What grows that cannot.
const REFUSED: u32 = u32::MAX;

/// A program.
#[derive(Clone, Copy, Debug)]
struct World {
    pages: u32,
    data_bytes: u32,
    elements: u32,
    has_second_memory: bool,
    has_objects: bool,
}

impl World {
    fn choose(source: &mut Source<'_>) -> World {
        World {
            pages: source.below(3) as u32 + 1,
            data_bytes: source.below(3) as u32 * 40_000,
            elements: source.below(2000) as u32,
            has_second_memory: source.percent(50),
            has_objects: source.percent(50),
        }
    }

    fn settings(&self, case: Envelope) -> Envelope {
        case.set("pages", self.pages)
            .set("data", self.data_bytes)
            .set("elements", self.elements)
            .set("second", u8::from(self.has_second_memory))
            .set("objects", u8::from(self.has_objects))
    }

    /// Any numbers give a program: one that starts within its limits.
    fn of(case: &Envelope) -> World {
        let number = |name: &str, default: u32, most: u32| {
            u32::try_from(case.number(name, default.into())).unwrap_or(default) % (most + 1)
        };
        let pages = number("pages", 2, 20).max(1);
        World {
            pages,
            data_bytes: number("data", 40_000, pages * 65_536 - 8),
            elements: number("elements", 100, 10_000),
            has_second_memory: number("second", 1, 1) == 1,
            has_objects: number("objects", 1, 1) == 1,
        }
    }

    /// A module that allocates in every way that a guest can. Its function gives the sizes before growth, what it stored
    /// below all data, and the last byte of the data.
    fn text(&self) -> String {
        let World { pages, data_bytes, elements, .. } = *self;
        let data = format!("(data (i32.const 8) \"{}\")", "x".repeat(data_bytes as usize));
        let second = if self.has_second_memory { "(memory 1 4)" } else { "" };
        let (types, object) = match self.has_objects {
            true => ("(type $a (array (mut i64)))", "(drop (array.new_default $a (i32.const 5000)))"),
            false => ("", ""),
        };
        format!(
            "(module {types} (memory {pages} {PAGES_MAX}) {second} (table {elements} {ELEMENTS_MAX} externref) {data}
               (func (export \"f\") (param i32) (result i32 i32 i32 i32)
                 {object}
                 (i32.store (i32.const 0) (local.get 0))
                 (memory.grow (i32.const {PAGES_MORE}))
                 (table.grow (ref.null extern) (i32.const {ELEMENTS_MORE}))
                 (i32.load (i32.const 0))
                 (i32.load8_u (i32.const {}))))",
            7 + data_bytes
        )
    }
}

/// What an instance should hold.
#[derive(Clone, Debug)]
struct Model {
    pages: u32,
    elements: u32,
    last: u32,
}

impl Model {
    fn new(world: &World) -> Model {
        let last = if world.data_bytes > 0 { b'x'.into() } else { 0 };
        Model { pages: world.pages, elements: world.elements, last }
    }

    /// Compares the results of a call; growth may be refused where memory may be missing.
    fn judge(&mut self, argument: u32, seen: [u32; 4], may_be_refused: bool) -> Result<(), String> {
        let before = self.clone();
        let grow = |size: &mut u32, more: u32, most: u32, seen: u32| {
            let fits = *size + more <= most;
            let expected = if fits { *size } else { REFUSED };
            if fits && seen == expected {
                *size += more;
            }
            seen == expected || may_be_refused && seen == REFUSED
        };
        let grown = grow(&mut self.pages, PAGES_MORE, PAGES_MAX, seen[0])
            && grow(&mut self.elements, ELEMENTS_MORE, ELEMENTS_MAX, seen[1]);
        // Where there are few bytes of data, what is stored lies in front of them.
        match grown && seen[2..] == [argument, self.last] {
            true => Ok(()),
            false => Err(format!("{seen:?} from {argument} in {before:?}")),
        }
    }
}

/// How it ended where memory was missing.
enum Ended {
    /// With an error that says so.
    NoRoom,
    /// With something else.
    Wrong(String),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        match &error {
            Error::Limit(_) => Ended::NoRoom,
            Error::Trap(trap) if trap.code() == TrapCode::AllocationTooLarge => Ended::NoRoom,
            other => Ended::Wrong(format!("{other:?}")),
        }
    }
}

impl From<InstantiateError> for Ended {
    fn from(error: InstantiateError) -> Ended {
        match error {
            InstantiateError::Limit(_) => Ended::NoRoom,
            InstantiateError::Start(error) => error.into(),
            other => Ended::Wrong(format!("{other:?}")),
        }
    }
}

impl From<CompileError> for Ended {
    fn from(error: CompileError) -> Ended {
        if let CompileError::Memory(_) = error { Ended::NoRoom } else { Ended::Wrong(format!("{error:?}")) }
    }
}

impl From<DeserializeError> for Ended {
    fn from(error: DeserializeError) -> Ended {
        match error {
            // The same variant as for damage: the text tells.
            DeserializeError::Artifact(text) if !text.contains("damaged") => Ended::NoRoom,
            other => Ended::Wrong(format!("{other:?}")),
        }
    }
}

/// An instance, with what it should hold.
struct Life {
    store: Store<()>,
    instance: Instance,
    model: Model,
}

/// Where a module comes from.
#[derive(Clone, Copy)]
enum Form<'a> {
    Binary(&'a [u8]),
    Artifact(&'a [u8]),
}

impl Form<'_> {
    fn module(self, engine: &Engine) -> Result<Module, Ended> {
        Ok(match self {
            Form::Binary(wasm) => Module::from_binary(engine, wasm)?,
            Form::Artifact(bytes) => load(engine, bytes)?,
        })
    }
}

fn store(engine: &Engine) -> Store<()> {
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1 << 40);
    store
}

impl Life {
    fn new(engine: &Engine, form: Form<'_>, world: &World) -> Result<Life, Ended> {
        let module = form.module(engine)?;
        let mut store = store(engine);
        let instance = Instance::new(&mut store, &module, &[])?;
        Ok(Life { store, instance, model: Model::new(world) })
    }

    /// One call.
    fn call(&mut self, argument: u32, may_be_refused: bool) -> Result<(), Ended> {
        let missing = || Ended::Wrong("no export".to_owned());
        let func = self.instance.get_func(&self.store, "f").ok_or_else(missing)?;
        let mut results = [const { Val::I32(0) }; 4];
        func.call(&mut self.store, &[Val::I32(argument as i32)], &mut results)?;
        let seen = results.map(|value| value.i32().map_or(REFUSED, |value| value as u32));
        self.model.judge(argument, seen, may_be_refused).map_err(Ended::Wrong)
    }
}

/// Makes an instance and calls it, with memory for everything.
fn healthy(engine: &Engine, form: Form<'_>, world: &World) -> Result<(), String> {
    let live = || {
        let mut life = Life::new(engine, form, world)?;
        life.call(5, false)?;
        life.call(7, false)
    };
    live().map_err(told)
}

fn told(ended: Ended) -> String {
    match ended {
        Ended::NoRoom => "there is no room, they say".to_owned(),
        Ended::Wrong(what) => what,
    }
}

/// The same while operations fail: what there is in the end, an instance among it where it came so far.
fn faulty(engine: &Engine, form: Form<'_>, world: &World) -> Result<Option<Life>, String> {
    let mut life = match Life::new(engine, form, world) {
        Ok(life) => life,
        Err(Ended::NoRoom) => return Ok(None),
        Err(Ended::Wrong(what)) => return Err(what),
    };
    for argument in [5, 7] {
        if let Err(Ended::Wrong(what)) = life.call(argument, true) {
            return Err(what);
        }
    }
    Ok(Some(life))
}

/// One run of the sweep; whether an operation failed.
fn strike(engine: &Engine, form: Form<'_>, world: &World, successes: u64) -> Result<bool, String> {
    fault::fail_after(successes);
    let ended = panics::record(|| faulty(engine, form, world));
    let struck = fault::heal();
    let life = ended.map_err(|text| format!("panic when operation {successes} fails: {text}"))?;
    let life = life.map_err(|what| format!("when operation {successes} fails: {what}"))?;
    if let Some(mut life) = life {
        for argument in [9, 11] {
            let again = life.call(argument, false);
            again.map_err(|ended| format!("in the same store, after operation {successes} failed: {}", told(ended)))?;
        }
    }
    healthy(engine, form, world)
        .map_err(|what| format!("in a new store, after operation {successes} failed: {what}"))?;
    Ok(struck)
}

/// As many instances at once as a pool has room for.
fn fill(engine: &Engine, form: Form<'_>, world: &World) -> Result<(), String> {
    let count = if world.has_second_memory { POOL / 2 } else { POOL };
    let module = form.module(engine).map_err(told)?;
    let mut store = store(engine);
    for number in 0..count {
        let made = Instance::new(&mut store, &module, &[]);
        made.map_err(|error| format!("instance {number} of {count}, after failures: {error}"))?;
    }
    Ok(())
}

/// The target.
#[derive(Default)]
pub(super) struct AllocFail {
    engines: Engines,
}

impl AllocFail {
    fn sweep(&mut self, options: &str, world: &World, outcome: &mut Outcome) -> Result<(), String> {
        let engine = self.engines.of_options(options)?;
        let wasm = wat::parse_str(world.text()).map_err(|error| error.to_string())?;
        let artifact = Module::from_binary(&engine, &wasm).map_err(|error| error.to_string())?.serialize();
        let artifact = artifact.map_err(|error| error.to_string())?;
        for form in [Form::Binary(&wasm), Form::Artifact(&artifact)] {
            healthy(&engine, form, world).map_err(|what| format!("before anything failed: {what}"))?;
            outcome.checks += 1;
            let mut is_over = false;
            for successes in 0..FAILURES_MAX {
                let struck = strike(&engine, form, world, successes)?;
                outcome.checks += 1;
                if !struck {
                    is_over = true;
                    break;
                }
            }
            if !is_over {
                outcome.poison.push(format!("sweep: {FAILURES_MAX} operations were not all there are"));
            }
            fill(&engine, form, world)?;
        }
        Ok(())
    }
}

impl Target for AllocFail {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let case = Envelope::new("alloc_fail").set("options", source.below(OPTIONS.len()));
        let case = World::choose(&mut source).settings(case);
        let wasm = wat::parse_str(World::of(&case).text()).ok()?;
        Some(case.module("main", wasm))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let options = OPTIONS[case.number("options", 0) as usize % OPTIONS.len()];
        let mut outcome = Outcome { useful: true, ..Outcome::default() };
        match self.sweep(options, &World::of(case), &mut outcome) {
            Ok(()) => outcome,
            Err(what) => Outcome::failed("wattest", what),
        }
    }

    fn rebuilds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: World = World { pages: 2, data_bytes: 100, elements: 5, has_second_memory: false, has_objects: true };

    #[test]
    fn only_what_the_model_allows_passes() {
        let check = |seen: [u32; 4], may_be_refused: bool, expected: Option<(u32, u32)>| {
            let mut model = Model::new(&WORLD);
            let sizes = model.judge(5, seen, may_be_refused).ok().map(|()| (model.pages, model.elements));
            assert_eq!(sizes, expected, "{seen:?}");
        };
        let x = u32::from(b'x');
        check([2, 5, 5, x], false, Some((5, 3005)));
        check([2, 5, 5, x], true, Some((5, 3005)));
        check([REFUSED, 5, 5, x], true, Some((2, 3005)));
        check([2, REFUSED, 5, x], true, Some((5, 5)));
        check([REFUSED, 5, 5, x], false, None);
        check([3, 5, 5, x], true, None);
        check([2, 5, 6, x], true, None);
        check([2, 5, 5, 0], true, None);
    }

    #[test]
    fn only_errors_of_that_kind_are_excused() {
        let check = |ended: Ended, expected: bool| assert_eq!(matches!(ended, Ended::NoRoom), expected);
        check(Error::Limit("full".to_owned()).into(), true);
        check(Error::Trap(wattest::Trap::new(TrapCode::AllocationTooLarge)).into(), true);
        check(Error::Trap(wattest::Trap::new(TrapCode::Unreachable)).into(), false);
        check(Error::msg("anything").into(), false);
        check(InstantiateError::Limit("full".to_owned()).into(), true);
        check(InstantiateError::Start(Error::msg("anything")).into(), false);
        check(CompileError::Memory("full".to_owned()).into(), true);
        check(CompileError::Codegen("anything".to_owned()).into(), false);
        check(DeserializeError::Artifact("cannot map".to_owned()).into(), true);
        check(DeserializeError::Artifact("the artifact is damaged".to_owned()).into(), false);
        check(DeserializeError::Incompatible("fuel".to_owned()).into(), false);
    }

    #[test]
    fn every_configuration_is_swept_to_its_end() {
        let mut target = AllocFail::default();
        for options in 0..OPTIONS.len() {
            let outcome = target.run(&WORLD.settings(Envelope::new("alloc_fail").set("options", options)));
            assert_eq!((outcome.disagreement, outcome.poison), (None, Vec::new()), "{options}");
            assert!(outcome.checks > 8, "{options}: {} checks", outcome.checks);
        }
    }

    #[test]
    fn a_program_that_fails_by_itself_is_a_failure() {
        let engine = Engines::default().of_options("").expect("an engine");
        let wasm = wat::parse_str(WORLD.text()).expect("valid text");
        let other = World { elements: 6, ..WORLD };
        assert!(healthy(&engine, Form::Binary(&wasm), &WORLD).is_ok());
        assert!(healthy(&engine, Form::Binary(&wasm), &other).is_err());
    }
}
