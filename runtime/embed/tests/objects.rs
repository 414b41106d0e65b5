//! Garbage-collected objects through the API: values, roots, limits, and what must not leak or be accepted.
//!
//! Invariant: every guest runs under `gc-stress` too, where each allocation collects, poisons what it left, and verifies
//! the heap.
//!
//! Does not know: single instructions; the official suite has those.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wattest::{
    AnyRef, ArrayRef, ArrayType, Caller, Config, Engine, Error, ExternRef, FieldType, Func, HeapType, I31, Instance,
    Linker, Module, RefType, StorageType, Store, StoreLimits, StoreLimitsBuilder, StructRef, StructType, TrapCode, Val,
    ValType,
};

/// An ordinary engine, and one that collects whenever it can.
fn engines() -> [Engine; 2] {
    [false, true].map(|stress| Engine::new(Config::new().gc_stress(stress)).expect("the configuration is possible"))
}

fn check(text: &str, name: &str, argument: i32, expected: i32) {
    for engine in engines() {
        let module = Module::new(&engine, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        let func = instance.get_typed_func::<i32, i32>(&store, name).expect("it is exported");
        for _ in 0..2 {
            assert_eq!(func.call(&mut store, argument).ok(), Some(expected), "{name}");
        }
    }
}

fn i32_field() -> FieldType {
    FieldType { storage: StorageType::Val(ValType::I32), mutable: true }
}

#[test]
fn a_list_survives_collections() {
    // Builds a list of `n` numbers beside garbage, keeping parts in locals, globals and a table, and sums it.
    let text = r#"(module
        (type $node (struct (field $value i32) (field $next (ref null $node))))
        (global $kept (mut (ref null $node)) (ref.null $node))
        (table $t 1 (ref null $node))
        (func $garbage (result (ref $node)) (struct.new $node (i32.const -1) (ref.null $node)))
        (func (export "sum") (param $n i32) (result i32) (local $list (ref null $node)) (local $sum i32)
            (loop $more
                (local.set $list (struct.new $node (local.get $n) (local.get $list)))
                (global.set $kept (local.get $list))
                (table.set $t (i32.const 0) (local.get $list))
                (drop (call $garbage))
                (local.set $list (select (result (ref null $node)) (global.get $kept) (table.get $t (i32.const 0))
                    (i32.and (local.get $n) (i32.const 1))))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (loop $next
                (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (local.get $list))))
                (br_if $next (i32.eqz (ref.is_null (local.tee $list (struct.get $node $next (local.get $list)))))))
            (local.get $sum)))"#;
    check(text, "sum", 100, 5050);
}

#[test]
fn deep_subtyping_is_constant_time_and_right() {
    let mut types = String::from("(type $t0 (sub (struct)))");
    for depth in 1..=30 {
        types += &format!("(type $t{depth} (sub $t{} (struct)))", depth - 1);
    }
    let text = format!(
        r#"(module {types}
        (func (export "count") (param i32) (result i32) (local $o anyref)
            (local.set $o (if (result anyref) (local.get 0) (then (struct.new $t30)) (else (struct.new $t9))))
            {}))"#,
        (0..=30).fold("(i32.const 0)".to_owned(), |sum, depth| {
            format!("(i32.add {sum} (ref.test (ref $t{depth}) (local.get $o)))")
        })
    );
    check(&text, "count", 1, 31);
    check(&text, "count", 0, 10);
}

