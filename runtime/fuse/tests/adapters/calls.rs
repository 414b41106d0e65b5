//! The order of things in a call, and its options one by one.

use crate::world::{
    Event, HEAP, Id, LIFT, LOWER, Outcome, PAGE, Policy, World, adapter, code, encode, engine, memory, validate,
    with_room,
};
use wattest_canon::{Encoding, Fault, HandleKind, ResourceId, Scalar, Type, TypeId, Types, Width};
use wattest_fuse::{
    Adapter, AdapterId, AdapterModuleBuilder, AdapterTrap, CallScope, Callee, Concurrency, End, FuseError, InstanceId,
    Memory, ModuleOptions,
};

const UTF8: (Encoding, Width) = (Encoding::Utf8, Width::W32);
const U32: TypeId = TypeId::scalar(Scalar::U32);

fn run(types: &Types, adapter: &Adapter<Id>, args: &[u64], prepare: impl FnOnce(&mut World)) -> Outcome {
    let memories = memory(3 * PAGE);
    let encoded = encode(types, adapter);
    let mut world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&memories, &memories]);
    prepare(&mut world);
    world.call(args)
}

fn call(args: &[u64]) -> Event {
    Event::Call { args: args.to_vec(), may_leave: [1, 1] }
}

#[test]
fn a_scalar_call_is_nothing_but_a_call() {
    let types = Types::default();
    let params = [Scalar::U8, Scalar::S8, Scalar::U64, Scalar::F32, Scalar::F64, Scalar::Bool].map(TypeId::scalar);
    let mut adapter = adapter(&params, Some(TypeId::scalar(Scalar::S16)), (UTF8, UTF8));
    adapter.lower.may_leave = None;
    adapter.lift.may_leave = None;
    let encoded = encode(&types, &adapter);
    let sources: Vec<_> = encoded.imports.iter().map(|import| import.source).collect();
    let given = |id| wattest_fuse::Source::Given(id);
    assert!(!sources.iter().any(|source| matches!(source, wattest_fuse::Source::Intrinsic(_))), "{sources:?}");
    assert!(sources.contains(&given(Id::Callee)));
    let outcome = run(&types, &adapter, &[0x1ff, 0x1ff, 7, 3, 9, 2], |world| {
        world.store.data_mut().results = vec![0x1_8001];
    });
    assert_eq!(outcome.events, [Event::Call { args: vec![0xff, 0xffff_ffff, 7, 3, 9, 1], may_leave: [1, 1] }]);
    assert_eq!(outcome.result, Ok(vec![0xffff_8001]));
}

#[test]
fn who_may_not_leave_traps_before_anything_happens() {
    let types = Types::default();
    let adapter = adapter(&[TypeId::STRING], None, (UTF8, UTF8));
    let outcome = run(&types, &adapter, &[0, 1], |world| world.set_may_leave(LOWER, 0));
    assert_eq!(outcome.result, Err(AdapterTrap::CannotLeave.code().unwrap()));
    assert_eq!(outcome.events, []);
}

#[test]
fn the_order_of_a_call() {
    let mut types = Types::default();
    let resource = ResourceId(3);
    let borrow = types.intern(Type::Borrow(resource)).unwrap();
    let own = types.intern(Type::Own(resource)).unwrap();
    let result = types.intern(Type::Tuple([TypeId::STRING, own].into())).unwrap();
    let mut adapter = adapter(&[borrow, TypeId::STRING], Some(result), (UTF8, UTF8));
    adapter.lift.post_return = Some(Callee::Import(Id::PostReturn));
    let encoded = encode(&types, &adapter);
    let (mut caller, mut callee) = (memory(3 * PAGE), memory(3 * PAGE));
    caller[100..103].copy_from_slice(b"abc");
    callee[200..204].copy_from_slice(b"defg");
    callee[40..52].copy_from_slice(&[200, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0]);
    let mut world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&caller, &callee]);
    world.store.data_mut().results = vec![40];
    let outcome = world.call(&[5, 100, 3, 16]);
    assert_eq!(outcome.result, Ok(vec![]));
    let (lower, lift) = (InstanceId(LOWER as u32), InstanceId(LIFT as u32));
    let realloc = |end, bytes, may_leave| Event::Realloc { end, args: [0, 0, 1, bytes], may_leave };
    assert_eq!(
        outcome.events,
        [
            Event::Intrinsic("enter"),
            Event::Transfer { kind: HandleKind::Borrow(resource), from: lower, to: lift, index: 5 },
            realloc(LIFT, 3, [1, 0]),
            call(&[1005, HEAP, 3]),
            Event::Intrinsic("returned"),
            realloc(LOWER, 4, [0, 1]),
            Event::Transfer { kind: HandleKind::Own(resource), from: lift, to: lower, index: 9 },
            Event::PostReturn { args: vec![40], may_leave: [1, 0] },
            Event::Intrinsic("exit"),
        ]
    );
    assert_eq!(outcome.may_leave, [1, 1]);
    assert_eq!(outcome.memories[LOWER][16..28], [0, 0, 1, 0, 4, 0, 0, 0, 0xf1, 3, 0, 0]);
    assert_eq!(outcome.memories[LOWER][HEAP as usize..][..4], *b"defg");
}

