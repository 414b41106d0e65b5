//! Values: there and back for random types, what each rule of lifting and lowering does, and what bad input costs.

use crate::guest::{CANARY, Guest, Habit};
use crate::types::{array, labels, list, record, scalar, variant};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::time::{Duration, Instant};
use wattest_canon::{
    CANONICAL_NAN_32, CANONICAL_NAN_64, Encoding, FLAT_PARAMS_MAX, Fault, HandleKind, LIST_BYTES_MAX, Nans, Options,
    ResourceId, Scalar, Shape, Token, Type, TypeId, Types, Value, Width, flatten_types, lift_at, lift_values, lower_at,
    lower_values, tuple_layout,
};

const NARROW: Options = Options::new(Encoding::Utf8, Width::W32);

/// Bytes that decide what is generated; zeros when they are used up.
pub struct Tape<'a>(pub std::slice::Iter<'a, u8>);

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.byte() as usize % bound
    }

    fn bits(&mut self) -> u64 {
        (0..8).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))
    }

    pub fn ty(&mut self, types: &mut Types, depth: usize) -> TypeId {
        let kinds = if depth == 0 { 5 } else { 12 };
        let members = |tape: &mut Self, types: &mut Types| -> Vec<TypeId> {
            (0..=tape.below(6)).map(|_| tape.ty(types, depth - 1)).collect()
        };
        match self.below(kinds) {
            0 | 1 => scalar(Scalar::ALL[self.below(12)]),
            2 => TypeId::STRING,
            3 => {
                let names = labels(types, 1 + self.below(32));
                types.intern(Type::Flags(names)).unwrap()
            }
            4 => {
                let kind = [
                    Type::Own(ResourceId(1)),
                    Type::Borrow(ResourceId(2)),
                    Type::Stream(Some(scalar(Scalar::U8))),
                    Type::Future(None),
                    Type::ErrorContext,
                ];
                types.intern(kind[self.below(5)].clone()).unwrap()
            }
            5 => {
                let element = self.ty(types, depth - 1);
                list(types, element)
            }
            6 => {
                let element = self.ty(types, depth - 1);
                let count = 1 + self.below(20) as u32;
                array(types, element, count).unwrap()
            }
            7 => {
                let value = self.ty(types, depth - 1);
                types.intern(Type::Map { key: TypeId::STRING, value }).unwrap()
            }
            8 => {
                let members = members(self, types);
                record(types, &members)
            }
            9 => {
                let members = members(self, types);
                types.intern(Type::Tuple(members.into())).unwrap()
            }
            10 => {
                let payloads: Vec<_> =
                    members(self, types).into_iter().map(|ty| (self.below(4) > 0).then_some(ty)).collect();
                variant(types, &payloads)
            }
            _ => {
                let names = labels(types, 1 + self.below(200) * 2);
                types.intern(Type::Enum(names)).unwrap()
            }
        }
    }

    fn value(&mut self, types: &Types, ty: TypeId) -> Value {
        match types.shape(ty) {
            Shape::Scalar(Scalar::Char) => Value::Char(['a', '\u{d7ff}', '\u{e000}', '\u{10ffff}'][self.below(4)]),
            Shape::Scalar(scalar) => scalar.lift(self.bits(), Nans::Canonical).unwrap(),
            Shape::String => {
                let text = ["", "a", "é", "plain ascii text of some length", "hö☃🍰"];
                Value::String(text[self.below(5)].into())
            }
            Shape::List(element) => Value::List((0..self.below(5)).map(|_| self.value(types, *element)).collect()),
            Shape::Array { element, count } => Value::List((0..*count).map(|_| self.value(types, *element)).collect()),
            Shape::Fields(members) => Value::Record(members.iter().map(|ty| self.value(types, *ty)).collect()),
            Shape::Cases(payloads) => {
                let case = self.below(payloads.len());
                let payload = payloads[case].map(|ty| Box::new(self.value(types, ty)));
                Value::Variant { case: case as u32, payload }
            }
            Shape::Enum(cases) => Value::case(self.below(*cases as usize) as u32),
            Shape::Flags(count) => Value::Flags(self.bits() as u32 & (u32::MAX >> (32 - count))),
            Shape::Handle(_) => Value::Handle(Token(self.bits())),
        }
    }
}