#[test]
fn references_cross_host_calls() {
    for engine in engines() {
        let text = r#"(module (type $box (struct (field (mut i32))))
            (import "" "host" (func $host (param anyref) (result anyref)))
            (func (export "f") (param i32) (result i32) (local $mine (ref $box))
                (local.set $mine (struct.new $box (local.get 0)))
                (i32.add
                    (struct.get $box 0 (ref.cast (ref $box) (call $host (local.get $mine))))
                    (struct.get $box 0 (local.get $mine)))))"#;
        let module = Module::new(&engine, text).expect("the module is valid");
        let mut linker = Linker::new(&engine);
        let ty = StructType::new(&engine, [i32_field()]).expect("there is room");
        let host = move |mut caller: Caller<'_, ()>, given: Option<AnyRef>| -> Result<Option<AnyRef>, Error> {
            let made = StructRef::new(&mut caller, &ty, &[Val::I32(1000)])?;
            let given = given.and_then(|given| given.as_struct(&caller).ok().flatten()).expect("a struct");
            assert_eq!(given.ty(&caller)?, ty);
            let Val::I32(value) = given.get(&caller, 0)? else { panic!("an i32") };
            given.set(&mut caller, 0, &Val::I32(value + 1))?;
            Ok(Some(made.to_any()))
        };
        linker.func_wrap("", "host", host).expect("the name is free");
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &module).expect("the types match");
        let f = instance.get_typed_func::<i32, i32>(&store, "f").expect("it is exported");
        assert_eq!(f.call(&mut store, 5).ok(), Some(1006));
    }
}

#[test]
fn host_values_are_dropped_when_nothing_refers_to_them() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for engine in engines() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let text = r#"(module (global (export "g") (mut externref) (ref.null extern)))"#;
        let module = Module::new(&engine, text).expect("the module is valid");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        let global = instance.get_global(&store, "g").expect("it is exported");
        let held = ExternRef::new(&mut store, Counted(dropped.clone())).expect("there is room");
        let stored = ExternRef::new(&mut store, Counted(dropped.clone())).expect("there is room");
        global.set(&mut store, stored.into()).expect("it fits");
        store.collect_garbage();
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        drop(held);
        store.collect_garbage();
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        global.set(&mut store, Val::ExternRef(None)).expect("it fits");
        // References that are dropped at once do not pile up.
        for _ in 0..20_000 {
            ExternRef::new(&mut store, Counted(dropped.clone())).expect("there is room");
        }
        assert!(dropped.load(Ordering::Relaxed) > 10_000);
        drop(store);
        assert_eq!(dropped.load(Ordering::Relaxed), 20_002);
    }
}

#[test]
fn a_full_heap_traps_and_the_store_stays_usable() {
    let engine = Engine::default();
    let text = r#"(module (type $bytes (array (mut i8))) (type $list (struct (field anyref) (field (ref null $list))))
        (global $all (mut (ref null $list)) (ref.null $list))
        (func (export "hoard") (loop $more
            (global.set $all (struct.new $list (array.new_default $bytes (i32.const 10000)) (global.get $all)))
            (br $more)))
        (func (export "forget") (global.set $all (ref.null $list)))
        (func (export "churn") (param $n i32) (result i32)
            (loop $more
                (drop (array.new_default $bytes (i32.const 10000)))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (i32.const 1))
        (func (export "huge") (result i32) (array.len (array.new_default $bytes (i32.const -1)))))"#;
    let module = Module::new(&engine, text).expect("the module is valid");
    let mut store = Store::new(&engine, StoreLimitsBuilder::new().heap_bytes(2 << 20).build());
    store.limiter(|limits: &mut StoreLimits| limits);
    let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
    let unit = |name| instance.get_typed_func::<(), ()>(&store, name).expect("it is exported");
    let (hoard, forget) = (unit("hoard"), unit("forget"));
    let churn = instance.get_typed_func::<i32, i32>(&store, "churn").expect("it is exported");
    let huge = instance.get_typed_func::<(), i32>(&store, "huge").expect("it is exported");
    let full = |error: Error| matches!(error, Error::Trap(trap) if trap.code() == TrapCode::AllocationTooLarge);
    for _ in 0..3 {
        assert!(full(hoard.call(&mut store, ()).expect_err("the heap is full")));
        assert!(full(huge.call(&mut store, ()).expect_err("no heap is that large")));
        forget.call(&mut store, ()).expect("nothing traps");
        assert_eq!(churn.call(&mut store, 1000).ok(), Some(1));
    }
}

