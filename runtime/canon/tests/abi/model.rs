//! Layout and flattening once more, as the specification writes them: recursively, from the type as it was declared.

use crate::values::Tape;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wattest_canon::{CoreType, Layout, Scalar, Type, TypeId, Types, Width, join};

/// Despecialized to fields, cases or neither.
enum Kind {
    Fields(Vec<TypeId>),
    Cases(Vec<Option<TypeId>>),
    Leaf,
}

fn kind(types: &Types, id: TypeId) -> Kind {
    match types.get(id) {
        Type::Record(fields) => Kind::Fields(fields.iter().map(|field| field.ty).collect()),
        Type::Tuple(members) => Kind::Fields(members.to_vec()),
        Type::FixedList { element, count } => Kind::Fields(vec![*element; *count as usize]),
        Type::Variant(cases) => Kind::Cases(cases.iter().map(|case| case.ty).collect()),
        Type::Enum(labels) => Kind::Cases(vec![None; labels.len()]),
        Type::Option(some) => Kind::Cases(vec![None, Some(*some)]),
        Type::Result { ok, err } => Kind::Cases(vec![*ok, *err]),
        _ => Kind::Leaf,
    }
}

fn leaf_size(types: &Types, id: TypeId, pointer: u32) -> (u32, u32) {
    match types.get(id) {
        Type::Scalar(scalar) => {
            let bytes = match scalar {
                Scalar::Bool | Scalar::S8 | Scalar::U8 => 1,
                Scalar::S16 | Scalar::U16 => 2,
                Scalar::S64 | Scalar::U64 | Scalar::F64 => 8,
                _ => 4,
            };
            (bytes, bytes)
        }
        Type::String | Type::List(_) | Type::Map { .. } => (2 * pointer, pointer),
        Type::Flags(labels) if labels.len() <= 8 => (1, 1),
        Type::Flags(labels) if labels.len() <= 16 => (2, 2),
        _ => (4, 4),
    }
}

fn discriminant(cases: usize) -> u32 {
    match cases {
        0..=256 => 1,
        257..=65536 => 2,
        _ => 4,
    }
}

fn size_align(types: &Types, id: TypeId, pointer: u32) -> (u32, u32) {
    match kind(types, id) {
        Kind::Leaf => leaf_size(types, id, pointer),
        Kind::Fields(members) => {
            let (mut size, mut align) = (0u32, 1);
            for member in members {
                let (bytes, divisor) = size_align(types, member, pointer);
                size = size.next_multiple_of(divisor) + bytes;
                align = align.max(divisor);
            }
            (size.next_multiple_of(align), align)
        }
        Kind::Cases(cases) => {
            let payloads = cases.iter().flatten().map(|ty| size_align(types, *ty, pointer));
            let (size, align) = payloads.fold((0, 1), |all, one| (all.0.max(one.0), all.1.max(one.1)));
            let tag = discriminant(cases.len());
            let whole = align.max(tag);
            ((tag.next_multiple_of(align) + size).next_multiple_of(whole), whole)
        }
    }
}

fn flatten(types: &Types, id: TypeId, pointer: CoreType) -> Vec<CoreType> {
    match kind(types, id) {
        Kind::Leaf => match types.get(id) {
            Type::Scalar(Scalar::S64 | Scalar::U64) => vec![CoreType::I64],
            Type::Scalar(Scalar::F32) => vec![CoreType::F32],
            Type::Scalar(Scalar::F64) => vec![CoreType::F64],
            Type::String | Type::List(_) | Type::Map { .. } => vec![pointer; 2],
            _ => vec![CoreType::I32],
        },
        Kind::Fields(members) => members.iter().flat_map(|ty| flatten(types, *ty, pointer)).collect(),
        Kind::Cases(cases) => {
            let mut flat: Vec<CoreType> = Vec::new();
            for payload in cases.iter().flatten() {
                for (at, core) in flatten(types, *payload, pointer).into_iter().enumerate() {
                    match flat.get_mut(at) {
                        Some(shared) => *shared = join(*shared, core),
                        None => flat.push(core),
                    }
                }
            }
            flat.insert(0, CoreType::I32);
            flat
        }
    }
}

fn check(types: &Types, id: TypeId) {
    for width in Width::ALL {
        let (size, align) = size_align(types, id, width.pointer_bytes());
        assert_eq!(types.layout(id, width), Layout { size, align }, "{:?}", types.get(id));
        let flat = flatten(types, id, CoreType::pointer(width));
        let found = types.flat(id, width).map(|flat| flat.iter().collect::<Vec<_>>());
        assert_eq!(found, (flat.len() <= 16).then_some(flat), "{:?}", types.get(id));
        let mut end = 0;
        if let Kind::Fields(members) = kind(types, id) {
            for (offset, member) in types.field_offsets(id, width).iter().zip(members) {
                let (bytes, divisor) = size_align(types, member, width.pointer_bytes());
                end = u32::next_multiple_of(end, divisor);
                assert_eq!(*offset, end);
                end += bytes;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0x6d6f_6465),
        failure_persistence: None,
        ..ProptestConfig::with_cases(2000)
    })]

    #[test]
    fn types_are_as_the_specification_has_them(tape in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut types = Types::default();
        let id = Tape(tape.iter()).ty(&mut types, 4);
        check(&types, id);
    }
}
