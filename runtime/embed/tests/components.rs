//! Components through the embedding API: values in and out, resources, poisoning, linking.
//!
//! Invariant: every test builds its component from text.
//!
//! Does not know: the suites; see `wattest-spec-tests`.

use wattest::component::{
    Component, ComponentItem, Instance, Linker, Resource, ResourceAny, ResourceTable, ResourceType, Val,
};
use wattest::{Engine, InstantiateError, Result, Store, StoreContextMut, TrapCode};

/// A memory with a bump allocator.
const LIBC: &str = r#"
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                                (i32.sub (i32.const 0) (local.get 2))))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (memory.copy (local.get $at) (local.get 0) (local.get 1))
        (local.get $at))
"#;

fn component(engine: &Engine, text: &str) -> Component {
    Component::new(engine, text.replace("$LIBC", LIBC)).unwrap_or_else(|error| panic!("{error}"))
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

const ECHO: &str = r#"(component
    (core module $m $LIBC
        (func (export "text") (param i32 i32) (result i32)
            (i32.store (i32.const 16) (local.get 0))
            (i32.store (i32.const 20) (local.get 1))
            (i32.const 16))
        (func (export "option") (param i32 i64) (result i32)
            (i32.store8 (i32.const 16) (local.get 0))
            (i64.store (i32.const 24) (local.get 1))
            (i32.const 16))
        (func (export "fail") (unreachable))
        (func (export "post") (param i32)))
    (core instance $i (instantiate $m))
    (func (export "text") (param "s" string) (result string)
        (canon lift (core func $i "text") (memory $i "memory") (realloc (func $i "realloc"))
            (post-return (func $i "post"))))
    (func (export "bytes") (param "s" (list u8)) (result (list u8))
        (canon lift (core func $i "text") (memory $i "memory") (realloc (func $i "realloc"))))
    (func (export "option") (param "o" (option u64)) (result (option u64))
        (canon lift (core func $i "option") (memory $i "memory")))
    (func (export "fail") (canon lift (core func $i "fail"))))"#;

#[test]
fn values_come_back_as_they_went_in() {
    let (mut store, instance) = instance(ECHO);
    let text = instance.get_typed_func::<(&str,), (String,)>(&mut store, "text").unwrap();
    for sample in ["", "hello", "grüße, 世界 🎈"] {
        assert_eq!(text.call(&mut store, (sample,)).unwrap().0, sample);
    }
    let bytes = instance.get_typed_func::<(Vec<u8>,), (Vec<u8>,)>(&mut store, "bytes").unwrap();
    let sample = (0..=255).collect::<Vec<u8>>();
    assert_eq!(bytes.call(&mut store, (sample.clone(),)).unwrap().0, sample);
    let option = instance.get_typed_func::<(Option<u64>,), (Option<u64>,)>(&mut store, "option").unwrap();
    for sample in [None, Some(u64::MAX)] {
        assert_eq!(option.call(&mut store, (sample,)).unwrap().0, sample);
    }
    let option = instance.get_func(&mut store, "option").unwrap();
    let mut results = [Val::Bool(false)];
    let sample = Val::Option(Some(Box::new(Val::U64(7))));
    option.call(&mut store, std::slice::from_ref(&sample), &mut results).unwrap();
    assert_eq!(results[0], sample);
}

#[test]
fn nothing_runs_after_a_trap() {
    let (mut store, instance) = instance(ECHO);
    let text = instance.get_typed_func::<(&str,), (String,)>(&mut store, "text").unwrap();
    let fail = instance.get_typed_func::<(), ()>(&mut store, "fail").unwrap();
    text.call(&mut store, ("a",)).unwrap();
    check_trap(fail.call(&mut store, ()), TrapCode::Unreachable);
    check_trap(text.call(&mut store, ("a",)), TrapCode::CannotEnterComponent);
}

#[test]
fn wrong_types_are_refused_before_the_guest_is_entered() {
    let (mut store, instance) = instance(ECHO);
    let error = instance.get_typed_func::<(u32,), (String,)>(&mut store, "text").unwrap_err();
    assert!(error.to_string().contains("string"), "{error}");
    assert!(instance.get_typed_func::<(), ()>(&mut store, "text").is_err());
    let text = instance.get_func(&mut store, "text").unwrap();
    assert!(text.call(&mut store, &[Val::U32(1)], &mut [Val::Bool(false)]).is_err());
    text.call(&mut store, &[Val::String("x".to_owned())], &mut [Val::Bool(false)]).unwrap();
}