/// Lowers values and lifts them back, by core values or memory, whichever the rules say.
fn round_trip(types: &Types, list: &[TypeId], values: &[Value], options: &Options) {
    let mut guest = Guest::new(Habit::Move);
    let slots = lower_values(&mut guest, types, options, FLAT_PARAMS_MAX, (list, values), None).unwrap();
    let flat = flatten_types(types, list, options.width);
    assert_eq!(slots.len(), flat.map_or(1, |flat| flat.len()));
    guest.assert_canaries(0..0);
    // The upper half of a slot that holds 32 bits does not matter.
    let is_wide = |at: usize| match flat {
        Some(flat) => matches!(flat.get(at), Some(wattest_canon::CoreType::I64 | wattest_canon::CoreType::F64)),
        None => options.width == Width::W64,
    };
    let dirty: Vec<u64> =
        slots.iter().enumerate().map(|(at, slot)| if is_wide(at) { *slot } else { slot | 0xdead_beef << 32 }).collect();
    let lifted = lift_values(&mut guest, types, options, FLAT_PARAMS_MAX, list, &dirty).unwrap();
    assert_eq!(lifted, values);
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0x7661_6c75),
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn values_survive_the_journey(tape in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut tape = Tape(tape.iter());
        let mut types = Types::default();
        let list: Vec<TypeId> = (0..tape.below(5)).map(|_| tape.ty(&mut types, 3)).collect();
        let values: Vec<Value> = list.iter().map(|ty| tape.value(&types, *ty)).collect();
        for width in Width::ALL {
            for encoding in Encoding::ALL {
                round_trip(&types, &list, &values, &Options::new(encoding, width));
            }
        }
    }

    #[test]
    fn noise_is_lifted_or_refused(
        tape in prop::collection::vec(any::<u8>(), 0..100),
        memory in prop::collection::vec(prop_oneof![2 => 0..16u8, 1 => any::<u8>()], 0..300),
        slots in prop::collection::vec(prop_oneof![3 => 0..64u64, 1 => any::<u64>()], 0..17),
        address in prop_oneof![9 => 0..320u64, 1 => any::<u64>()],
    ) {
        let mut types = Types::default();
        let ty = Tape(tape.iter()).ty(&mut types, 3);
        for width in Width::ALL {
            for encoding in Encoding::ALL {
                let options = Options { lift_bytes_max: 1 << 20, ..Options::new(encoding, width) };
                let mut guest = Guest::new(Habit::Move);
                guest.memory.clone_from(&memory);
                // Whatever the guest claims, it is answered; a value that is lifted can be lowered.
                for lifted in [
                    lift_values(&mut guest, &types, &options, FLAT_PARAMS_MAX, &[ty], &slots),
                    lift_at(&mut guest, &types, &options, ty, address).map(|value| vec![value]),
                ].into_iter().flatten() {
                    round_trip(&types, &[ty], &lifted, &options);
                }
            }
        }
    }

    #[test]
    fn hostile_reallocs_write_nowhere_else(
        tape in prop::collection::vec(any::<u8>(), 0..200),
        address in prop_oneof![0..40u64, 65_500..65_540u64, any::<u64>()],
    ) {
        let mut tape = Tape(tape.iter());
        let mut types = Types::default();
        let ty = tape.ty(&mut types, 3);
        let value = tape.value(&types, ty);
        let mut guest = Guest::new(Habit::Always(address));
        let options = Options::new(Encoding::Compact, Width::W64);
        let _ = lower_values(&mut guest, &types, &options, 0, (&[ty], &[value]), None);
        guest.assert_canaries(0..0);
    }
}

fn lift(types: &Types, list: &[TypeId], slots: &[u64]) -> Result<Vec<Value>, Fault> {
    lift_values(&mut Guest::new(Habit::Move), types, &NARROW, FLAT_PARAMS_MAX, list, slots)
}

