//! Handles, modules and linkers used with a store or engine that is not their own.
//!
//! Promises: every such use is the documented error or `None`, and leaves both stores as they were.
//!
//! Invariant: the two stores hold the same things, so that a handle of one would fit into the other.
//!
//! Does not know: what the handles are good for in their own store.

use std::fmt::Debug;
use wattest::{
    AsContext, Caller, Config, Engine, Error, Extern, ExternRef, Func, FuncType, Global, GlobalType, HeapType,
    Instance, InstantiateError, Linker, Memory, MemoryType, Module, RefType, SharedMemory, Store, Table, TableType,
    Val, ValType,
};

const FUNCREF: ValType = ValType::Ref(RefType::FUNC);
const EXTERNREF: ValType = ValType::Ref(RefType::EXTERN);

/// A store and one of everything in it.
struct World {
    store: Store<()>,
    instance: Instance,
    func: Func,
    global: Global,
    memory: Memory,
    table: Table,
    value: ExternRef,
}

const TEXT: &str = r#"(module
    (func (export "id") (param funcref externref) (result funcref externref) (local.get 0) (local.get 1))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (global (export "g") (mut funcref) (ref.null func)) (global (export "e") (mut externref) (ref.null extern))
    (memory (export "m") 1) (table (export "t") 3 funcref) (table (export "u") 3 externref))"#;

fn world(engine: &Engine) -> World {
    let mut store = Store::new(engine, ());
    let module = Module::new(engine, TEXT).expect("the module is valid");
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let func = instance.get_func(&store, "add").expect("it is exported");
    let global = instance.get_global(&store, "g").expect("it is exported");
    let memory = instance.get_memory(&store, "m").expect("it is exported");
    let table = instance.get_table(&store, "t").expect("it is exported");
    let value = ExternRef::new(&mut store, 1).expect("there is room");
    World { store, instance, func, global, memory, table, value }
}

fn worlds() -> [World; 2] {
    let engine = Engine::default();
    [world(&engine), world(&engine)]
}

#[track_caller]
fn check<T: Debug>(result: Result<T, impl Into<Error>>, expected: &str) {
    match result.map_err(Into::into) {
        Err(Error::Usage(error)) => assert!(error.to_string().contains(expected), "{error}"),
        other => panic!("{other:?}, but expected a usage error about {expected}"),
    }
}

const OTHER: &str = "of one store was used with another store";