#[test]
fn host_functions_are_called_with_lifted_values() {
    let engine = Engine::default();
    let component = component(
        &engine,
        r#"(component
            (import "join" (func $join (param "a" string) (param "b" u32) (result string)))
            (core module $libc $LIBC)
            (core instance $libc (instantiate $libc))
            (core func $join (canon lower (func $join) (memory $libc "memory") (realloc (func $libc "realloc"))))
            (core module $m
                (import "" "join" (func $join (param i32 i32 i32 i32)))
                (func (export "run") (param i32 i32) (result i32)
                    (call $join (local.get 0) (local.get 1) (i32.const 42) (i32.const 16))
                    (i32.const 16)))
            (core instance $i (instantiate $m (with "" (instance (export "join" (func $join))))))
            (func (export "run") (param "s" string) (result string)
                (canon lift (core func $i "run") (memory $libc "memory") (realloc (func $libc "realloc")))))"#,
    );
    let mut linker = Linker::new(&engine);
    let missing = linker.instantiate_pre(&component).unwrap_err();
    assert!(matches!(&missing, InstantiateError::Component(error) if error.missing.len() == 1), "{missing}");
    linker
        .root()
        .func_wrap("join", |mut store: StoreContextMut<'_, u32>, (a, b): (String, u32)| {
            *store.data_mut() += 1;
            Ok((format!("{a}{b}"),))
        })
        .unwrap();
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance.get_typed_func::<(&str,), (String,)>(&mut store, "run").unwrap();
    assert_eq!(run.call(&mut store, ("é",)).unwrap().0, "é42");
    assert_eq!(*store.data(), 1);
}

const RESOURCES: &str = r#"(component
    (import "file" (type $file (sub resource)))
    (import "name" (func $name (param "f" (borrow $file)) (result u32)))
    (core func $name (canon lower (func $name)))
    (core func $drop (canon resource.drop $file))
    (core module $m
        (import "" "name" (func $name (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "take") (param $f i32) (result i32)
            (local $n i32)
            (local.set $n (call $name (local.get $f)))
            (call $drop (local.get $f))
            (local.get $n))
        (func (export "look") (param $f i32) (result i32)
            (local $n i32)
            (local.set $n (call $name (local.get $f)))
            (call $drop (local.get $f))
            (local.get $n))
        (func (export "keep") (param $f i32)))
    (core instance $i (instantiate $m (with "" (instance
        (export "name" (func $name)) (export "drop" (func $drop))))))
    (func (export "take") (param "f" (own $file)) (result u32) (canon lift (core func $i "take")))
    (func (export "look") (param "f" (borrow $file)) (result u32) (canon lift (core func $i "look")))
    (func (export "keep") (param "f" (borrow $file)) (canon lift (core func $i "keep"))))"#;

struct File(u32);

#[derive(Default)]
struct Files {
    table: ResourceTable,
    dropped: Vec<u32>,
}

fn files() -> (Store<Files>, Instance) {
    let engine = Engine::default();
    let mut linker = Linker::<Files>::new(&engine);
    let mut root = linker.root();
    root.resource("file", ResourceType::host::<File>(), |mut store, rep| {
        let file = store.data_mut().table.delete(Resource::<File>::new_own(rep))?;
        store.data_mut().dropped.push(file.0);
        Ok(())
    })
    .unwrap();
    root.func_wrap("name", |store: StoreContextMut<'_, Files>, (file,): (Resource<File>,)| {
        Ok((store.data().table.get(&file)?.0,))
    })
    .unwrap();
    let mut store = Store::new(&engine, Files::default());
    let instance = linker.instantiate(&mut store, &component(&engine, RESOURCES)).unwrap();
    (store, instance)
}

#[test]
fn a_host_resource_is_dropped_by_its_last_owner() {
    let (mut store, instance) = files();
    let take = instance.get_typed_func::<(Resource<File>,), (u32,)>(&mut store, "take").unwrap();
    let file = store.data_mut().table.push(File(7)).unwrap();
    assert_eq!(take.call(&mut store, (file,)).unwrap(), (7,));
    assert_eq!(store.data().dropped, [7]);
    assert!(store.data().table.is_empty());
}

