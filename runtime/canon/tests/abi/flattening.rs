//! Flattening of types and functions.

use crate::types::{array, list, record, scalar, variant};
use wattest_canon::{
    Convention, CoreType, Passing, Scalar, Type, TypeId, Types, Width, flatten_function, flatten_types, join,
};

use CoreType::{F32, F64, I32, I64};

#[test]
fn joins() {
    let all = [I32, I64, F32, F64];
    for a in all {
        for b in all {
            let expected = match (a, b) {
                _ if a == b => a,
                (I32, F32) | (F32, I32) => I32,
                _ => I64,
            };
            assert_eq!(join(a, b), expected);
        }
    }
}

#[test]
fn types_flatten() {
    fn check(types: &Types, id: TypeId, narrow: Option<&[CoreType]>, wide: Option<&[CoreType]>) {
        for (width, expected) in [(Width::W32, narrow), (Width::W64, wide)] {
            let found = types.flat(id, width).map(|flat| flat.iter().collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{:?} {width:?}", types.get(id));
        }
    }
    let mut types = Types::default();
    let types = &mut types;
    let [u8, s64, f32, f64] = [Scalar::U8, Scalar::S64, Scalar::F32, Scalar::F64].map(scalar);
    check(types, f32, Some(&[F32]), Some(&[F32]));
    check(types, TypeId::STRING, Some(&[I32, I32]), Some(&[I64, I64]));
    let id = record(types, &[u8, s64, f64]);
    check(types, id, Some(&[I32, I64, F64]), Some(&[I32, I64, F64]));
    let id = variant(types, &[None, Some(f32), Some(u8)]);
    check(types, id, Some(&[I32, I32]), Some(&[I32, I32]));
    let id = variant(types, &[Some(f32), Some(TypeId::STRING)]);
    check(types, id, Some(&[I32, I32, I32]), Some(&[I32, I64, I64]));
    let id = variant(types, &[Some(f32), Some(f64)]);
    check(types, id, Some(&[I32, I64]), Some(&[I32, I64]));
    let id = array(types, u8, 16).unwrap();
    check(types, id, Some(&[I32; 16]), Some(&[I32; 16]));
    let option = types.intern(Type::Option(id)).unwrap();
    check(types, option, None, None);
    let id = array(types, u8, 17).unwrap();
    check(types, id, None, None);
    let id = array(types, u8, 1 << 27).unwrap();
    check(types, id, None, None);
    let id = list(types, id);
    check(types, id, Some(&[I32, I32]), Some(&[I64, I64]));
}

#[test]
fn functions_flatten() {
    fn check(
        params: usize,
        result: Option<TypeId>,
        convention: Convention,
        expected: (usize, usize, Passing, Passing),
    ) {
        let types = Types::default();
        let list = vec![scalar(Scalar::U32); params];
        let signature = flatten_function(&types, &list, result, Width::W64, convention);
        let found =
            (signature.params.len(), signature.results.len(), signature.params_passing, signature.results_passing);
        assert_eq!(found, expected, "{params} {result:?} {convention:?}");
    }
    use Convention::{Lift, LiftAsync, LiftAsyncCallback, Lower, LowerAsync};
    use Passing::{Flat, None as Nothing, OutPointer, Pointer};
    let (one, two) = (Some(scalar(Scalar::U8)), Some(TypeId::STRING));
    check(0, None, Lift, (0, 0, Nothing, Nothing));
    check(16, one, Lift, (16, 1, Flat, Flat));
    check(17, two, Lift, (1, 1, Pointer, Pointer));
    check(16, two, Lower, (17, 0, Flat, OutPointer));
    check(17, two, Lower, (2, 0, Pointer, OutPointer));
    check(16, two, LiftAsyncCallback, (16, 1, Flat, Nothing));
    check(17, two, LiftAsync, (1, 0, Pointer, Nothing));
    check(4, one, LowerAsync, (5, 1, Flat, OutPointer));
    check(5, None, LowerAsync, (1, 1, Pointer, Nothing));
}

#[test]
fn pointers_are_as_wide_as_the_memory() {
    let types = Types::default();
    let params = [scalar(Scalar::U8); 17];
    let result = Some(TypeId::STRING);
    for (width, pointer) in [(Width::W32, I32), (Width::W64, I64)] {
        let signature = flatten_function(&types, &params, result, width, Convention::Lower);
        assert_eq!(signature.params[..], [pointer; 2]);
        assert_eq!(flatten_types(&types, &params, width), None);
    }
}
