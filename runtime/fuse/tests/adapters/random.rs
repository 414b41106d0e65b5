//! Random types and values, and the same with bytes that no value has.

use crate::generate::{self, Random};
use crate::interpret::{self, Pair, Stop};
use crate::world::{
    Bytes, Event, HANDLE_STEP, HEAP, Heap, LIFT, LOWER, PAGE, Policy, World, adapter, check_canaries, encode, engine,
    memory, options, same_class, with_room,
};
use wasmi::Engine;
use wattest_canon::{
    Convention, CoreSignature, CoreType, Encoding, FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Fault, TypeId, Types, Value,
    Width, flatten_function, lift_values, lower_values,
};
use wattest_fuse::plan::{Abi, Route};

/// Types, ends and what is passed.
struct Call {
    types: Types,
    params: Vec<TypeId>,
    result: TypeId,
    ends: [(Encoding, Width); 2],
    lower: CoreSignature,
    lift: CoreSignature,
    args: Vec<Value>,
    answer: Value,
}

fn call(random: &mut Random, ends: [(Encoding, Width); 2]) -> Call {
    let mut types = Types::default();
    let count = random.pick(&[1, 1, 2, 3]);
    let params: Vec<TypeId> = (0..count).map(|_| generate::ty(random, &mut types, 3)).collect();
    let result = generate::ty(random, &mut types, 3);
    let signature =
        |convention, (_, width): (Encoding, Width)| flatten_function(&types, &params, Some(result), width, convention);
    let lower = signature(Convention::Lower, ends[LOWER]);
    let lift = signature(Convention::Lift, ends[LIFT]);
    let args = params.iter().map(|ty| generate::value(random, &types, *ty)).collect();
    let answer = generate::value(random, &types, result);
    Call { types, params, result, ends, lower, lift, args, answer }
}

/// Where the caller wants its result.
const OUT: u64 = 64;

/// What a call starts from.
struct Prepared {
    memories: [Vec<u8>; 2],
    /// Where `realloc` begins.
    heaps: [u64; 2],
    args: Vec<u64>,
    answer: Vec<u64>,
}

/// Memories with the arguments and the answer lowered into them, and the core values for both.
fn prepare(call: &Call) -> Prepared {
    let [lower, lift] = call.ends.map(|(encoding, width)| options(encoding, width));
    // A caller that passes strings in latin1+utf16 may also tag what is Latin-1: see `hostile`.
    let mut caller = Bytes { memory: memory(2 * PAGE), next: PAGE / 2, heap: 0 };
    let list = (call.params.as_slice(), call.args.as_slice());
    let mut args = lower_values(&mut caller, &call.types, &lower, FLAT_PARAMS_MAX, list, None).unwrap().to_vec();
    if args.len() < call.lower.params.len() {
        args.push(OUT);
    }
    let mut callee = Bytes { memory: memory(2 * PAGE), next: PAGE / 2, heap: 0 };
    let list = (&[call.result][..], std::slice::from_ref(&call.answer));
    let answer = lower_values(&mut callee, &call.types, &lift, FLAT_RESULTS_MAX, list, None).unwrap().to_vec();
    // Room for what `realloc` gives, above what was put there.
    for end in [&mut caller, &mut callee] {
        let room = 8 * (end.next - PAGE / 2) + 2 * PAGE;
        end.heap = end.memory.len() as u64;
        let bytes = (end.heap + room).next_multiple_of(PAGE);
        end.memory.resize(bytes as usize, crate::world::CANARY);
    }
    let heaps = [caller.heap, callee.heap];
    Prepared { memories: [caller.memory, callee.memory], heaps, args, answer }
}

fn typed(bits: &[u64], types: &[CoreType]) -> Vec<u64> {
    let low = |ty: &CoreType| if matches!(ty, CoreType::I32 | CoreType::F32) { 0xffff_ffff } else { u64::MAX };
    bits.iter().zip(types).map(|(bits, ty)| bits & low(ty)).collect()
}

fn heap(next: u64, policy: Policy) -> Heap {
    Heap { next, ..Heap::new(policy) }
}