#[test]
fn a_borrow_must_be_given_back() {
    let (mut store, instance) = files();
    let look = instance.get_typed_func::<(Resource<File>,), (u32,)>(&mut store, "look").unwrap();
    let keep = instance.get_typed_func::<(Resource<File>,), ()>(&mut store, "keep").unwrap();
    let file = store.data_mut().table.push(File(7)).unwrap();
    assert_eq!(look.call(&mut store, (Resource::new_borrow(file.rep()),)).unwrap(), (7,));
    check_trap(keep.call(&mut store, (Resource::new_borrow(file.rep()),)), TrapCode::BorrowsRemain);
    assert!(store.data().dropped.is_empty());
}

#[test]
fn a_guest_resource_is_used_up_by_giving_it_away() {
    let (mut store, instance) = instance(
        r#"(component
            (core module $d
                (global $dropped (export "dropped") (mut i32) (i32.const 0))
                (func (export "dtor") (param i32) (global.set $dropped (local.get 0))))
            (core instance $d (instantiate $d))
            (type $r (resource (rep i32) (dtor (func $d "dtor"))))
            (core func $new (canon resource.new $r))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (import "d" "dropped" (global $dropped (mut i32)))
                (func (export "make") (result i32) (call $new (i32.const 77)))
                (func (export "rep") (param i32) (result i32) (local.get 0))
                (func (export "dropped") (result i32) (global.get $dropped)))
            (core instance $i (instantiate $m
                (with "" (instance (export "new" (func $new)))) (with "d" (instance $d))))
            (export $e "r" (type $r))
            (func (export "make") (result (own $e)) (canon lift (core func $i "make")))
            (func (export "rep") (param "r" (borrow $e)) (result u32) (canon lift (core func $i "rep")))
            (func (export "dropped") (result u32) (canon lift (core func $i "dropped"))))"#,
    );
    let make = instance.get_typed_func::<(), (ResourceAny,)>(&mut store, "make").unwrap();
    let rep = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "rep").unwrap();
    let dropped = instance.get_typed_func::<(), (u32,)>(&mut store, "dropped").unwrap();
    let (resource,) = make.call(&mut store, ()).unwrap();
    assert_eq!(rep.call(&mut store, (resource,)).unwrap(), (77,));
    assert_eq!(dropped.call(&mut store, ()).unwrap(), (0,));
    resource.drop(&mut store).unwrap();
    assert_eq!(dropped.call(&mut store, ()).unwrap(), (77,));
    assert!(resource.drop(&mut store).is_err());
    let (again,) = make.call(&mut store, ()).unwrap();
    assert!(resource.drop(&mut store).is_err(), "the index is used again, the handle is not");
    again.drop(&mut store).unwrap();
}

#[test]
fn components_call_each_other() {
    let (mut store, instance) = instance(
        r#"(component
            (component $a
                (core module $m $LIBC
                    (func (export "len") (param i32 i32) (result i32) (local.get 1)))
                (core instance $i (instantiate $m))
                (func (export "len") (param "s" string) (result u32)
                    (canon lift (core func $i "len") string-encoding=utf16 (memory $i "memory")
                        (realloc (func $i "realloc")))))
            (component $b
                (import "len" (func $len (param "s" string) (result u32)))
                (core module $libc $LIBC)
                (core instance $libc (instantiate $libc))
                (core func $len (canon lower (func $len) (memory $libc "memory")))
                (core module $m
                    (import "" "len" (func $len (param i32 i32) (result i32)))
                    (func (export "run") (param i32 i32) (result i32)
                        (call $len (local.get 0) (local.get 1))))
                (core instance $i (instantiate $m (with "" (instance (export "len" (func $len))))))
                (func (export "run") (param "s" string) (result u32)
                    (canon lift (core func $i "run") (memory $libc "memory") (realloc (func $libc "realloc")))))
            (instance $a (instantiate $a))
            (instance $b (instantiate $b (with "len" (func $a "len"))))
            (export "b" (instance $b)))"#,
    );
    let run = instance.get_typed_func::<(&str,), (u32,)>(&mut store, ["b", "run"]).unwrap();
    assert_eq!(run.call(&mut store, ("aé🎈",)).unwrap(), (4,));
}