#[test]
fn scalars_are_masked_and_checked() {
    fn check(kind: Scalar, slot: u64, expected: Result<Value, Fault>) {
        let lifted = lift(&Types::default(), &[scalar(kind)], &[slot]);
        assert_eq!(lifted, expected.map(|value| vec![value]), "{kind:?} {slot:#x}");
    }
    check(Scalar::Bool, 0, Ok(Value::Bool(false)));
    check(Scalar::Bool, 0x100, Ok(Value::Bool(true)));
    check(Scalar::Bool, 1 << 32, Ok(Value::Bool(false)));
    check(Scalar::U8, 0x1ff, Ok(Value::U8(0xff)));
    check(Scalar::S8, 0x80, Ok(Value::S8(-128)));
    check(Scalar::U16, 0x1_ffff, Ok(Value::U16(0xffff)));
    check(Scalar::S16, 0x8000, Ok(Value::S16(-32768)));
    check(Scalar::S32, 0xffff_ffff, Ok(Value::S32(-1)));
    check(Scalar::U32, 0x1_ffff_ffff, Ok(Value::U32(u32::MAX)));
    check(Scalar::S64, u64::MAX, Ok(Value::S64(-1)));
    check(Scalar::F32, 0xffff_ffff, Ok(Value::F32(CANONICAL_NAN_32)));
    check(Scalar::F32, 0x7f80_0000, Ok(Value::F32(0x7f80_0000)));
    check(Scalar::F64, 0x7ff0_0000_0000_0001, Ok(Value::F64(CANONICAL_NAN_64)));
    check(Scalar::F64, 0xfff0_0000_0000_0000, Ok(Value::F64(0xfff0_0000_0000_0000)));
    check(Scalar::Char, 0xd7ff, Ok(Value::Char('\u{d7ff}')));
    check(Scalar::Char, 0xd800, Err(Fault::Char));
    check(Scalar::Char, 0xdfff, Err(Fault::Char));
    check(Scalar::Char, 0xe000, Ok(Value::Char('\u{e000}')));
    check(Scalar::Char, 0x10_ffff, Ok(Value::Char('\u{10ffff}')));
    check(Scalar::Char, 0x11_0000, Err(Fault::Char));
    assert_eq!(lift(&Types::default(), &[scalar(Scalar::U8)], &[]), Err(Fault::SlotsMissing));
}

#[test]
fn negative_numbers_fill_their_core_value() {
    let types = Types::default();
    let list = [Scalar::S8, Scalar::S16, Scalar::S32, Scalar::S64].map(scalar);
    let values = [Value::S8(-1), Value::S16(-2), Value::S32(-3), Value::S64(-4)];
    let mut guest = Guest::new(Habit::Move);
    let slots = lower_values(&mut guest, &types, &NARROW, FLAT_PARAMS_MAX, (&list, &values), None).unwrap();
    assert_eq!(slots[..], [0xffff_ffff, 0xffff_fffe, 0xffff_fffd, u64::MAX - 3]);
    assert_eq!(lift(&types, &list, &slots), Ok(values.to_vec()));
}