#[test]
fn handles_of_another_store() {
    let [mut a, b] = worlds();
    let mut results = [Val::I32(0)];
    check(b.func.call(&mut a.store, &[Val::I32(1), Val::I32(2)], &mut results), OTHER);
    check(b.func.typed::<(i32, i32), i32>(&a.store), OTHER);
    let typed = b.func.typed::<(i32, i32), i32>(&b.store).expect("it has this type");
    check(typed.call(&mut a.store, (1, 2)), OTHER);
    check(b.global.get(&a.store), OTHER);
    check(b.global.set(&mut a.store, Val::FuncRef(None)), OTHER);
    check(b.table.ty(&a.store), OTHER);
    check(b.table.set(&mut a.store, 0, Val::FuncRef(None)), OTHER);
    check(b.table.grow(&mut a.store, 1, Val::FuncRef(None)), OTHER);
    assert_eq!((b.table.get(&a.store, 0), b.table.size(&a.store)), (None, 0));
    check(b.memory.ty(&a.store), OTHER);
    check(b.memory.grow(&mut a.store, 1), OTHER);
    assert!(b.memory.data(&a.store).is_empty() && b.memory.data_mut(&mut a.store).is_empty());
    assert!(b.memory.read(&a.store, 0, &mut [0]).is_err() && b.memory.write(&mut a.store, 0, &[0]).is_err());
    assert_eq!((b.memory.size(&a.store), b.memory.data_size(&a.store)), (0, 0));
    assert!(b.memory.data_and_store_mut(&mut a.store).0.is_empty());
    assert!(b.value.data(&a.store).is_none());
    assert!(b.instance.get_export(&a.store, "add").is_none() && b.instance.exports(&a.store).is_empty());
    assert!(b.instance.get_func(&a.store, "add").is_none() && b.instance.inspect_globals(&a.store).is_empty());
    check(b.instance.get_typed_func::<(), ()>(&a.store, "add"), "no function exported");
    for given in [Extern::from(b.func), b.global.into(), b.memory.into(), b.table.into()] {
        let imports = [("func (param i32 i32) (result i32)"), "global (mut funcref)", "memory 1", "table 3 funcref"];
        for import in imports {
            let module = Module::new(a.store.engine(), format!(r#"(module (import "a" "b" ({import})))"#));
            let module = module.expect("the module is valid");
            check(Instance::new(&mut a.store, &module, std::slice::from_ref(&given)), OTHER);
            let mut linker = Linker::new(a.store.engine());
            linker.define(&a.store, "a", "b", given.clone()).expect("the name is free");
            check(linker.instantiate(&mut a.store, &module), OTHER);
        }
        assert!(given.ty(&a.store).is_err() || matches!(given, Extern::Global(_)));
    }
    let mut linker = Linker::new(a.store.engine());
    let error = linker.instance(&mut a.store, "b", b.instance).expect_err("the instance is another store's");
    assert!(error.to_string().contains(OTHER), "{error}");
}

#[test]
fn references_to_another_store() {
    let [mut a, mut b] = worlds();
    let (func, value) = (Val::from(b.func), Val::ExternRef(Some(b.value.clone())));
    let id = a.instance.get_func(&a.store, "id").expect("it is exported");
    let mut results = [Val::I32(0), Val::I32(0)];
    check(id.call(&mut a.store, &[func.clone(), Val::ExternRef(None)], &mut results), OTHER);
    check(id.call(&mut a.store, &[Val::FuncRef(None), value.clone()], &mut results), OTHER);
    type Both = (Option<Func>, Option<ExternRef>);
    let typed = id.typed::<Both, Both>(&a.store).expect("it has this type");
    check(typed.call(&mut a.store, (Some(b.func), None)), OTHER);
    check(typed.call(&mut a.store, (None, Some(b.value.clone()))), OTHER);
    let own = typed.call(&mut a.store, (Some(a.func), Some(a.value.clone()))).expect("both are this store's");
    assert_eq!(own, (Some(a.func), Some(a.value.clone())));
    check(a.global.set(&mut a.store, func.clone()), OTHER);
    check(a.table.set(&mut a.store, 0, func.clone()), OTHER);
    check(a.table.grow(&mut a.store, 1, func.clone()), OTHER);
    let e = a.instance.get_global(&a.store, "e").expect("it is exported");
    let u = a.instance.get_table(&a.store, "u").expect("it is exported");
    check(e.set(&mut a.store, value.clone()), OTHER);
    check(u.set(&mut a.store, 0, value.clone()), OTHER);
    check(u.grow(&mut a.store, 1, value.clone()), OTHER);
    check(Global::new(&mut a.store, GlobalType { content: FUNCREF, mutable: true }, func.clone()), OTHER);
    check(Global::new(&mut a.store, GlobalType { content: EXTERNREF, mutable: true }, value.clone()), OTHER);
    let ty = |element| TableType { element, table64: false, minimum: 1, maximum: None };
    check(Table::new(&mut a.store, ty(RefType::FUNC), func.clone()), OTHER);
    check(Table::new(&mut a.store, ty(RefType::EXTERN), value.clone()), OTHER);
    // Host functions that return another store's references.
    let (other_func, other_value) = (b.func, b.value.clone());
    let wrapped = other_value.clone();
    let hosts = [
        Func::wrap(&mut a.store, move || Some(other_func)),
        Func::wrap(&mut a.store, move |_: Caller<'_, ()>| Some(wrapped.clone())),
        Func::new(&mut a.store, FuncType::new([], [FUNCREF]), move |_, _, results| {
            results[0] = Val::FuncRef(Some(other_func));
            Ok(())
        }),
        Func::new(&mut a.store, FuncType::new([], [EXTERNREF]), move |_, _, results| {
            results[0] = Val::ExternRef(Some(other_value.clone()));
            Ok(())
        }),
    ];
    for host in hosts {
        check(host.call(&mut a.store, &[], &mut [Val::I32(0)]), OTHER);
        check(host.call(&mut b.store, &[], &mut [Val::I32(0)]), OTHER);
    }
    assert_eq!(a.table.size(&a.store), 3);
    assert_eq!(a.global.get(&a.store).ok(), Some(Val::FuncRef(None)));
}

#[test]
fn values_of_other_types() {
    let [mut a, _] = worlds();
    let mut results = [Val::I32(0)];
    let mismatch = "the function's type is";
    check(a.func.call(&mut a.store, &[Val::I32(1)], &mut results), mismatch);
    check(a.func.call(&mut a.store, &[Val::I32(1), Val::I64(1)], &mut results), mismatch);
    check(a.func.call(&mut a.store, &[Val::I32(1), Val::Null(HeapType::Extern)], &mut results), mismatch);
    check(a.func.call(&mut a.store, &[Val::I32(1), Val::I32(1)], &mut []), mismatch);
    check(a.func.call(&mut a.store, &[Val::I32(1), Val::I32(1)], &mut [Val::I32(0), Val::I32(0)]), mismatch);
    check(a.func.typed::<(i32, i64), i32>(&a.store), mismatch);
    check(a.func.typed::<(i32, i32), ()>(&a.store), mismatch);
    for wrong in [Val::I32(0), Val::I64(0), Val::V128(0), Val::ExternRef(None), Val::Null(HeapType::Func)] {
        check(a.global.set(&mut a.store, wrong.clone()), "funcref");
        check(a.table.set(&mut a.store, 0, wrong.clone()), "funcref");
        check(a.table.grow(&mut a.store, 0, wrong.clone()), "funcref");
        check(Global::new(&mut a.store, GlobalType { content: FUNCREF, mutable: false }, wrong.clone()), "funcref");
        let given = wrong.clone();
        let host = Func::new(&mut a.store, FuncType::new([], [FUNCREF]), move |_, _, results| {
            results[0] = given.clone();
            Ok(())
        });
        check(host.call(&mut a.store, &[], &mut results), "funcref");
    }
    check(a.table.set(&mut a.store, 3, Val::FuncRef(None)), "index 3 is beyond");
    check(a.table.set(&mut a.store, u64::MAX, Val::FuncRef(None)), "is beyond");
    assert_eq!(a.table.get(&a.store, u64::MAX), None);
    let constant = Global::new(&mut a.store, GlobalType { content: ValType::I32, mutable: false }, Val::I32(1));
    let constant = constant.expect("the value fits");
    check(constant.set(&mut a.store, Val::I32(2)), "immutable");
    assert_eq!(constant.get(&a.store).ok(), Some(Val::I32(1)));
}

#[test]
fn types_that_contradict_themselves() {
    let [mut a, _] = worlds();
    let memory = MemoryType { memory64: false, shared: false, minimum: 2, maximum: Some(1), page_bytes_log2: 16 };
    check(Memory::new(&mut a.store, memory), "contradict");
    check(Memory::new(&mut a.store, MemoryType { minimum: 65_537, maximum: None, ..memory }), "contradict");
    check(Memory::new(&mut a.store, MemoryType { minimum: u64::MAX, maximum: None, ..memory }), "contradict");
    check(Memory::new(&mut a.store, MemoryType { minimum: 0, page_bytes_log2: 63, ..memory }), "page size");
    check(Memory::new(&mut a.store, MemoryType { minimum: 0, page_bytes_log2: 255, ..memory }), "page size");
    check(Memory::new(&mut a.store, MemoryType { minimum: 0, shared: true, ..memory }), "SharedMemory");
    let wide = MemoryType { memory64: true, minimum: 1 << 48, maximum: None, ..memory };
    assert!(matches!(Memory::new(&mut a.store, wide), Err(Error::Limit(_))));
    assert!(Memory::new(&mut a.store, MemoryType { minimum: (1 << 48) + 1, ..wide }).is_err());
    let engine = Engine::default();
    check(SharedMemory::new(&engine, memory), "contradict");
    check(SharedMemory::new(&engine, MemoryType { minimum: 1, ..memory }), "shared");
    check(SharedMemory::new(&engine, MemoryType { minimum: 1, shared: true, maximum: None, ..memory }), "maximum");
    let table = TableType { element: RefType::FUNC, table64: false, minimum: 2, maximum: Some(1) };
    check(Table::new(&mut a.store, table, Val::FuncRef(None)), "maximum");
    for minimum in [10_000_001, u64::from(u32::MAX), u64::MAX] {
        let table = TableType { minimum, maximum: None, table64: true, ..table };
        assert!(matches!(Table::new(&mut a.store, table, Val::FuncRef(None)), Err(Error::Limit(_))), "{minimum}");
    }
}

#[test]
fn objects_of_another_engine() {
    let engines = [Engine::default(), Engine::default()];
    let mut store = Store::new(&engines[0], ());
    let module = Module::new(&engines[1], "(module)").expect("the module is valid");
    let other = "of one engine was used with another engine";
    check(Instance::new(&mut store, &module, &[]), other);
    let mut linker = Linker::new(&engines[1]);
    linker.func_wrap("a", "b", |x: i64, _: f32| x).expect("the name is free");
    check(linker.instantiate(&mut store, &module), other);
    assert!(linker.get(&mut store, "a", "b").is_none());
    let own = Module::new(&engines[0], "(module)").expect("the module is valid");
    check(linker.instantiate(&mut store, &own), other);
    let mut own_linker = Linker::new(&engines[0]);
    own_linker.func_wrap("a", "b", |x: i64, _: f32| x).expect("the name is free");
    check(own_linker.instantiate(&mut store, &module), other);
    let func = own_linker.get(&mut store, "a", "b").and_then(Extern::into_func).expect("it is defined");
    assert_eq!(func.ty(&store).to_string(), "(func (param i64 f32) (result i64))");
}

/// Code that relies on guard pages must not get a shared memory that has none.
#[test]
fn a_shared_memory_of_a_smaller_engine() {
    let mut small = Config::new();
    small.memory_reservation(0).memory_guard(0).explicit_bounds(true);
    let small = Engine::new(&small).expect("the configuration is sound");
    let engine = Engine::default();
    let ty = MemoryType { memory64: false, shared: true, minimum: 1, maximum: Some(2), page_bytes_log2: 16 };
    let text = r#"(module (import "" "m" (memory 1 2 shared))
        (func (export "run") (drop (i32.load (i32.const 0x7fff0000)))))"#;
    let module = Module::new(&engine, text).expect("the module is valid");
    let mut store = Store::new(&engine, ());
    let given = SharedMemory::new(&small, ty).expect("there is room");
    check(Instance::new(&mut store, &module, &[given.into()]), "of one engine was used with another engine");
    // The other way round there is more than is needed.
    let mut store = Store::new(&small, ());
    let module = Module::new(&small, text).expect("the module is valid");
    let given = SharedMemory::new(&engine, ty).expect("there is room");
    let instance = Instance::new(&mut store, &module, &[given.into()]).expect("the memory suits");
    let run = instance.get_typed_func::<(), ()>(&store, "run").expect("it is exported");
    assert!(run.call(&mut store, ()).is_err_and(|error| error.trap().is_some()));
}

#[test]
fn imports_in_the_wrong_number() {
    let [mut a, _] = worlds();
    let engine = a.store.engine().clone();
    let module = Module::new(&engine, r#"(module (import "a" "b" (func)))"#).expect("the module is valid");
    let missing = Instance::new(&mut a.store, &module, &[]).expect_err("an import is missing");
    assert!(matches!(&missing, InstantiateError::Link(error) if error.missing.len() == 1), "{missing}");
    let func = Func::wrap(&mut a.store, || ());
    check(Instance::new(&mut a.store, &module, &[func.into(), func.into()]), "2 imports were given, 1 are needed");
    let wrong: Vec<Extern> = vec![a.func.into(), a.memory.into(), a.table.into(), a.global.into()];
    for given in wrong {
        let error = Instance::new(&mut a.store, &module, &[given]).expect_err("it does not match");
        assert!(matches!(&error, InstantiateError::Link(error) if error.mismatches.len() == 1), "{error}");
        assert!(error.to_string().contains("incompatible import type: needs (func)"), "{error}");
    }
    assert!(a.store.as_context().data() == &());
}