/// A call with valid values: they arrive, and the result comes back; the interpreter does the same.
fn check_valid(engine: &Engine, seed: u64, ends: [(Encoding, Width); 2], policy: Policy) {
    let call = call(&mut Random::new(seed), ends);
    let encoded = encode(&call.types, &adapter(&call.params, Some(call.result), (ends[LOWER], ends[LIFT])));
    let Prepared { memories, heaps, args, answer } = prepare(&call);
    let mut world = World::new(engine, &encoded, [policy; 2], [&memories[LOWER], &memories[LIFT]]);
    world.store.data_mut().results = answer;
    world.store.data_mut().heaps = [heap(heaps[LOWER], policy), heap(heaps[LIFT], policy)];
    let outcome = world.call(&args);
    let context = format!("seed {seed} {ends:?} {policy:?}");
    let results = outcome.result.as_ref().unwrap_or_else(|code| panic!("{context}: trap {code}"));
    let called = outcome.events.iter().find_map(|event| match event {
        Event::Call { args, .. } => Some(args.clone()),
        _ => None,
    });
    let called = called.unwrap();
    // What arrived.
    let mut callee = Bytes { memory: outcome.seen.clone(), next: HEAP, heap: 0 };
    let lift_options = options(ends[LIFT].0, ends[LIFT].1);
    let list = lift_values(&mut callee, &call.types, &lift_options, FLAT_PARAMS_MAX, &call.params, &called).unwrap();
    let expected: Vec<Value> = call.args.iter().map(|value| generate::moved(value, HANDLE_STEP)).collect();
    assert_eq!(list, expected, "{context} {:?}", outcome.events);
    // What came back.
    let mut caller = Bytes { memory: outcome.memories[LOWER].clone(), next: HEAP, heap: 0 };
    let lower_options = options(ends[LOWER].0, ends[LOWER].1);
    let is_out = results.is_empty();
    let slots = if is_out { vec![OUT] } else { results.clone() };
    let result = [call.result];
    let list = lift_values(&mut caller, &call.types, &lower_options, FLAT_RESULTS_MAX, &result, &slots).unwrap();
    assert_eq!(list, [generate::moved(&call.answer, HANDLE_STEP)], "{context}");
    // Nothing else.
    let area = call.types.layout(call.result, ends[LOWER].1);
    let area = if is_out { (OUT, u64::from(area.size)) } else { (0, 0) };
    check_canaries(&memories[LOWER], &outcome.memories[LOWER], &outcome.given[LOWER], area);
    check_canaries(&memories[LIFT], &outcome.memories[LIFT], &outcome.given[LIFT], (0, 0));
    assert_eq!(outcome.may_leave, [1, 1], "{context}");
    // The interpreter.
    let mut pair = Pair {
        source: &memories[LOWER],
        target: memories[LIFT].clone(),
        heap: heap(heaps[LIFT], policy),
        events: Vec::new(),
        width: ends[LIFT].1,
    };
    let route = route(ends);
    let signatures = (&call.lower, &call.lift);
    let slots = interpret::params(&mut pair, &call.types, (&call.params, route), signatures, &args).unwrap();
    assert_eq!(typed(&slots, &call.lift.params), called, "{context}");
    assert!(pair.target == outcome.seen, "{context}: memory differs from the interpreter's");
    let forth = outcome.events.iter().position(|event| matches!(event, Event::Call { .. })).unwrap();
    assert_eq!(pair.events, outcome.events[..forth], "{context}");
}

fn route(ends: [(Encoding, Width); 2]) -> Route {
    let [from, to] = ends.map(|(encoding, width)| Abi { encoding, width });
    Route { from, to }
}