#[test]
fn payloads_share_slots() {
    let mut types = Types::default();
    let [u32, f32, f64, u64] = [Scalar::U32, Scalar::F32, Scalar::F64, Scalar::U64].map(scalar);
    let pair = record(&mut types, &[f32, f64]);
    let narrow = variant(&mut types, &[Some(u32), Some(f32)]);
    let wide = variant(&mut types, &[Some(u32), Some(f32), Some(f64), Some(u64), None, Some(pair), Some(narrow)]);
    let types = types;
    let check = |value: Value, slots: &[u64]| {
        let mut guest = Guest::new(Habit::Move);
        let lowered =
            lower_values(&mut guest, &types, &NARROW, FLAT_PARAMS_MAX, (&[wide], std::slice::from_ref(&value)), None);
        assert_eq!(lowered.as_deref(), Ok(slots), "{value:?}");
        assert_eq!(lift(&types, &[wide], slots), Ok(vec![value]));
    };
    let (one, two) = (1f32.to_bits(), 2f64.to_bits());
    check(Value::case_of(0, Value::U32(u32::MAX)), &[0, 0xffff_ffff, 0]);
    check(Value::case_of(1, Value::F32(one)), &[1, u64::from(one), 0]);
    check(Value::case_of(2, Value::F64(two)), &[2, two, 0]);
    check(Value::case_of(3, Value::U64(u64::MAX)), &[3, u64::MAX, 0]);
    check(Value::case(4), &[4, 0, 0]);
    check(Value::case_of(5, Value::Record(vec![Value::F32(one), Value::F64(two)])), &[5, u64::from(one), two]);
    check(Value::case_of(6, Value::case_of(1, Value::F32(one))), &[6, 1, u64::from(one)]);
    // A payload that is narrower than its slot ignores the rest.
    assert_eq!(lift(&types, &[wide], &[0, 5 << 32 | 7, 9]), Ok(vec![Value::case_of(0, Value::U32(7))]));
    assert_eq!(lift(&types, &[wide], &[7, 0, 0]), Err(Fault::Discriminant));
    assert_eq!(lift(&types, &[wide], &[u64::from(u32::MAX), 0, 0]), Err(Fault::Discriminant));
}

#[test]
fn flags_are_masked() {
    let mut types = Types::default();
    let names = labels(&mut types, 9);
    let flags = types.intern(Type::Flags(names)).unwrap();
    assert_eq!(lift(&types, &[flags], &[0xffff_ffff]), Ok(vec![Value::Flags(0x1ff)]));
    let mut guest = Guest::new(Habit::Move);
    assert_eq!(lift_at(&mut guest, &types, &NARROW, flags, 2), Ok(Value::Flags(0xa5a5 & 0x1ff)));
    lower_at(&mut guest, &types, &NARROW, (flags, &Value::Flags(0x101)), 2).unwrap();
    assert_eq!(guest.memory[..5], [CANARY, CANARY, 1, 1, CANARY]);
    let beyond = lower_at(&mut guest, &types, &NARROW, (flags, &Value::Flags(0x200)), 2);
    assert_eq!(beyond, Err(Fault::Mismatch(flags)));
}

#[test]
fn lists_are_bounded() {
    let mut types = Types::default();
    let bytes = list(&mut types, scalar(Scalar::U8));
    let words = list(&mut types, scalar(Scalar::U32));
    let check = |ty, address, count, fault: Option<Fault>| {
        assert_eq!(lift(&types, &[ty], &[address, count]).err(), fault, "{address:#x} {count:#x}");
    };
    check(bytes, 0, 1 << 16, None);
    check(bytes, 1, 1 << 16, Some(Fault::ListOutOfBounds));
    check(bytes, 1 << 16, 0, None);
    check(bytes, (1 << 16) + 1, 0, Some(Fault::ListOutOfBounds));
    check(bytes, 0, LIST_BYTES_MAX, Some(Fault::ListOutOfBounds));
    check(bytes, 0, LIST_BYTES_MAX + 1, Some(Fault::ListTooLong));
    check(words, 1, 0, Some(Fault::Unaligned));
    check(words, 4, 1 << 30, Some(Fault::ListTooLong));
    check(words, 4, u64::from(u32::MAX), Some(Fault::ListTooLong));
}

#[test]
fn many_parameters_go_through_memory() {
    let types = Types::default();
    let list = [scalar(Scalar::U8); 17];
    let values: Vec<Value> = (0..17).map(Value::U8).collect();
    let mut guest = Guest::new(Habit::Move);
    let slots = lower_values(&mut guest, &types, &NARROW, FLAT_PARAMS_MAX, (&list, &values), None).unwrap();
    assert_eq!((&slots[..], &guest.calls[..]), (&[1024][..], &[(0, 0, 1, 17)][..]));
    let lifted = lift_values(&mut guest, &types, &NARROW, FLAT_PARAMS_MAX, &list, &slots);
    assert_eq!(lifted, Ok(values.clone()));
    let out = lower_values(&mut guest, &types, &NARROW, 0, (&list, &values), Some(40)).unwrap();
    assert_eq!((out.len(), guest.calls.len(), guest.memory[56]), (0, 1, 16));
    let beyond = lower_values(&mut guest, &types, &NARROW, 0, (&list, &values), Some(65_520));
    assert_eq!(beyond, Err(Fault::PointerOutOfBounds));
    assert_eq!(lift(&types, &list, &[65_520]), Err(Fault::PointerOutOfBounds));
    let wide = [scalar(Scalar::U64); 17];
    assert_eq!(lift(&types, &wide, &[4]), Err(Fault::Unaligned));
    let values = vec![Value::U64(0); 17];
    let unaligned = lower_values(&mut guest, &types, &NARROW, 0, (&wide, &values), Some(4));
    assert_eq!(unaligned, Err(Fault::Unaligned));
}