#[test]
fn values_of_the_api_are_checked() {
    let engine = Engine::default();
    let (mut store, mut other) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let refers = |error: &Error, text: &str| assert!(error.to_string().contains(text), "{error}");
    let ty = StructType::new(&engine, [i32_field()]).expect("there is room");
    let object = StructRef::new(&mut store, &ty, &[Val::I32(1)]).expect("there is room");
    refers(&object.get(&other, 0).expect_err("another store's"), "one store");
    refers(&object.get(&store, 1).expect_err("no such field"), "no field 1");
    refers(&object.set(&mut store, 0, &Val::I64(1)).expect_err("another type"), "i32");
    refers(&StructRef::new(&mut store, &ty, &[]).expect_err("too few"), "0 values");
    let elsewhere = StructType::new(&Engine::default(), [i32_field()]).expect("there is room");
    refers(&StructRef::new(&mut store, &elsewhere, &[Val::I32(1)]).expect_err("another engine's"), "one engine");
    let any = RefType { nullable: false, heap: HeapType::Any, is_func: false };
    let anys = FieldType { storage: StorageType::Val(ValType::Ref(any)), mutable: false };
    let list = ArrayType::new(&engine, anys).expect("there is room");
    let values = [object.to_any().into(), AnyRef::from_i31(&store, I31::wrapping(-5)).into()];
    let array = ArrayRef::of_values(&mut store, &list, &values).expect("they fit");
    store.collect_garbage();
    assert_eq!(array.len(&store).ok(), Some(2));
    assert_eq!(array.get(&store, 0).ok(), Some(object.to_any().into()));
    let Ok(Val::AnyRef(five)) = array.get(&store, 1) else { panic!("a reference") };
    assert_eq!(five.as_i31(&store).ok().flatten().map(I31::signed), Some(-5));
    assert!(array.get(&store, 2).is_err());
    assert!(array.set(&mut store, 0, &values[1]).is_err(), "elements are immutable");
    refers(&ArrayRef::of_values(&mut other, &list, &values).expect_err("another store's"), "one store");
    assert!(ArrayRef::of_values(&mut store, &list, &[Val::Null(HeapType::Any)]).is_err(), "null does not fit");
    let typed = Func::wrap(&mut store, |value: Option<AnyRef>| value);
    let typed = typed.typed::<Option<AnyRef>, Option<AnyRef>>(&store).expect("its own type");
    assert!(typed.call(&mut other, Some(object.to_any())).is_err());
    assert_eq!(typed.call(&mut store, Some(object.to_any())).ok(), Some(Some(object.to_any())));
}

#[test]
fn type_bombs_are_bounded() {
    let engine = Engine::default();
    // Each type refers to the one before twice: unrolled, two to the thousandth types.
    let mut text = String::from("(module (type $t0 (struct))");
    for at in 1..1000 {
        text += &format!("(type $t{at} (struct (field (ref null $t{0})) (field (ref null $t{0}))))", at - 1);
    }
    text += ")";
    for _ in 0..2 {
        Module::new(&engine, &text).expect("small types are allowed");
    }
    let group =
        (0..5000).map(|at| format!("(type (struct (field (ref null {}))))", (at + 1) % 5000)).collect::<String>();
    for _ in 0..2 {
        Module::new(&engine, format!("(module (rec {group}))")).expect("groups are allowed");
    }
    let mut text = String::from("(module (type $t0 (sub (struct)))");
    for at in 1..100 {
        text += &format!("(type $t{at} (sub $t{} (struct)))", at - 1);
    }
    assert!(Module::new(&engine, text + ")").is_err(), "subtyping beyond 63 levels is refused");
    // Many references live across many calls: maps in proportion to the product.
    let locals = "(local externref)".repeat(3000);
    let sets = (0..3000).map(|at| format!("(local.set {at} (call $f))")).collect::<String>();
    let gets = (0..3000).map(|at| format!("(drop (local.get {at}))")).collect::<String>();
    let calls = "(drop (call $f))".repeat(3000);
    let text = format!("(module (func $f (result externref) (ref.null extern)) (func {locals} {sets} {calls} {gets}))");
    let error = Module::new(&engine, text).expect_err("the maps would be too large");
    assert!(error.to_string().contains("too large"), "{error}");
}