#[test]
fn parameters_beyond_sixteen_go_through_memory() {
    let types = Types::default();
    let adapter = adapter(&[U32; 17], None, (UTF8, UTF8));
    let outcome = run(&types, &adapter, &[64], |_| ());
    let realloc = Event::Realloc { end: LIFT, args: [0, 0, 4, 68], may_leave: [1, 0] };
    assert_eq!(outcome.events, [realloc, call(&[HEAP])]);
    for (address, fault) in [(65, Fault::Unaligned), (3 * PAGE - 64, Fault::PointerOutOfBounds)] {
        assert_eq!(run(&types, &adapter, &[address], |_| ()).result, Err(code(fault)));
    }
}

#[test]
fn areas_of_results_are_checked() {
    let types = &mut Types::default();
    let pair = types.intern(Type::Tuple([U32, U32].into())).unwrap();
    let adapter = adapter(&[], Some(pair), (UTF8, UTF8));
    let check = |from: u64, to: u64, expected: Result<Vec<u64>, i32>| {
        let outcome = run(types, &adapter, &[to], |world| world.store.data_mut().results = vec![from]);
        assert_eq!(outcome.result, expected, "from {from:#x} to {to:#x}");
    };
    let end = 3 * PAGE;
    check(0, end - 8, Ok(vec![]));
    check(end - 8, 0, Ok(vec![]));
    check(2, 0, Err(code(Fault::Unaligned)));
    check(0, 2, Err(code(Fault::Unaligned)));
    check(end - 4, 0, Err(code(Fault::PointerOutOfBounds)));
    check(0, end - 4, Err(code(Fault::PointerOutOfBounds)));
    check(0xffff_fffc, 0, Err(code(Fault::PointerOutOfBounds)));
}

/// An asynchronous callee that finishes at once.
fn check_async(lift: Concurrency<Id>, lower: Concurrency<Id>, result: TypeId, out: &[u64], expected: &[u64]) {
    let types = Types::default();
    let mut adapter = adapter(&[U32], Some(result), (UTF8, UTF8));
    adapter.lift.concurrency = lift;
    adapter.lower.concurrency = lower;
    let args: Vec<u64> = [7].iter().chain(out).copied().collect();
    let outcome = run(&types, &adapter, &args, |world| {
        let state = world.store.data_mut();
        state.returns = Some(vec![42]);
        state.results = if matches!(lift, Concurrency::Callback(_)) { vec![0] } else { Vec::new() };
    });
    assert_eq!(outcome.result, Ok(expected.to_vec()));
    assert_eq!(outcome.events, [Event::Intrinsic("enter-async"), call(&[7]), Event::Intrinsic("exit-async")]);
    if let [out] = out {
        assert_eq!(outcome.memories[LOWER][*out as usize..][..4], [42, 0, 0, 0]);
    }
    let outcome = run(&types, &adapter, &args, |world| world.store.data_mut().results = vec![0]);
    assert_eq!(outcome.result, Err(-3), "a callee that has not returned");
}

#[test]
fn asynchronous_callees_that_finish_at_once() {
    let callback = Concurrency::Callback(Id::Callback);
    let float = TypeId::scalar(Scalar::F32);
    for lift in [callback, Concurrency::Async] {
        check_async(lift, Concurrency::Sync, U32, &[], &[42]);
        check_async(lift, Concurrency::Sync, float, &[], &[42]);
        check_async(lift, Concurrency::Async, U32, &[32], &[2]);
    }
}

#[test]
fn a_synchronous_callee_of_an_asynchronous_lower_has_returned() {
    let types = Types::default();
    let mut adapter = adapter(&[U32; 5], Some(U32), (UTF8, UTF8));
    adapter.lower.concurrency = Concurrency::Async;
    // Five parameters are one too many for an asynchronous lower: they lie in memory, and go to core values.
    let outcome = run(&types, &adapter, &[64, 128], |world| world.store.data_mut().results = vec![42]);
    assert_eq!(outcome.result, Ok(vec![2]));
    assert_eq!(outcome.events, [call(&[0xa5a5_a5a5; 5])]);
    assert_eq!(outcome.memories[LOWER][128..132], [42, 0, 0, 0]);
}

#[test]
fn core_values_a_case_does_not_use_are_zero() {
    let mut types = Types::default();
    let none = types.intern(Type::Option(TypeId::scalar(Scalar::U64))).unwrap();
    let mut adapter = adapter(&[none; 3], None, (UTF8, UTF8));
    adapter.lower.concurrency = Concurrency::Async;
    // Six core values are too many for an asynchronous lower. Checking their area uses locals that are used again.
    let outcome = run(&types, &adapter, &[64], |world| {
        let memory = world.store.data().memories[LOWER].unwrap();
        memory.data_mut(&mut world.store)[64..112].fill(0);
    });
    assert_eq!(outcome.events, [call(&[0; 6])]);
}

