//! Exceptions that leave nothing behind, whichever way they take.
//!
//! Promises: after an exception has come through tail calls, host frames, start functions or other instances, or has become
//! a trap on its way ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#exec-throw-ref)), the store is
//! as before: the whole stack is there, the running instance is the right one, calls cost what they cost, and nothing is
//! kept alive.
//!
//! Invariant: every path is taken in every configuration, compiled afresh and reloaded from its artifact, several times.
//!
//! Does not know: how frames are unwound.

use std::error::Error as StdError;
use wattest::{
    Caller, Config, Engine, Error, ExnRef, Extern, Func, Instance, InstantiateError, Linker, Module, Store,
    StoreLimitsBuilder, Tag, TrapCode, Val,
};

type Tested = Result<(), Box<dyn StdError>>;

const CONFIGURATIONS: &[&[(&str, &str)]] = &[
    &[],
    &[("opt-level", "none"), ("regalloc", "single-pass")],
    &[("signals-based-traps", "false")],
    &[("fuel", "true"), ("epoch", "true")],
    &[("call-path", "entry")],
    &[("gc-stress", "true")],
];

/// The instance that throws from afar. Its memory and global differ from those of [`MAIN`].
const LIB: &str = r#"(module
    (tag $t (export "tag") (param i32 i64))
    (memory 1) (data (i32.const 0) "\11")
    (global $g (mut i32) (i32.const 1))
    (func (export "throw") (param i32) (result i32)
        (global.set $g (i32.add (global.get $g) (i32.load8_u (i32.const 0))))
        (throw $t (local.get 0) (i64.const 9))))"#;

/// A module whose start function throws.
const STARTER: &str = r#"(module (import "lib" "tag" (tag $t (param i32 i64)))
    (func $start (throw $t (i32.const 16) (i64.const 9))) (start $start))"#;

/// `path n` ends in an exception that carries `n`, or in a trap.
const MAIN: &str = r#"(module
    (import "lib" "tag" (tag $t (param i32 i64)))
    (import "lib" "throw" (func $far (param i32) (result i32)))
    (import "host" "throw" (func $host (param i32) (result i32)))
    (import "host" "again" (func $again (param i32 i32) (result i32)))
    (import "host" "start" (func $starting (result i32)))
    (import "host" "fail" (func $fail (param i32) (result i32)))
    (type $step (func (param i32) (result i32)))
    (tag $other)
    (memory 1) (data (i32.const 0) "\22")
    (global $g (mut i32) (i32.const 5))
    (global $depth (export "depth") (mut i32) (i32.const 0))
    (table $steps 3 3 funcref)
    (elem (table $steps) (i32.const 0) func $near $far $host)
    (func $near (type $step) (throw $t (local.get 0) (i64.const 9)))
    (func $wide (param PARAMS) (result i32) (throw $t (local.get 19) (i64.const 9)))
    (func $at_end (param $n i32) (param $as i32) (result i32)
        (block $0 (block $1 (block $2 (block $3 (block $4 (block $5 (block $6 (block $7
            (br_table $0 $1 $2 $3 $4 $5 $6 $7 (i32.sub (local.get $n) (i32.const 6))))
            (return_call $wide ZEROS (local.get $as)))
            (return_call_ref $step (local.get $as) (ref.func $far)))
            (return_call_indirect (type $step) (local.get $as) (i32.const 2)))
            (return_call_indirect (type $step) (local.get $as) (i32.const 1)))
            (return_call_indirect (type $step) (local.get $as) (i32.const 0)))
            (return_call $host (local.get $as)))
            (return_call $far (local.get $as)))
        (return_call $near (local.get $as)))
    (func $beyond (param $n i32) (param $as i32) (result i32)
        (if (i32.lt_u (local.get $n) (i32.const 14)) (then (return (call $at_end (local.get $n) (local.get $as)))))
        (if (i32.eq (local.get $n) (i32.const 14)) (then (return (call $wide ZEROS (local.get $as)))))
        (if (i32.eq (local.get $n) (i32.const 15)) (then
            ;; From the scope of a clause that does not want it.
            (block $no (try_table (catch $other $no) (drop (call $far (local.get $as)))))))
        (if (i32.eq (local.get $n) (i32.const 16)) (then (return (call $starting))))
        (if (i32.eq (local.get $n) (i32.const 17)) (then
            ;; Caught, and thrown again.
            (block $got (result exnref)
                (try_table (catch_all_ref $got) (drop (call $far (local.get $as))))
                (unreachable))
            (throw_ref)))
        (if (i32.eq (local.get $n) (i32.const 18)) (then
            ;; Becomes a trap in its handler.
            (block $got (try_table (catch_all $got) (drop (call $host (local.get $as)))))
            (unreachable)))
        ;; The host turns it into an error.
        (call $fail (local.get $as)))
    (func $path (export "path") (param $n i32) (param $as i32) (result i32)
        (block $0 (block $1 (block $2 (block $3 (block $4 (block $5 (block $beyond
            (br_table $0 $1 $2 $3 $4 $5 $beyond (local.get $n)))
            (return (call $beyond (local.get $n) (local.get $as))))
            ;; Through a host frame, at the end of a tail call on both sides of it.
            (return_call $again (i32.const 6) (local.get $as)))
            ;; Through two host frames.
            (return (call $again (i32.const 3) (local.get $as))))
            ;; Through one.
            (return (call $again (i32.const 1) (local.get $as))))
            (return (call $host (local.get $as))))
            (return (call $far (local.get $as))))
        (call $near (local.get $as)))
    ;; What `path` carries; afterwards this instance is the one that runs.
    (func (export "caught") (param $n i32) (result i32) (local $seen i32) (local $before i32)
        (global.set $g (i32.add (global.get $g) (i32.const 1)))
        (local.set $before (global.get $g))
        (block $done (result i32 i64)
            (try_table (catch $t $done) (drop (call $path (local.get $n) (local.get $n))))
            (unreachable))
        (drop)
        (local.set $seen)
        (if (i32.ne (global.get $g) (local.get $before)) (then (unreachable)))
        (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 0x22)) (then (unreachable)))
        (local.get $seen))
    (func $down (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $down) (global.set $g (i32.const 0)))
    (func (export "down") (global.set $depth (i32.const 0)) (call $down))
    (func (export "work") (param i32) (result i32)
        (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.load8_u (local.get 0))))"#;

