//! Whose task runs what: destructors, calls that may block, functions that a component only passes on.
//!
//! Invariant: every test builds its component from text.
//!
//! Does not know: what values look like in memory; see `components.rs`.

use wattest::component::{Component, Instance, Linker, Resource, ResourceAny, ResourceType, Val};
use wattest::{Engine, Result, Store, StoreContextMut, TrapCode};

fn component(engine: &Engine, text: &str) -> Component {
    Component::new(engine, text).unwrap_or_else(|error| panic!("{error}"))
}

fn instance(text: &str) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let component = component(&engine, text);
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

fn check_trap<T: std::fmt::Debug>(result: Result<T>, expected: TrapCode) {
    let code = result.as_ref().err().and_then(|error| error.trap()).map(wattest::Trap::code);
    assert_eq!(code, Some(expected), "{result:?}");
}

/// Whose context slot a destructor writes, and what the slot of the task around it holds afterwards.
const SIBLINGS: &str = r#"(component
    (component $Owner
        (core module $State
            (global (export "seen") (mut i32) (i32.const 0)))
        (core instance $state (instantiate $State))
        (canon context.get i32 0 (core func $get))
        (canon context.set i32 0 (core func $set))
        (core module $Dtor
            (import "" "get" (func $get (result i32)))
            (import "" "set" (func $set (param i32)))
            (import "state" "seen" (global $seen (mut i32)))
            (func (export "dtor") (param i32)
                (call $set (i32.add (call $get) (local.get 0)))
                (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 100)) (call $get)))))
        (core instance $dtor (instantiate $Dtor (with "state" (instance $state))
            (with "" (instance (export "get" (func $get)) (export "set" (func $set))))))
        (type $R (resource (rep i32) (dtor (core func $dtor "dtor"))))
        (export $R' "r" (type $R))
        (canon resource.new $R (core func $new))
        (canon resource.drop $R (core func $drop))
        (core module $M
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "get" (func $get (result i32)))
            (import "" "set" (func $set (param i32)))
            (import "state" "seen" (global $seen (mut i32)))
            (func (export "make") (result i32) (call $new (i32.const 7)))
            (func (export "seen") (result i32) (global.get $seen))
            ;; The destructor runs in the task that is current here, twice.
            (func (export "own") (result i32)
                (call $set (i32.const 5))
                (call $drop (call $new (i32.const 2)))
                (call $drop (call $new (i32.const 3)))
                (call $get)))
        (core instance $m (instantiate $M (with "state" (instance $state)) (with "" (instance
            (export "new" (func $new)) (export "drop" (func $drop))
            (export "get" (func $get)) (export "set" (func $set))))))
        (func (export "make") (result (own $R')) (canon lift (core func $m "make")))
        (func (export "seen") (result u32) (canon lift (core func $m "seen")))
        (func (export "own") (result u32) (canon lift (core func $m "own"))))
    (component $User
        (import "owner" (instance $owner
            (export "r" (type $R (sub resource)))
            (export "make" (func (result (own $R))))))
        (alias export $owner "r" (type $R))
        (canon lower (func $owner "make") (core func $make))
        (canon resource.drop $R (core func $drop))
        (canon context.get i32 0 (core func $get))
        (canon context.set i32 0 (core func $set))
        (core module $M
            (import "" "make" (func $make (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "get" (func $get (result i32)))
            (import "" "set" (func $set (param i32)))
            (func (export "run") (result i32)
                (call $set (i32.const 40))
                (call $drop (call $make))
                (call $drop (call $make))
                (call $get)))
        (core instance $m (instantiate $M (with "" (instance
            (export "make" (func $make)) (export "drop" (func $drop))
            (export "get" (func $get)) (export "set" (func $set))))))
        (func (export "run") (result u32) (canon lift (core func $m "run"))))
    (instance $owner (instantiate $Owner))
    (instance $user (instantiate $User (with "owner" (instance $owner))))
    (func (export "run") (alias export $user "run"))
    (func (export "own") (alias export $owner "own"))
    (func (export "seen") (alias export $owner "seen")))"#;

#[test]
fn a_destructor_called_from_another_instance_has_a_task_of_its_own() {
    let (mut store, instance) = instance(SIBLINGS);
    let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run").unwrap();
    let seen = instance.get_typed_func::<(), (u32,)>(&mut store, "seen").unwrap();
    // The caller's slot is its own; each destructor begins with an empty one.
    assert_eq!(run.call(&mut store, ()).unwrap().0, 40);
    assert_eq!(seen.call(&mut store, ()).unwrap().0, 707);
}

#[test]
fn a_destructor_called_from_its_own_instance_runs_in_the_callers_task() {
    let (mut store, instance) = instance(SIBLINGS);
    let own = instance.get_typed_func::<(), (u32,)>(&mut store, "own").unwrap();
    let seen = instance.get_typed_func::<(), (u32,)>(&mut store, "seen").unwrap();
    assert_eq!(own.call(&mut store, ()).unwrap().0, 10);
    assert_eq!(seen.call(&mut store, ()).unwrap().0, 710);
}

/// A component whose resource a component inside it drops.
fn nested(dtor: &str) -> String {
    r#"(component
        (core module $D
            (global $count (mut i32) (i32.const 0))
            (func (export "dtor") (param i32) (global.set $count (i32.add (global.get $count) (i32.const 1))))
            (func (export "count") (result i32) (global.get $count)))
        (core instance $d (instantiate $D))
        (type $R (resource (rep i32) $DTOR))
        (export $R' "r" (type $R))
        (canon resource.new $R (core func $new))
        (core module $M (import "" "new" (func $new (param i32) (result i32)))
            (func (export "make") (result i32) (call $new (i32.const 7))))
        (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
        (func (export "make") (result (own $R')) (canon lift (core func $m "make")))
        (func (export "count") (result u32) (canon lift (core func $d "count")))
        (component $Child
            (import "r" (type $R (sub resource)))
            (canon resource.drop $R (core func $drop))
            (core module $M (import "" "drop" (func $drop (param i32)))
                (func (export "take") (param i32) (call $drop (local.get 0)))
                (func (export "keep") (param i32)))
            (core instance $m (instantiate $M (with "" (instance (export "drop" (func $drop))))))
            (func (export "take") (param "r" (own $R)) (canon lift (core func $m "take")))
            (func (export "keep") (param "r" (own $R)) (canon lift (core func $m "keep"))))
        (instance $child (instantiate $Child (with "r" (type $R'))))
        (func (export "take") (alias export $child "take"))
        (func (export "keep") (alias export $child "keep")))"#
        .replace("$DTOR", dtor)
}

#[test]
fn a_resource_of_an_outer_instance_cannot_be_destroyed_inside() {
    for dtor in ["(dtor (core func $d \"dtor\"))", ""] {
        let (mut store, instance) = instance(&nested(dtor));
        let make = instance.get_typed_func::<(), (ResourceAny,)>(&mut store, "make").unwrap();
        let (keep, take) =
            (instance.get_func(&mut store, "keep").unwrap(), instance.get_func(&mut store, "take").unwrap());
        let resource = make.call(&mut store, ()).unwrap().0;
        keep.call(&mut store, &[Val::Resource(resource)], &mut []).unwrap();
        let resource = make.call(&mut store, ()).unwrap().0;
        check_trap(take.call(&mut store, &[Val::Resource(resource)], &mut []), TrapCode::CannotEnterComponent);
        check_trap(make.call(&mut store, ()), TrapCode::CannotEnterComponent);
    }
}

#[test]
fn the_host_destroys_what_an_outer_instance_made() {
    let (mut store, instance) = instance(&nested("(dtor (core func $d \"dtor\"))"));
    let make = instance.get_typed_func::<(), (ResourceAny,)>(&mut store, "make").unwrap();
    let count = instance.get_typed_func::<(), (u32,)>(&mut store, "count").unwrap();
    let resource = make.call(&mut store, ()).unwrap().0;
    resource.drop(&mut store).unwrap();
    assert_eq!(count.call(&mut store, ()).unwrap().0, 1);
}

#[test]
fn resources_represented_by_64_bits_are_refused() {
    let engine = Engine::default();
    let error = Component::new(&engine, "(component (type (resource (rep i64))))").unwrap_err();
    assert!(
        matches!(error, wattest::CompileError::Component(wattest_component::ComponentError::Unsupported(_))),
        "{error:?}"
    );
}

/// A function of the host with an `async` type, called without `async`.
const BLOCKING: &str = r#"(component
    (import "wait" (func $wait async (param "n" u32) (result u32)))
    (canon lower (func $wait) (core func $lowered))
    (core module $M (import "" "wait" (func $wait (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (call $wait (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance (export "wait" (func $lowered))))))
    (func (export "sync") (param "n" u32) (result u32) (canon lift (core func $m "run")))
    (func (export "async") async (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;

#[test]
fn only_a_task_that_may_block_calls_an_async_function_of_the_host() {
    let engine = Engine::default();
    let component = component(&engine, BLOCKING);
    let mut linker = Linker::new(&engine);
    linker
        .root()
        .func_wrap("wait", |mut store: StoreContextMut<'_, u32>, (n,): (u32,)| {
            *store.data_mut() += 1;
            Ok((n + 1,))
        })
        .unwrap();
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let call = |store: &mut Store<u32>, name: &str| {
        let mut results = [Val::Bool(false)];
        let func = instance.get_func(&mut *store, name).unwrap();
        func.call(store, &[Val::U32(4)], &mut results).map(|()| results[0].clone())
    };
    assert_eq!(call(&mut store, "async").unwrap(), Val::U32(5));
    check_trap(call(&mut store, "sync"), TrapCode::CannotBlock);
    assert_eq!(*store.data(), 1);
}

struct File;

/// Functions of the host that are exported as they are.
const PASSED_ON: &str = r#"(component
    (import "file" (type $file (sub resource)))
    (import "join" (func $join (param "a" string) (param "b" (list (option u16))) (result (tuple string u64))))
    (import "open" (func $open (param "n" u32) (result (own $file))))
    (import "read" (func $read (param "f" (borrow $file)) (result u32)))
    (import "nothing" (func $nothing))
    (export "join" (func $join))
    (export "open" (func $open))
    (export "read" (func $read))
    (export "nothing" (func $nothing)))"#;

#[test]
fn a_typed_function_of_the_host_comes_back_as_an_export() {
    let engine = Engine::default();
    let component = component(&engine, PASSED_ON);
    let mut linker = Linker::<u32>::new(&engine);
    let mut root = linker.root();
    root.resource("file", ResourceType::host::<File>(), |_, _| Ok(())).unwrap();
    root.func_wrap("join", |_, (a, b): (String, Vec<Option<u16>>)| {
        Ok(((a + "!", b.into_iter().flatten().map(u64::from).sum::<u64>()),))
    })
    .unwrap();
    root.func_wrap("open", |_, (n,): (u32,)| Ok((Resource::<File>::new_own(n),))).unwrap();
    root.func_wrap("read", |_, (file,): (Resource<File>,)| Ok((file.rep() * 2,))).unwrap();
    root.func_wrap("nothing", |mut store: StoreContextMut<'_, u32>, ()| {
        *store.data_mut() += 1;
        Ok(())
    })
    .unwrap();
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let call = |store: &mut Store<u32>, name: &str, params: &[Val], results: &mut [Val]| {
        instance.get_func(&mut *store, name).unwrap().call(store, params, results)
    };
    let mut results = [Val::Bool(false)];
    let some = |n| Val::Option(Some(Box::new(Val::U16(n))));
    let list = Val::List(vec![some(40), Val::Option(None), some(2)]);
    call(&mut store, "join", &[Val::String("grüße".to_owned()), list], &mut results).unwrap();
    assert_eq!(results[0], Val::Tuple(vec![Val::String("grüße!".to_owned()), Val::U64(42)]));
    call(&mut store, "open", &[Val::U32(21)], &mut results).unwrap();
    let file = results.clone();
    for _ in 0..2 {
        call(&mut store, "read", &file, &mut results).unwrap();
        assert_eq!(results[0], Val::U32(42));
    }
    call(&mut store, "nothing", &[], &mut []).unwrap();
    assert_eq!(*store.data(), 1);
    assert!(call(&mut store, "join", &[Val::U32(1), Val::U32(2)], &mut results).is_err());
}