/// A call whose memory or core values were spoilt: wasm, interpreter and lifting agree on whether it traps.
fn check_spoilt(engine: &Engine, seed: u64, ends: [(Encoding, Width); 2]) -> bool {
    let mut random = Random::new(seed);
    let call = call(&mut random, ends);
    let encoded = encode(&call.types, &adapter(&call.params, Some(call.result), (ends[LOWER], ends[LIFT])));
    let Prepared { mut memories, heaps, mut args, answer } = prepare(&call);
    for _ in 0..1 + random.below(3) {
        let spoil = |random: &mut Random| random.pick(&[0, 1, 2, 0x7f, 0x80, 0xc3, 0xd8, 0xdc, 0xff]);
        if random.below(3) == 0 {
            let at = random.below(args.len() as u64) as usize;
            args[at] ^= spoil(&mut random) << (8 * random.below(8));
        } else {
            let at = PAGE / 2 + random.below(160);
            memories[LOWER][at as usize] = spoil(&mut random) as u8;
        }
    }
    let mut world = World::new(engine, &encoded, [Policy::Moving; 2], [&memories[LOWER], &memories[LIFT]]);
    world.store.data_mut().results = answer;
    let policy = Policy::Moving;
    world.store.data_mut().heaps = [heap(heaps[LOWER], policy), heap(heaps[LIFT], policy)];
    let outcome = world.call(&args);
    let context = format!("seed {seed} {ends:?}");
    let mut pair = Pair {
        source: &memories[LOWER],
        target: memories[LIFT].clone(),
        heap: heap(heaps[LIFT], policy),
        events: Vec::new(),
        width: ends[LIFT].1,
    };
    let signatures = (&call.lower, &call.lift);
    let slots = interpret::params(&mut pair, &call.types, (&call.params, route(ends)), signatures, &args);
    let called = outcome.events.iter().find_map(|event| match event {
        Event::Call { args, .. } => Some(args.clone()),
        _ => None,
    });
    match (&slots, &called) {
        (Ok(slots), Some(called)) => {
            assert_eq!(&typed(slots, &call.lift.params), called, "{context}");
            assert!(pair.target == outcome.seen, "{context}: memory differs from the interpreter's");
        }
        (Err(Stop::Fault(fault)), None) => {
            assert!(same_class(*fault, &outcome.result), "{context}: {fault:?}, {:?}", outcome.result)
        }
        other => panic!("{context}: {other:?} {:?}", outcome.result),
    }
    let mut caller = Bytes { memory: memories[LOWER].clone(), next: HEAP, heap: 0 };
    let lower_options = options(ends[LOWER].0, ends[LOWER].1);
    let lifted = lift_values(&mut caller, &call.types, &lower_options, FLAT_PARAMS_MAX, &call.params, &args);
    let too_large = matches!(lifted, Err(Fault::ValueTooLarge(_)));
    // A heap of fixed size may be too small for what was spoilt into something large.
    let is_full = matches!(slots, Err(Stop::Fault(Fault::ReallocOutOfBounds)));
    assert!(too_large || is_full || lifted.is_ok() == called.is_some(), "{context}: {lifted:?}");
    check_canaries(&memories[LIFT], &outcome.memories[LIFT], &outcome.given[LIFT], (0, 0));
    called.is_none()
}

fn all_ends() -> Vec<[(Encoding, Width); 2]> {
    let ends: Vec<(Encoding, Width)> =
        Encoding::ALL.into_iter().flat_map(|encoding| Width::ALL.map(|width| (encoding, width))).collect();
    ends.iter().flat_map(|lower| ends.iter().map(move |lift| [*lower, *lift])).collect()
}

#[test]
fn values_arrive_whatever_the_ends() {
    with_room(|| {
        let engine = engine();
        for (at, ends) in (0..).zip(all_ends()) {
            for round in 0..12 {
                let policy = [Policy::Moving, Policy::InPlace, Policy::Growing][round as usize % 3];
                check_valid(&engine, at * 1000 + round, ends, policy);
            }
        }
    });
}

#[test]
fn spoilt_values_trap_or_arrive_as_the_interpreter_has_it() {
    with_room(|| {
        let engine = engine();
        let mut traps = 0;
        for (at, ends) in (0..).zip(all_ends()) {
            for round in 0..12 {
                traps += u32::from(check_spoilt(&engine, 1_000_000 + at * 1000 + round, ends));
            }
        }
        assert!(traps > 50, "only {traps} of the spoilt calls trapped: they are not spoilt enough");
    });
}
