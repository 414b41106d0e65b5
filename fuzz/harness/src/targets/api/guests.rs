//! Functions that can be called, each with what it should do: the guests' and the host's.
//!
//! Invariant: what a call ends in is predicted from the models of what it touches; a call that fails changes only what it
//! had changed before.
//!
//! Does not know: who keeps the handles.

use super::{Step, ensure, objects::payload_of, text};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use wattest::{Caller, Error, ExternRef, Func, Store, TrapCode, Val};

/// What several handles lead to.
pub(super) type Shared<M> = Rc<RefCell<M>>;

/// 64 KiB.
pub(super) const PAGE: usize = 65_536;

/// Pages of a guest's memory, at most.
const PAGES_MAX: usize = 3;

/// A module with something of everything.
pub(super) const EXPORTER: &str = r#"(module
    (memory (export "m") 1 3)
    (table (export "t") 4 8 externref)
    (global (export "g") (mut i64) (i64.const 5))
    (tag $e (export "e") (param i64))
    (func (export "add") (param i64) (result i64)
        (global.set 0 (i64.add (global.get 0) (local.get 0))) (global.get 0))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "put") (param i32 externref) (table.set (local.get 0) (local.get 1)))
    (func (export "throw") (param i64) (throw $e (local.get 0)))
    (func (export "spin") (param i64)
        (loop $again
            (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
            (br_if $again (i64.gt_s (local.get 0) (i64.const 0)))))
    (func (export "trap") (unreachable)))"#;

/// One that shares with it.
pub(super) const IMPORTER: &str = r#"(module
    (import "e" "m" (memory 1))
    (import "e" "g" (global $g (mut i64)))
    (import "e" "add" (func $add (param i64) (result i64)))
    (func (export "twice") (param i64) (result i64) (drop (call $add (local.get 0))) (call $add (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;

/// One that calls the host.
pub(super) const CALLER: &str = r#"(module
    (import "h" "f" (func $f (param i64) (result i64)))
    (func (export "via") (param i64) (result i64) (call $f (local.get 0))))"#;

/// What a function does.
#[derive(Clone)]
pub(super) enum Does {
    Add(Shared<i64>),
    Twice(Shared<i64>),
    Store(Shared<Vec<u8>>),
    Grow(Shared<Vec<u8>>),
    Put(Shared<Vec<Option<u32>>>),
    Throw,
    Spin,
    Trap,
    /// The host's: adds a number.
    Plus(i64),
    /// The host's: fails.
    Fails,
    /// The host's: calls the guest's `add`, and adds one.
    ReEnters(Shared<i64>),
}

/// What a failing host function says.
#[derive(Debug)]
pub(super) struct Refused(i64);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is refused", self.0)
    }
}

impl std::error::Error for Refused {}

/// A host function that adds `number`.
pub(super) fn plus(store: &mut Store<u32>, number: i64) -> Func {
    Func::wrap(store, move |x: i64| x.wrapping_add(number))
}

/// A host function that fails.
pub(super) fn fails(store: &mut Store<u32>) -> Func {
    Func::wrap(store, |x: i64| -> Result<i64, Error> { Err(Error::host(Refused(x))) })
}

/// A host function that calls `add`, of the same store.
pub(super) fn re_enters(store: &mut Store<u32>, add: Func) -> Func {
    Func::wrap(store, move |mut caller: Caller<'_, u32>, x: i64| -> Result<i64, Error> {
        let add = add.typed::<i64, i64>(&caller)?;
        Ok(add.call(&mut caller, x)?.wrapping_add(1))
    })
}

fn is_trap(ended: &Result<(), Error>, code: TrapCode) -> bool {
    matches!(ended, Err(Error::Trap(trap)) if trap.code() == code)
}