#[test]
fn lists_allocate_before_their_elements() {
    let mut types = Types::default();
    let strings = list(&mut types, TypeId::STRING);
    let text = |text: &str| Value::String(text.into());
    let value = Value::List(vec![text("ab"), text(""), text("cde")]);
    let mut guest = Guest::new(Habit::Move);
    let slots = lower_values(&mut guest, &types, &NARROW, 16, (&[strings], &[value]), None).unwrap();
    assert_eq!(slots[..], [1024, 3]);
    assert_eq!(guest.calls, [(0, 0, 4, 24), (0, 0, 1, 2), (0, 0, 1, 0), (0, 0, 1, 3)]);
    let empty = Value::List(Vec::new());
    lower_values(&mut guest, &types, &NARROW, 16, (&[strings], &[empty]), None).unwrap();
    assert_eq!(guest.calls.last(), Some(&(0, 0, 4, 0)));
    let mut hostile = Guest::new(Habit::Always(65_532));
    let one = Value::List(vec![text("")]);
    let lowered = lower_values(&mut hostile, &types, &NARROW, 16, (&[strings], &[one]), None);
    assert_eq!(lowered, Err(Fault::ReallocOutOfBounds));
    hostile.habit = Habit::Always(2);
    let lowered = lower_values(&mut hostile, &types, &NARROW, 16, (&[strings], &[Value::List(Vec::new())]), None);
    assert_eq!(lowered, Err(Fault::ReallocUnaligned));
}

#[test]
fn handles_pass_through_their_table() {
    let mut types = Types::default();
    let own = types.intern(Type::Own(ResourceId(3))).unwrap();
    let borrow = types.intern(Type::Borrow(ResourceId(3))).unwrap();
    let mut guest = Guest::new(Habit::Move);
    guest.handles.push((HandleKind::Own(ResourceId(3)), Token(77)));
    let lifted = lift_values(&mut guest, &types, &NARROW, 16, &[own], &[5 << 32]);
    assert_eq!(lifted, Ok(vec![Value::Handle(Token(77))]));
    assert!(lift_values(&mut guest, &types, &NARROW, 16, &[borrow], &[0]).is_err());
    assert!(lift_values(&mut guest, &types, &NARROW, 16, &[own], &[1]).is_err());
}

#[test]
fn values_of_another_type_are_refused() {
    let mut types = Types::default();
    let pair = record(&mut types, &[scalar(Scalar::U8), TypeId::STRING]);
    let option = types.intern(Type::Option(pair)).unwrap();
    let fixed = array(&mut types, scalar(Scalar::U8), 3).unwrap();
    let types = types;
    let check = |ty: TypeId, value: Value, culprit: TypeId| {
        let mut guest = Guest::new(Habit::Move);
        let lowered = lower_values(&mut guest, &types, &NARROW, 16, (&[ty], &[value]), None);
        assert_eq!(lowered, Err(Fault::Mismatch(culprit)));
    };
    check(pair, Value::Record(vec![Value::U8(1)]), pair);
    check(pair, Value::Record(vec![Value::U8(1), Value::U8(1)]), TypeId::STRING);
    check(pair, Value::Record(vec![Value::S8(1), Value::String("".into())]), scalar(Scalar::U8));
    check(option, Value::case(1), option);
    check(option, Value::case(2), option);
    check(option, Value::case_of(0, Value::U8(1)), option);
    check(fixed, Value::List(vec![Value::U8(1); 2]), fixed);
    let mut guest = Guest::new(Habit::Move);
    let lowered = lower_values(&mut guest, &types, &NARROW, 16, (&[pair], &[]), None);
    assert_eq!(lowered, Err(Fault::Mismatch(pair)));
}

