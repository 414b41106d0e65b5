//! Types made to be large: output stays linear, and what is too deep is a typed error.

use crate::world::{Id, adapter, encode};
use wattest_canon::{Case, Encoding, Field, Limits, Scalar, Type, TypeId, Types, Width};
use wattest_fuse::plan::{Abi, Plans, Route};
use wattest_fuse::print::print;
use wattest_fuse::{AdapterModuleBuilder, DEPTH_MAX, FuseError, ModuleOptions};

const END: (Encoding, Width) = (Encoding::Utf8, Width::W32);
const WIDE: (Encoding, Width) = (Encoding::Utf16, Width::W64);

fn bytes_of(types: &Types, ty: TypeId) -> usize {
    encode(types, &adapter(&[ty], Some(ty), (END, WIDE))).wasm.len()
}

/// The size for `large` is at most `factor` times what it is for a tenth of that.
fn check_linear(make: impl Fn(&mut Types, u32) -> TypeId, large: u32) {
    let size = |count: u32| {
        let mut types = Types::default();
        let ty = make(&mut types, count);
        bytes_of(&types, ty)
    };
    let (tenth, all) = (size(large / 10), size(large));
    assert!(all <= 11 * tenth, "{tenth} bytes became {all}");
}

#[test]
fn ten_thousand_cases_are_linear() {
    check_linear(
        |types, count| {
            let name = types.name("c").unwrap();
            let case = |at: u32| Case { name, ty: at.is_multiple_of(2).then_some(TypeId::STRING) };
            types.intern(Type::Variant((0..count).map(case).collect())).unwrap()
        },
        20_000,
    );
}

#[test]
fn cases_of_distinct_payloads_are_linear() {
    check_linear(
        |types, count| {
            let name = types.name("c").unwrap();
            let mut cases = Vec::new();
            for at in 0..count {
                let ty = Type::FixedList { element: TypeId::scalar(Scalar::U16), count: at + 1 };
                cases.push(Case { name, ty: Some(types.intern(ty).unwrap()) });
            }
            types.intern(Type::Variant(cases.into())).unwrap()
        },
        10_000,
    );
}

#[test]
fn types_that_share_parts_are_linear() {
    // Each tuple has the one before it twice: 2^n members when expanded.
    check_linear(
        |types, count| {
            let mut ty = types.intern(Type::List(TypeId::scalar(Scalar::U8))).unwrap();
            for _ in 0..count {
                ty = types.intern(Type::Tuple([ty, ty].into())).unwrap();
            }
            ty
        },
        20,
    );
}

#[test]
fn a_hundred_nested_lists_are_a_hundred_functions() {
    let mut types = Types::default();
    let mut ty = TypeId::STRING;
    for _ in 0..100 {
        ty = types.intern(Type::List(ty)).unwrap();
    }
    assert!(bytes_of(&types, ty) < 100_000);
}

#[test]
fn deeper_than_the_limit_is_an_error() {
    let mut types = Types::new(Limits { depth_max: 100_000, ..Limits::default() });
    let mut ty = TypeId::scalar(Scalar::U8);
    for _ in 0..DEPTH_MAX {
        ty = types.intern(Type::List(ty)).unwrap();
    }
    let mut builder = AdapterModuleBuilder::<Id>::new(&types, ModuleOptions::default());
    assert_eq!(builder.adapter(&adapter(&[ty], None, (END, END))), Err(FuseError::TooDeep(DEPTH_MAX)));
}

#[test]
fn more_cases_than_one_table_holds() {
    let mut types = Types::default();
    let name = types.name("c").unwrap();
    let (byte, word) = (TypeId::scalar(Scalar::U8), TypeId::scalar(Scalar::U64));
    let payload = |at: u32| match at % 3 {
        0 => None,
        1 => Some(byte),
        _ => Some(word),
    };
    let cases = (0..100_000).map(|at| Case { name, ty: payload(at) }).collect();
    let ty = types.intern(Type::Variant(cases)).unwrap();
    crate::world::with_room(move || {
        let encoded = encode(&types, &adapter(&[ty], None, (END, END)));
        let memory = crate::world::memory(crate::world::PAGE);
        for case in [0, 1, 2, 32_767, 32_768, 32_769, 65_535, 65_536, 99_998, 99_999] {
            let policies = [crate::world::Policy::Moving; 2];
            let engine = crate::world::engine();
            let outcome =
                crate::world::World::new(&engine, &encoded, policies, [&memory, &memory]).call(&[case, 0x1ff]);
            let expected = [0, 0xff, 0x1ff][case as usize % 3];
            let call = crate::world::Event::Call { args: vec![case, expected], may_leave: [1, 1] };
            assert_eq!(outcome.events, [call]);
        }
    });
}

#[test]
fn plans_print_parts_first() {
    let mut types = Types::default();
    let name = types.name("f").unwrap();
    let list = types.intern(Type::List(TypeId::scalar(Scalar::U8))).unwrap();
    let option = types.intern(Type::Option(TypeId::STRING)).unwrap();
    let fields = [list, option].map(|ty| Field { name, ty });
    let record = types.intern(Type::Record(fields.into())).unwrap();
    let abi = |(encoding, width)| Abi { encoding, width };
    let mut plans = Plans::default();
    let plan = plans.value(&types, record, Route { from: abi(END), to: abi(WIDE) }).unwrap();
    let expected = "\
p0 = str Utf8 -> Utf16  ; 8/4 -> 16/8 cost 6
p1 = cases 2 @4->8: none p0  ; 12/4 -> 24/8 cost 12
p2 = int u8  ; 1/1 -> 1/1 cost 1
p3 = seq p2 bulk  ; 8/4 -> 16/8 cost 6
p4 = fields p3@0->0 p1@8->16  ; 20/4 -> 40/8 cost 20
";
    assert_eq!(print(&plans, plan), expected);
}