#[test]
fn adapters_call_adapters_of_the_same_module() {
    let types = Types::default();
    let inner = adapter(&[U32], Some(U32), (UTF8, UTF8));
    let outer = Adapter { callee: Callee::Adapter(AdapterId(0)), ..inner.clone() };
    let mut builder = AdapterModuleBuilder::new(&types, ModuleOptions::default());
    builder.adapter(&inner).unwrap();
    builder.adapter(&outer).unwrap();
    let encoded = builder.finish();
    validate(&encoded.wasm);
    assert_eq!(encoded.exports.len(), 2);
    let memories = memory(PAGE);
    let mut world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&memories, &memories]);
    world.store.data_mut().results = vec![8];
    let outcome = world.call(&[3]);
    assert_eq!((outcome.result, outcome.events), (Ok(vec![8]), vec![call(&[3])]));
    let mut builder = AdapterModuleBuilder::<Id>::new(&types, ModuleOptions::default());
    assert_eq!(builder.adapter(&outer), Err(FuseError::UnknownAdapter(0)));
}

#[test]
fn traps_have_numbers() {
    for number in -1..200 {
        if let Some(trap) = AdapterTrap::from_code(number) {
            assert_eq!(trap.code(), Some(number), "{trap}");
        }
    }
    assert_eq!(AdapterTrap::from_code(0), None);
}

#[test]
fn missing_options_are_errors() {
    let types = Types::default();
    let check = |spoil: fn(&mut Adapter<Id>), expected: FuseError| {
        let mut adapter = adapter(&[TypeId::STRING], Some(TypeId::STRING), (UTF8, UTF8));
        spoil(&mut adapter);
        let mut builder = AdapterModuleBuilder::new(&types, ModuleOptions::default());
        assert_eq!(builder.adapter(&adapter), Err(expected));
    };
    check(|adapter| adapter.lift.memory = None, FuseError::MemoryMissing(End::Lift));
    check(|adapter| adapter.lower.memory = None, FuseError::MemoryMissing(End::Lower));
    check(|adapter| adapter.lift.realloc = None, FuseError::ReallocMissing(End::Lift));
    check(|adapter| adapter.lower.realloc = None, FuseError::ReallocMissing(End::Lower));
    let misplaced = FuseError::OptionMisplaced;
    check(|adapter| adapter.lower.post_return = Some(Callee::Import(Id::PostReturn)), misplaced(End::Lower));
    check(|adapter| adapter.lower.concurrency = Concurrency::Callback(Id::Callback), misplaced(End::Lower));
}

#[test]
fn equal_adapters_give_equal_bytes_whatever_the_identifiers() {
    let mut types = Types::default();
    let list = types.intern(Type::List(TypeId::STRING)).unwrap();
    let named = |base: u32| {
        let side = |at: u32, encoding| wattest_fuse::Side {
            instance: InstanceId(at),
            may_leave: Some(at),
            encoding,
            memory: Some(Memory { id: at + 1, width: Width::W32, page_bits: 16 }),
            realloc: Some(Callee::Import(at + 2)),
            post_return: None,
            concurrency: Concurrency::Sync,
        };
        let adapter = Adapter {
            params: [list].into(),
            result: Some(TypeId::STRING),
            is_async: false,
            lift: side(base, Encoding::Utf16),
            lower: side(base + 10, Encoding::Compact),
            callee: Callee::Import(base + 20),
            scope: CallScope::Always,
        };
        let mut builder = AdapterModuleBuilder::new(&types, ModuleOptions { exceptions: true });
        builder.adapter(&adapter).unwrap();
        let encoded = builder.finish();
        validate(&encoded.wasm);
        encoded
    };
    let (first, second) = (named(0), named(100));
    assert_eq!(first.wasm, second.wasm);
    assert_ne!(first.imports, second.imports);
    assert!(first.imports.iter().enumerate().all(|(at, import)| import.name == at.to_string()));
}

#[test]
fn pages_may_be_bytes() {
    with_room(|| {
        let mut types = Types::default();
        let bytes = types.intern(Type::List(TypeId::scalar(Scalar::U8))).unwrap();
        let mut adapter = adapter(&[bytes], None, (UTF8, UTF8));
        adapter.lower.memory = Some(Memory { id: Id::Memory(LOWER), width: Width::W32, page_bits: 0 });
        let encoded = encode(&types, &adapter);
        for (args, expected) in [([90, 10], Ok(vec![])), ([91, 10], Err(code(Fault::ListOutOfBounds)))] {
            let (caller, callee) = (memory(100), memory(2 * PAGE));
            let world = World::new(&engine(), &encoded, [Policy::Moving; 2], [&caller, &callee]);
            assert_eq!(world.call(&args).result, expected);
        }
    });
}
