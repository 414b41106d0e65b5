//! Types: identity, layout, limits, and what bad input costs.

use std::time::{Duration, Instant};
use wattest_canon::{Case, Field, Layout, Limits, ResourceId, Scalar, Type, TypeError, TypeId, Types, Width};

pub fn scalar(scalar: Scalar) -> TypeId {
    TypeId::scalar(scalar)
}

pub fn record(types: &mut Types, members: &[TypeId]) -> TypeId {
    let fields: Vec<Field> = members
        .iter()
        .enumerate()
        .map(|(at, ty)| Field { name: types.name(&format!("f{at}")).unwrap(), ty: *ty })
        .collect();
    types.intern(Type::Record(fields.into())).unwrap()
}

pub fn variant(types: &mut Types, payloads: &[Option<TypeId>]) -> TypeId {
    let cases: Vec<Case> = payloads
        .iter()
        .enumerate()
        .map(|(at, ty)| Case { name: types.name(&format!("c{at}")).unwrap(), ty: *ty })
        .collect();
    types.intern(Type::Variant(cases.into())).unwrap()
}

pub fn labels(types: &mut Types, count: usize) -> Box<[wattest_canon::Name]> {
    (0..count).map(|at| types.name(&format!("l{at}")).unwrap()).collect()
}

pub fn list(types: &mut Types, element: TypeId) -> TypeId {
    types.intern(Type::List(element)).unwrap()
}

pub fn array(types: &mut Types, element: TypeId, count: u32) -> Result<TypeId, TypeError> {
    types.intern(Type::FixedList { element, count })
}