impl Does {
    /// Calls `func`, which does this; `object` is a host value of the store.
    pub fn call(&self, store: &mut Store<u32>, func: Func, number: u64, object: Option<(ExternRef, u32)>) -> Step {
        let small = (number % 1000) as i64;
        match self {
            Does::Add(global) => {
                let sum = global.borrow().wrapping_add(small);
                *global.borrow_mut() = sum;
                number_of(store, func, small, sum)
            }
            Does::Twice(global) => {
                let sum = global.borrow().wrapping_add(2 * small);
                *global.borrow_mut() = sum;
                number_of(store, func, small, sum)
            }
            Does::ReEnters(global) => {
                let sum = global.borrow().wrapping_add(small);
                *global.borrow_mut() = sum;
                number_of(store, func, small, sum.wrapping_add(1))
            }
            Does::Plus(more) => number_of(store, func, small, small.wrapping_add(*more)),
            Does::Fails => {
                let ended = func.call(&mut *store, &[Val::I64(small)], &mut [Val::I64(0)]);
                let said = ended.as_ref().err().and_then(Error::downcast_ref::<Refused>);
                ensure(said.is_some_and(|refused| refused.0 == small), "a host function fails as it says")
            }
            Does::Store(memory) => {
                let (at, byte) = ((number % 260_000) as usize, (number >> 32) as u8);
                let ended = func.call(&mut *store, &[Val::I32(at as i32), Val::I32(byte.into())], &mut []);
                match memory.borrow_mut().get_mut(at) {
                    Some(place) => {
                        *place = byte;
                        ensure(ended.is_ok(), "a guest stores within its memory")
                    }
                    None => ensure(is_trap(&ended, TrapCode::MemoryOutOfBounds), "a guest stores beyond its memory"),
                }
            }
            Does::Grow(memory) => {
                let mut out = [Val::I32(0)];
                func.call(&mut *store, &[], &mut out).map_err(text)?;
                let pages = memory.borrow().len() / PAGE;
                let grows = pages < PAGES_MAX;
                if grows {
                    memory.borrow_mut().resize((pages + 1) * PAGE, 0);
                }
                let expected = if grows { pages as i32 } else { -1 };
                ensure(matches!(out[0], Val::I32(seen) if seen == expected), "what a guest's memory grows from")
            }
            Does::Put(table) => put(store, func, (number % 12) as usize, object, table),
            Does::Throw => {
                let ended = func.call(&mut *store, &[Val::I64(small)], &mut []);
                let Err(Error::Exception(thrown)) = ended else { return Err("nothing is thrown".to_owned()) };
                let payload = thrown.exception().payload(&mut *store).map_err(text)?;
                ensure(matches!(payload.as_slice(), [Val::I64(seen)] if *seen == small), "what is thrown")
            }
            Does::Spin => func.call(&mut *store, &[Val::I64(small)], &mut []).map_err(text),
            Does::Trap => {
                let ended = func.call(&mut *store, &[], &mut []);
                ensure(is_trap(&ended, TrapCode::Unreachable), "a guest traps")
            }
        }
    }

    /// Arguments of no type that such a function has.
    pub fn refuses(&self, store: &mut Store<u32>, func: Func) -> Step {
        let ended = func.call(&mut *store, &[const { Val::F32(0) }; 3], &mut []);
        ensure(matches!(ended, Err(Error::Usage(_))), "a function takes arguments that it has not")?;
        ensure(func.typed::<(f32, f32, f32), ()>(&*store).is_err(), "a function has the type that it has")
    }
}

/// Runs a guest's loop until its fuel or its time is over.
pub(super) fn is_stopped(store: &mut Store<u32>, spin: Func, code: TrapCode) -> Step {
    let ended = spin.call(&mut *store, &[Val::I64(i64::MAX)], &mut []);
    ensure(is_trap(&ended, code), "a loop is stopped")
}

/// Calls a function of one number dynamically and typed, by turns.
fn number_of(store: &mut Store<u32>, func: Func, argument: i64, expected: i64) -> Step {
    let seen = if argument % 2 == 0 {
        func.typed::<i64, i64>(&*store).map_err(text)?.call(&mut *store, argument).map_err(text)?
    } else {
        let mut out = [Val::I64(0)];
        func.call(&mut *store, &[Val::I64(argument)], &mut out).map_err(text)?;
        out[0].i64().ok_or("a result of another type")?
    };
    if seen == expected { Ok(()) } else { Err(format!("{seen} instead of {expected}")) }
}

fn put(
    store: &mut Store<u32>,
    func: Func,
    at: usize,
    object: Option<(ExternRef, u32)>,
    table: &Shared<Vec<Option<u32>>>,
) -> Step {
    let (object, payload) = object.map_or((None, None), |(object, payload)| (Some(object), Some(payload)));
    let ended = func.call(&mut *store, &[Val::I32(at as i32), Val::ExternRef(object)], &mut []);
    match table.borrow_mut().get_mut(at) {
        Some(place) => {
            *place = payload;
            ensure(ended.is_ok(), "a guest sets an element of its table")
        }
        None => ensure(is_trap(&ended, TrapCode::TableOutOfBounds), "a guest sets an element beyond its table"),
    }
}

/// What is behind an element of a table of external references; `None` where it is something else.
pub(super) fn element(store: &Store<u32>, value: Option<Val>) -> Option<Option<u32>> {
    match value? {
        Val::ExternRef(None) | Val::Null(_) => Some(None),
        Val::ExternRef(Some(object)) => Some(Some(payload_of(store, &object)?)),
        _ => None,
    }
}