/// A few bytes of guest memory claim to be a value of any size: each level refers to the same two-element list.
#[test]
fn exponential_values_meet_the_budget() {
    let begin = Instant::now();
    let mut types = Types::default();
    let mut nested = scalar(Scalar::U8);
    for _ in 0..100 {
        nested = list(&mut types, nested);
    }
    let mut guest = Guest::new(Habit::Move);
    for at in [0, 8] {
        guest.memory[at..at + 8].copy_from_slice(&[0, 0, 0, 0, 2, 0, 0, 0]);
    }
    let options = Options { lift_bytes_max: 1 << 20, ..NARROW };
    let lifted = lift_at(&mut guest, &types, &options, nested, 0);
    assert_eq!(lifted, Err(Fault::ValueTooLarge(1 << 20)));
    let strings = list(&mut types, TypeId::STRING);
    for at in 0..1000 {
        guest.memory[8 * at..8 * at + 8].copy_from_slice(&[0, 0, 0, 0, 0, 0x40, 0, 0]);
    }
    guest.memory[8000..].fill(b'x');
    let lifted = lift_values(&mut guest, &types, &options, 16, &[strings], &[0, 1000]);
    assert_eq!(lifted, Err(Fault::ValueTooLarge(1 << 20)));
    // A claim of more than the memory holds costs nothing.
    let lifted = lift_values(&mut guest, &types, &options, 16, &[nested], &[0, 1 << 24]);
    assert_eq!(lifted, Err(Fault::ListOutOfBounds));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn lists_a_hundred_deep_and_wide_variants() {
    let mut types = Types::default();
    let (mut nested, mut value) = (scalar(Scalar::U8), Value::U8(7));
    for _ in 0..100 {
        nested = list(&mut types, nested);
        value = Value::List(vec![value]);
    }
    round_trip(&types, &[nested], &[value], &NARROW);
    let payloads: Vec<Option<TypeId>> = (0..100_000).map(|at| Some(scalar(Scalar::ALL[at % 11]))).collect();
    let wide = variant(&mut types, &payloads);
    round_trip(&types, &[wide], &[Value::case_of(99_996, Value::U32(3))], &NARROW);
    let members = vec![scalar(Scalar::U8); 100_000];
    let record = record(&mut types, &members);
    round_trip(&types, &[record], &[Value::Record(vec![Value::U8(1); 100_000])], &NARROW);
}

/// Members lie where the layout says, at every starting alignment.
#[test]
fn padding_is_left_alone() {
    let mut types = Types::default();
    let [u8, u64] = [Scalar::U8, Scalar::U64].map(scalar);
    let ty = record(&mut types, &[u8, u64, u8]);
    let value = Value::Record(vec![Value::U8(1), Value::U64(0x0202_0202_0202_0202), Value::U8(3)]);
    for address in 0..32 {
        let mut guest = Guest::new(Habit::Move);
        let lowered = lower_at(&mut guest, &types, &NARROW, (ty, &value), address);
        if address % 8 != 0 {
            assert_eq!(lowered, Err(Fault::Unaligned));
            continue;
        }
        let start = address as usize;
        let (first, rest) = guest.memory[start..start + 24].split_at(1);
        assert_eq!((first, &rest[..7]), (&[1][..], &[CANARY; 7][..]));
        assert_eq!(
            (&rest[7..15], &rest[15..]),
            (&[2; 8][..], &[3, CANARY, CANARY, CANARY, CANARY, CANARY, CANARY, CANARY][..])
        );
        assert_eq!(lift_at(&mut guest, &types, &NARROW, ty, address), Ok(value.clone()));
        guest.assert_canaries(address..address + 24);
    }
    let layouts = [u8, u64].map(|ty| types.layout(ty, Width::W32));
    assert_eq!(tuple_layout(layouts, |_| ()).map(|layout| layout.size), Ok(16));
}