#[test]
fn types_and_values_have_text() {
    let (mut store, instance) = instance(ECHO);
    let exports = instance.component().exports();
    let ComponentItem::Func(ty) = &exports[2].1 else { panic!("{exports:?}") };
    assert_eq!(ty.to_string(), "func(o: option<u64>) -> option<u64>");
    let args = ty.parse_arguments("(some(5))").unwrap();
    let check = |text: &str, expected: &str| {
        let error = ty.parse_arguments(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    assert_eq!(ty.parse_arguments("()").unwrap(), [Val::Option(None)]);
    check("(true)", "argument 1 (`o`): `true` is no option<u64>");
    check("(some(-1))", "argument 1 (`o`): `some(-1)` is no option<u64>: invalid value at `-1`");
    check("(1, 2)", "it takes 1 argument(s), not 2");
    check("(1,,)", "the arguments do not parse");
    assert!(ty.parse_arguments(&format!("({}", "some(".repeat(100_000))).is_err());
    let mut results = [Val::Bool(false)];
    instance.get_func(&mut store, "option").unwrap().call(&mut store, &args, &mut results).unwrap();
    assert_eq!(results[0].to_wave().unwrap(), "some(5)");
}

#[test]
fn an_artifact_is_the_same_component() {
    let engine = Engine::default();
    let first = component(&engine, ECHO);
    let bytes = first.serialize().unwrap();
    assert_eq!(component(&engine, ECHO).serialize().unwrap(), bytes);
    let second = first.reload().unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &second).unwrap();
    let text = instance.get_typed_func::<(&str,), (String,)>(&mut store, "text").unwrap();
    assert_eq!(text.call(&mut store, ("again",)).unwrap().0, "again");
}

#[test]
fn what_is_not_there_and_not_called_is_not_missed() {
    let engine = Engine::default();
    let component = component(
        &engine,
        r#"(component
            (import "there" (func $there (result u32)))
            (import "a:b/c@0.2.0" (instance $c
                (export "thing" (type $thing (sub resource)))
                (export "get" (func (result (own $thing))))
                (export "use" (func (param "t" (borrow $thing)) (param "l" (list string))))))
            (core func $there (canon lower (func $there)))
            (core func $get (canon lower (func $c "get")))
            (core module $m
                (import "" "there" (func $there (result i32)))
                (import "" "get" (func $get (result i32)))
                (func (export "fine") (result i32) (call $there))
                (func (export "ends") (result i32) (call $get)))
            (core instance $i (instantiate $m (with "" (instance (export "there" (func $there)) (export "get" (func $get))))))
            (func (export "fine") (result u32) (canon lift (core func $i "fine")))
            (func (export "ends") (result u32) (canon lift (core func $i "ends"))))"#,
    );
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("there", |_, ()| Ok((7u32,))).unwrap();
    assert!(linker.instantiate_pre(&component).is_err());
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let [fine, ends] = ["fine", "ends"].map(|name| instance.get_typed_func::<(), (u32,)>(&mut store, name).unwrap());
    assert_eq!(fine.call(&mut store, ()).unwrap(), (7,));
    let error = ends.call(&mut store, ()).unwrap_err();
    assert_eq!(error.to_string(), "the component called `a:b/c@0.2.0` `get`, which is not there");
    check_trap(fine.call(&mut store, ()), TrapCode::CannotEnterComponent);
    // A name that stands for something else is told.
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("a:b/c@0.2.0", |_, ()| Ok(())).unwrap();
    assert!(linker.define_unknown_imports_as_traps(&component).is_err());
}

#[test]
fn an_export_is_found_by_a_compatible_version_and_ahead_of_time() {
    const TEXT: &str = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 3)))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $e (export "f" (func $f)))
        (export "a:b/c@0.2.9" (instance $e)))"#;
    let engine = Engine::default();
    let (first, second) = (component(&engine, TEXT), component(&engine, TEXT));
    let linker = Linker::<()>::new(&engine);
    let mut store = Store::new(&engine, ());
    let pre = linker.instantiate_pre(&first).unwrap();
    let index = pre.typed_func_index::<(), (u32,)>(["a:b/c@0.2.3", "f"]).unwrap();
    assert!(pre.typed_func_index::<(), (i32,)>(["a:b/c@0.2.9", "f"]).is_err());
    for (path, found) in [("a:b/c@0.2.9", true), ("a:b/c@0.2.0", true), ("a:b/c@0.3.0", false), ("a:b/c", false)] {
        assert_eq!(first.get_export_index([path, "f"]).is_some(), found, "{path}");
    }
    let instance = pre.instantiate(&mut store).unwrap();
    let func = instance.get_typed_func::<(), (u32,)>(&mut store, &index).unwrap();
    assert_eq!(func.call(&mut store, ()).unwrap(), (3,));
    let other = linker.instantiate(&mut store, &second).unwrap();
    assert!(other.get_func(&mut store, &index).is_none(), "an index is of one component");
}
