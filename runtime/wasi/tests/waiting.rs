//! Guests that wait, many on one thread.
//!
//! Promises: where a context says so, a guest that waits for time or bytes leaves its thread to others, in both editions of
//! the interfaces ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/io/wit/poll.wit)); where it does not, it
//! blocks, and needs no stack of its own.
//!
//! Invariant: everything here runs on one thread, without an async runtime.
//!
//! Does not know: how stacks are switched.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use wattest::component::{self, Component};
use wattest::{Engine, Error, HostFuture, Linker, Module, Store, UsageError};
use wattest_wasi::host::poll::{self, Interest};
use wattest_wasi::host::waiting::{Reactor, Waiting};
use wattest_wasi::{Errno, WasiCtx, WasiCtxBuilder, p2, preview1};

/// Asks the system at every poll, and counts waits.
#[derive(Debug, Default)]
struct Asking {
    waits: AtomicU64,
}

impl Reactor for Asking {
    fn wait<'a>(&'a self, interests: &'a [Interest<'a>], timeout: Option<u64>) -> HostFuture<'a, Result<(), Errno>> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        let start = std::time::Instant::now();
        Box::pin(poll_fn(move |_| {
            let over = timeout.is_some_and(|timeout| start.elapsed().as_nanos() >= u128::from(timeout));
            let ready = !interests.is_empty()
                && poll::wait(interests, Some(0))
                    .is_ok_and(|ready| ready.iter().any(|one| *one != poll::Readiness::Waiting));
            if over || ready { Poll::Ready(Ok(())) } else { Poll::Pending }
        }))
    }
}

/// Sleeps as long as it is told, and returns how many things happened.
const PREVIEW1: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "sleep") (param i64) (result i32)
        (i32.store (i32.const 16) (i32.const 1))       ;; monotonic
        (i64.store (i32.const 24) (local.get 0))
        (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)) (then unreachable))
        (i32.load (i32.const 128))))"#;

/// The same through `wasi:clocks` and `wasi:io`.
const P2: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $own (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $own))))))
    (canon lower (func $poll "[method]pollable.block") (core func $block))
    (canon lower (func $clock "subscribe-duration") (core func $subscribe))
    (canon resource.drop $pollable (core func $drop))
    (core module $M
        (import "" "block" (func $block (param i32)))
        (import "" "subscribe" (func $subscribe (param i64) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "sleep") (param i64) (result i32) (local $handle i32)
            (local.set $handle (call $subscribe (local.get 0)))
            (call $block (local.get $handle))
            (call $drop (local.get $handle))
            (i32.const 1)))
    (core instance $m (instantiate $M (with "" (instance
        (export "block" (func $block)) (export "subscribe" (func $subscribe)) (export "drop" (func $drop))))))
    (func (export "sleep") (param "for" u64) (result u32) (canon lift (core func $m "sleep"))))"#;

/// How a store's guest sleeps.
enum Guest {
    Module(wattest::TypedFunc<u64, u32>),
    Component(component::TypedFunc<(u64,), (u32,)>),
}

fn guest(engine: &Engine, text: &str, waiting: Waiting) -> (Store<WasiCtx>, Guest) {
    let mut store = Store::new(engine, WasiCtxBuilder::new().waiting(waiting).build());
    let guest = if text == P2 {
        let mut linker = component::Linker::new(engine);
        p2::add_to_linker(&mut linker, |ctx| ctx).unwrap();
        let instance = linker.instantiate(&mut store, &Component::new(engine, text).unwrap()).unwrap();
        Guest::Component(instance.get_typed_func(&mut store, "sleep").unwrap())
    } else {
        let mut linker = Linker::new(engine);
        preview1::add_to_linker(&mut linker, |ctx| ctx).unwrap();
        let instance = linker.instantiate(&mut store, &Module::new(engine, text).unwrap()).unwrap();
        Guest::Module(instance.get_typed_func(&mut store, "sleep").unwrap())
    };
    (store, guest)
}

impl Guest {
    fn call(&self, store: &mut Store<WasiCtx>, nanoseconds: u64) -> Result<u32, Error> {
        match self {
            Guest::Module(func) => func.call(store, nanoseconds),
            Guest::Component(func) => func.call(store, (nanoseconds,)).map(|(count,)| count),
        }
    }

    fn call_async<'a>(
        &'a self,
        store: &'a mut Store<WasiCtx>,
        nanoseconds: u64,
    ) -> Pin<Box<dyn Future<Output = Result<u32, Error>> + Send + 'a>> {
        match self {
            Guest::Module(func) => Box::pin(func.call_async(store, nanoseconds)),
            Guest::Component(func) => {
                let call = func.call_async(store, (nanoseconds,));
                Box::pin(async move { call.await.map(|(count,)| count) })
            }
        }
    }
}

#[test]
fn one_thread_serves_many_guests_that_sleep() {
    for text in [PREVIEW1, P2] {
        let engine = Engine::default();
        let reactor = Arc::new(Asking::default());
        let waiting = || Waiting::Suspend(Arc::clone(&reactor) as Arc<dyn Reactor>);
        let mut guests: Vec<_> = (0..20).map(|_| guest(&engine, text, waiting())).collect();
        let sleep = 50_000_000;
        let mut calls: Vec<_> = guests.iter_mut().map(|(store, guest)| guest.call_async(store, sleep)).collect();
        let mut context = Context::from_waker(Waker::noop());
        let start = std::time::Instant::now();
        let pending = calls.iter_mut().filter_map(|call| call.as_mut().poll(&mut context).is_pending().then_some(()));
        let pending = pending.count();
        // On a machine where that took longer than they sleep, some have ended: they did so by the clock.
        if start.elapsed().as_nanos() < u128::from(sleep) {
            assert_eq!((pending, engine.own_stacks().0), (20, 20));
        }
        let mut left = pending;
        let mut ended = vec![false; calls.len()];
        while left > 0 {
            left = 0;
            for (call, ended) in calls.iter_mut().zip(&mut ended) {
                if *ended {
                    continue;
                }
                match call.as_mut().poll(&mut context) {
                    Poll::Ready(result) => {
                        assert_eq!(result.ok(), Some(1));
                        *ended = true;
                    }
                    Poll::Pending => left += 1,
                }
            }
        }
        drop(calls);
        assert_eq!(engine.own_stacks().0, 0);
        assert!(reactor.waits.load(Ordering::Relaxed) <= 40, "{reactor:?}");
    }
}

#[test]
fn a_guest_blocks_where_nothing_else_is_said() {
    for text in [PREVIEW1, P2] {
        let engine = Engine::default();
        let (mut store, guest) = guest(&engine, text, Waiting::Block);
        assert_eq!(guest.call(&mut store, 1000).ok(), Some(1));
        // On a stack of its own as well.
        let mut call = guest.call_async(&mut store, 1000);
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(1))));
        drop(call);
        assert_eq!(engine.own_stacks(), (0, 1));
    }
}

#[test]
fn a_guest_that_would_wait_on_an_ordinary_stack_is_told() {
    for text in [PREVIEW1, P2] {
        let (mut store, guest) = guest(&Engine::default(), text, Waiting::Suspend(Arc::new(Asking::default())));
        assert_eq!(guest.call(&mut store, 0).ok(), Some(1));
        let error = guest.call(&mut store, 1 << 40).unwrap_err();
        assert!(matches!(error, Error::Usage(UsageError::CannotSuspend)), "{error}");
    }
}