/// How a path ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    Thrown,
    Trapped,
    Failed,
}

const PATHS: i32 = 20;

fn ending(path: i32) -> Ends {
    match path {
        18 => Ends::Trapped,
        19 => Ends::Failed,
        _ => Ends::Thrown,
    }
}

/// Everything a path needs.
struct World {
    store: Store<()>,
    instance: Instance,
}

impl World {
    fn new(engine: &Engine, main: &Module) -> Result<World, Box<dyn StdError>> {
        let mut store = Store::new(engine, ());
        let _ = store.set_fuel(u64::MAX);
        store.set_epoch_deadline(1 << 40);
        let lib = Instance::new(&mut store, &Module::new(engine, LIB)?, &[])?;
        let tag = lib.get_tag(&store, "tag").ok_or("no tag")?;
        let starter = Module::new(engine, STARTER)?;
        let mut linker = Linker::new(engine);
        linker.instance(&mut store, "lib", lib)?;
        linker.func_wrap("host", "throw", move |mut caller: Caller<'_, ()>, carried: i32| -> Result<i32, Error> {
            throw(&mut caller, tag, carried)
        })?;
        linker.func_wrap(
            "host",
            "again",
            |mut caller: Caller<'_, ()>, path: i32, carried: i32| -> Result<i32, Error> {
                again(&mut caller, path, carried)
            },
        )?;
        linker.func_wrap("host", "fail", |mut caller: Caller<'_, ()>, carried: i32| -> Result<i32, Error> {
            let _ = again(&mut caller, 1, carried).unwrap_err();
            Err(Error::msg("failed"))
        })?;
        linker.func_wrap("host", "start", move |mut caller: Caller<'_, ()>| -> Result<i32, Error> {
            match Instance::new(&mut caller, &starter, &[tag.into()]) {
                Err(InstantiateError::Start(error)) => Err(error),
                other => Err(Error::msg(format!("{other:?}"))),
            }
        })?;
        let instance = linker.instantiate(&mut store, main)?;
        Ok(World { store, instance })
    }

    fn call(&mut self, name: &str, args: &[Val]) -> Result<i32, Error> {
        let func = self.instance.get_func(&self.store, name).expect("exported");
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        func.call(&mut self.store, args, &mut results)?;
        Ok(match results.first() {
            Some(Val::I32(value)) => *value,
            _ => 0,
        })
    }

    /// How deep calls can go, and the fuel that a fixed piece of work takes.
    fn probe(&mut self) -> Result<(i32, Option<u64>), Box<dyn StdError>> {
        let overflow = self.call("down", &[]).unwrap_err();
        assert_eq!(overflow.trap().map(wattest::Trap::code), Some(TrapCode::StackOverflow));
        let Some(Extern::Global(depth)) = self.instance.get_export(&self.store, "depth") else { panic!("no depth") };
        let Val::I32(depth) = depth.get(&mut self.store)? else { panic!("no number") };
        let before = self.store.fuel().ok();
        assert_eq!(self.call("work", &[Val::I32(100)])?, 0x22);
        let spent = before.and_then(|before| Some(before - self.store.fuel().ok()?));
        Ok((depth, spent))
    }

    fn take(&mut self, path: i32) -> Tested {
        let error = self.call("path", &[Val::I32(path), Val::I32(path)]).unwrap_err();
        match ending(path) {
            Ends::Thrown => {
                let exception = error.exception().ok_or_else(|| format!("path {path}: {error:?}"))?;
                assert_eq!(exception.payload(&mut self.store)?, [Val::I32(path), Val::I64(9)], "path {path}");
                assert_eq!(self.call("caught", &[Val::I32(path)])?, path);
            }
            Ends::Trapped => assert_eq!(error.trap().map(wattest::Trap::code), Some(TrapCode::Unreachable)),
            Ends::Failed => assert_eq!(error.to_string(), "failed"),
        }
        Ok(())
    }
}