#[test]
fn layouts() {
    let mut types = Types::default();
    let types = &mut types;
    fn check(types: &Types, id: TypeId, narrow: (u32, u32), wide: (u32, u32)) {
        let found = Width::ALL.map(|width| types.layout(id, width));
        let expected = [narrow, wide].map(|(size, align)| Layout { size, align });
        assert_eq!(found, expected, "{:?}", types.get(id));
    }
    let [u8, u16, u32, u64] = [Scalar::U8, Scalar::U16, Scalar::U32, Scalar::U64].map(scalar);
    check(types, TypeId::STRING, (8, 4), (16, 8));
    check(types, TypeId::ERROR_CONTEXT, (4, 4), (4, 4));
    let id = list(types, u8);
    check(types, id, (8, 4), (16, 8));
    let id = record(types, &[u8, u64, u8]);
    check(types, id, (24, 8), (24, 8));
    let id = record(types, &[u8, TypeId::STRING, u16]);
    check(types, id, (16, 4), (32, 8));
    let id = array(types, u16, 3).unwrap();
    check(types, id, (6, 2), (6, 2));
    let id = types.intern(Type::Option(u8)).unwrap();
    check(types, id, (2, 1), (2, 1));
    let id = types.intern(Type::Option(u64)).unwrap();
    check(types, id, (16, 8), (16, 8));
    let id = types.intern(Type::Result { ok: Some(u32), err: Some(u64) }).unwrap();
    check(types, id, (16, 8), (16, 8));
    let id = types.intern(Type::Result { ok: None, err: None }).unwrap();
    check(types, id, (1, 1), (1, 1));
    for (count, bytes) in [(1, 1), (256, 1), (257, 2), (65536, 2), (65537, 4)] {
        let labels = labels(types, count);
        let id = types.intern(Type::Enum(labels)).unwrap();
        check(types, id, (bytes, bytes), (bytes, bytes));
        assert_eq!(types.discriminant_bytes(id), bytes);
    }
    for (count, bytes) in [(1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (32, 4)] {
        let labels = labels(types, count);
        let id = types.intern(Type::Flags(labels)).unwrap();
        check(types, id, (bytes, bytes), (bytes, bytes));
        assert_eq!(types.facts(id).plain, matches!(count, 8 | 16 | 32));
    }
    let id = types.intern(Type::Map { key: TypeId::STRING, value: u8 }).unwrap();
    check(types, id, (8, 4), (16, 8));
    let id = variant(types, &[None, Some(u8), Some(TypeId::STRING)]);
    check(types, id, (12, 4), (24, 8));
    assert_eq!(Width::ALL.map(|width| types.payload_offset(id, width)), [4, 8]);
}

#[test]
fn equal_types_are_one() {
    let mut types = Types::default();
    let a = record(&mut types, &[scalar(Scalar::U8), TypeId::STRING]);
    let before = types.len();
    let b = record(&mut types, &[scalar(Scalar::U8), TypeId::STRING]);
    assert_eq!((a, types.len()), (b, before));
    assert_eq!(types.intern(Type::String), Ok(TypeId::STRING));
    assert_eq!(types.intern(Type::ErrorContext), Ok(TypeId::ERROR_CONTEXT));
    for each in Scalar::ALL {
        assert_eq!(types.intern(Type::Scalar(each)), Ok(scalar(each)));
    }
    let tuple = types.intern(Type::Tuple([scalar(Scalar::U8), TypeId::STRING].into())).unwrap();
    assert_ne!(a, tuple);
    assert_ne!(types.intern(Type::Own(ResourceId(0))), types.intern(Type::Own(ResourceId(1))));
}

#[test]
fn facts() {
    let mut types = Types::default();
    let [u8, u16, f32, bool] = [Scalar::U8, Scalar::U16, Scalar::F32, Scalar::Bool].map(scalar);
    let plain = record(&mut types, &[u16, u8, u8]);
    assert!(types.facts(plain).plain);
    let padded = record(&mut types, &[u8, u16]);
    assert!(!types.facts(padded).plain);
    assert!(!types.facts(bool).plain);
    assert!(types.facts(f32).plain && types.facts(f32).floats);
    let borrow = types.intern(Type::Borrow(ResourceId(7))).unwrap();
    let lent = list(&mut types, borrow);
    assert!(types.facts(lent).borrows && types.facts(lent).handles && types.facts(lent).pointers);
    assert_eq!(types.intern(Type::Stream(Some(lent))), Err(TypeError::BorrowInTransit));
    let stream = types.intern(Type::Stream(Some(plain))).unwrap();
    assert!(types.facts(stream).handles && !types.facts(stream).pointers);
}

#[test]
fn what_is_not_a_type() {
    let mut types = Types::default();
    let u8 = scalar(Scalar::U8);
    fn check(types: &mut Types, ty: Type, error: TypeError) {
        assert_eq!(types.intern(ty), Err(error));
    }
    check(&mut types, Type::Record(Box::default()), TypeError::Empty);
    check(&mut types, Type::Tuple(Box::default()), TypeError::Empty);
    check(&mut types, Type::Variant(Box::default()), TypeError::Empty);
    check(&mut types, Type::Enum(Box::default()), TypeError::Empty);
    check(&mut types, Type::Flags(Box::default()), TypeError::Empty);
    check(&mut types, Type::FixedList { element: u8, count: 0 }, TypeError::Empty);
    let many = labels(&mut types, 33);
    check(&mut types, Type::Flags(many), TypeError::FlagsTooMany(33));
    check(&mut types, Type::Map { key: scalar(Scalar::F64), value: u8 }, TypeError::MapKey);
    let mut other = Types::default();
    let far = list(&mut other, u8);
    check(&mut types, Type::Option(far), TypeError::Unknown(far.index() as u32));
}

/// The boundaries of the maximum element size, as the specification's own tests have them.
#[test]
fn sizes_stay_below_two_to_the_28() {
    let mut types = Types::default();
    let types = &mut types;
    let [u8, u64] = [Scalar::U8, Scalar::U64].map(scalar);
    assert!(array(types, u8, 268_435_455).is_ok());
    assert!(array(types, u64, 33_554_431).is_ok());
    assert!(array(types, TypeId::STRING, 16_777_215).is_ok());
    assert_eq!(array(types, u8, 268_435_456), Err(TypeError::TooLarge));
    assert_eq!(array(types, u64, 33_554_432), Err(TypeError::TooLarge));
    assert_eq!(array(types, u64, 536_870_912), Err(TypeError::TooLarge));
    assert_eq!(array(types, TypeId::STRING, 16_777_216), Err(TypeError::TooLarge));
    let big = array(types, u8, 268_435_455).unwrap();
    assert_eq!(array(types, big, 2), Err(TypeError::TooLarge));
    let one = array(types, u8, 1).unwrap();
    assert_eq!(types.intern(Type::Tuple([big, one].into())), Err(TypeError::TooLarge));
    let almost = array(types, u8, 268_435_454).unwrap();
    assert!(types.intern(Type::Tuple([almost, one].into())).is_ok());
    assert!(types.intern(Type::Stream(Some(big))).is_ok());
    // A map is an address and a length: its pairs may be larger than any type, which then cannot be had by itself.
    let map = types.intern(Type::Map { key: u8, value: big }).unwrap();
    assert_eq!(types.layout(map, Width::W64), Layout { size: 16, align: 8 });
    assert_eq!(types.intern(Type::Tuple([u8, big].into())), Err(TypeError::TooLarge));
    assert_eq!(array(types, map, 1 << 24), Err(TypeError::TooLarge));
    assert_eq!(types.intern(Type::Map { key: u8, value: big }), Ok(map));
}

#[test]
fn large_types_cost_milliseconds() {
    let begin = Instant::now();
    let mut types = Types::default();
    let payloads: Vec<Option<TypeId>> = (0..100_000).map(|at| Some(scalar(Scalar::ALL[at % 12]))).collect();
    let large = variant(&mut types, &payloads);
    assert_eq!(types.layout(large, Width::W32), Layout { size: 16, align: 8 });
    let members: Vec<TypeId> = payloads.iter().copied().flatten().collect();
    let wide = record(&mut types, &members);
    assert_eq!(types.flat(wide, Width::W32), None);
    let mut nested = scalar(Scalar::U8);
    for _ in 0..100 {
        nested = list(&mut types, nested);
    }
    assert_eq!(types.facts(nested).depth, 101);
    // Generous, since it runs beside other tests; it takes about 30 ms.
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// A short chain of types that doubles with every link.
#[test]
fn doubling_types_meet_a_limit() {
    let mut types = Types::default();
    let mut double = scalar(Scalar::U8);
    for _ in 0..27 {
        double = types.intern(Type::Tuple([double, double].into())).unwrap();
    }
    assert_eq!(types.intern(Type::Tuple([double, double].into())), Err(TypeError::TooLarge));
    // Cases overlap: the type stays small, and so does what is known of it.
    let mut choice = scalar(Scalar::U8);
    for _ in 0..100 {
        choice = types.intern(Type::Result { ok: Some(choice), err: Some(choice) }).unwrap();
    }
    assert_eq!((types.layout(choice, Width::W32).size, types.flat(choice, Width::W32)), (101, None));
}

#[test]
fn names_of_megabytes_are_refused() {
    let mut types = Types::default();
    let long = "x".repeat(33 << 20);
    assert_eq!(types.name(&long), Err(TypeError::NamesTooLong(32 << 20)));
    assert!(types.name("x").is_ok());
}

#[test]
fn limits_are_errors() {
    let limits = Limits { types_max: 40, members_max: 100, name_bytes_max: 80, depth_max: 5 };
    let mut types = Types::new(limits);
    let mut nested = scalar(Scalar::U8);
    for _ in 0..4 {
        nested = list(&mut types, nested);
    }
    assert_eq!(types.intern(Type::List(nested)), Err(TypeError::TooDeep(5)));
    let wide: Box<[TypeId]> = vec![nested; 101].into();
    assert_eq!(types.intern(Type::Tuple(wide)), Err(TypeError::MembersTooMany(100)));
    assert!(types.name("123456789").is_ok());
    assert!(types.name("123456789").is_ok());
    assert_eq!(types.name("ab"), Err(TypeError::NamesTooLong(80)));
    let mut last = Ok(nested);
    for at in 0..40 {
        last = types.intern(Type::Own(ResourceId(at)));
    }
    assert_eq!(last, Err(TypeError::TooMany(40)));
    assert_eq!(types.intern(Type::String), Ok(TypeId::STRING));
}