fn throw(caller: &mut Caller<'_, ()>, tag: Tag, carried: i32) -> Result<i32, Error> {
    Err(ExnRef::new(&mut *caller, tag, &[Val::I32(carried), Val::I64(9)])?.throw())
}

/// Calls `path` of the caller, and ends as it does.
fn again(caller: &mut Caller<'_, ()>, path: i32, carried: i32) -> Result<i32, Error> {
    let func: Func = caller.get_export("path").and_then(Extern::into_func).expect("exported");
    let mut results = [Val::I32(0)];
    func.call(&mut *caller, &[Val::I32(path), Val::I32(carried)], &mut results)?;
    Err(Error::msg("it did not throw"))
}

#[test]
fn every_path_leaves_the_store_as_before() -> Tested {
    let text = MAIN.replace("PARAMS", &"i32 ".repeat(20)).replace("ZEROS", &"(i32.const 0) ".repeat(19));
    for options in CONFIGURATIONS {
        let mut config = Config::new();
        options.iter().try_for_each(|(key, value)| config.set(key, value).map(drop))?;
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, &text)?;
        for module in [module.reload()?, module] {
            let mut world = World::new(&engine, &module)?;
            let before = world.probe()?;
            for path in 0..PATHS {
                (0..3).try_for_each(|_| world.take(path))?;
                assert_eq!(world.probe()?, before, "after path {path} with {options:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn uncaught_exceptions_are_collected() -> Tested {
    let text = r#"(module (tag $t (param v128 v128 v128 v128))
        (func (export "f") (throw $t (v128.const i64x2 0 0) (v128.const i64x2 0 0)
            (v128.const i64x2 0 0) (v128.const i64x2 0 0))))"#;
    let engine = Engine::default();
    let mut store = Store::new(&engine, StoreLimitsBuilder::new().heap_bytes(1 << 20).build());
    store.limiter(|limits| limits);
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
    let f = instance.get_typed_func::<(), ()>(&store, "f")?;
    let mut kept = Vec::new();
    // Forty times what the heap may hold; a few that the host keeps are still what they were.
    for turn in 0..500_000 {
        let error = f.call(&mut store, ()).unwrap_err();
        let exception = error.exception().ok_or_else(|| format!("turn {turn}: {error:?}"))?;
        if turn % 50_000 == 0 {
            kept.push(exception.clone());
        }
    }
    for exception in kept {
        assert_eq!(exception.payload(&mut store)?, [const { Val::V128(0) }; 4]);
    }
    Ok(())
}
