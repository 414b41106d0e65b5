//! Tests of the registry on type sections that mean harm: deep, giant, and exponential when unrolled.
//!
//! Work is counted, not timed: what a group is hashed and compared by is its rolled form, so the sizes of those are the
//! work of registering it.
//!
//! Invariant: twice the types is twice the work, whatever the types.
//!
//! Does not know: the limits of validation, which come before.

use super::*;
use std::cell::Cell;
use wattest_module::{Descriptor, FieldType, StorageType, StructType};

fn reference(to: u32) -> FieldType {
    let ty = RefType { nullable: true, heap: HeapType::Concrete(TypeIndex(to)), is_func: false };
    FieldType { storage: StorageType::Val(ValType::Ref(ty)), mutable: true }
}

fn structure(supertype: Option<u32>, fields: Vec<FieldType>) -> SubType {
    SubType::new(false, supertype.map(TypeIndex), CompositeType::Struct(StructType { fields }))
}

/// A module of these groups.
fn module(groups: Vec<Vec<SubType>>) -> ModuleDesc {
    let mut desc = ModuleDesc::default();
    for group in groups {
        desc.rec_groups.push(desc.types.len() as u32);
        desc.types.extend(group);
    }
    desc
}

/// Types, and references of types, in the rolled forms of all groups of a module.
fn work(desc: &ModuleDesc) -> usize {
    let mut ids = Vec::new();
    let count = Cell::new(0);
    let ends = desc.rec_groups.iter().skip(1).copied().chain([desc.types.len() as u32]);
    for (start, end) in desc.rec_groups.iter().copied().zip(ends) {
        for ty in roll_group(start, &desc.types[start as usize..end as usize], &ids) {
            count.set(count.get() + 1);
            map_concrete(&ty, |index| {
                count.set(count.get() + 1);
                index
            });
        }
        ids.extend((start..end).map(TypeIndex));
    }
    count.get()
}

/// `bomb n` has `n` types, all different, and does `per_type` work for each but a few.
fn check(bomb: impl Fn(u32) -> ModuleDesc, per_type: usize) {
    for count in [500, 1000, 2000] {
        let desc = bomb(count);
        assert_eq!(desc.types.len(), count as usize);
        let work = work(&desc);
        assert!(work.abs_diff(per_type * count as usize) <= 4 * per_type, "{work} for {count} types");
        let registry = TypeRegistry::new().expect("there is room");
        let ids = registry.register_module(&desc).expect("there is room");
        assert_eq!(registry.len(), count as usize);
        // Another module with the same types brings none.
        assert_eq!(registry.register_module(&desc).expect("they are there"), ids);
        assert_eq!(registry.len(), count as usize);
    }
}

#[test]
fn types_that_are_exponential_unrolled() {
    // Each refers to the one before twice.
    let doubling = |at: u32| structure(None, if at == 0 { vec![] } else { vec![reference(at - 1), reference(at - 1)] });
    check(|count| module((0..count).map(|at| vec![doubling(at)]).collect()), 3);
    // The same within one group.
    check(|count| module(vec![(0..count).map(doubling).collect()]), 3);
}

#[test]
fn giant_groups() {
    let ring = |count: u32| (0..count).map(|at| structure(None, vec![reference((at + 1) % count)])).collect();
    check(|count| module(vec![ring(count)]), 2);
    // Pairs of a type and its descriptor.
    let pairs = |count: u32| {
        let pair = |at: u32| {
            let (mut object, mut descriptor) =
                (structure(None, vec![reference(at)]), structure(None, vec![reference(at)]));
            object.descriptor = Some(Descriptor { ty: TypeIndex(at + 1), before: 0 });
            descriptor.describes = Some(TypeIndex(at));
            [object, descriptor]
        };
        (0..count / 2).flat_map(|position| pair(2 * position)).collect()
    };
    check(|count| module(vec![pairs(count)]), 3);
}

#[test]
fn deep_subtyping() {
    // Chains as deep as validation allows: every type records all above it.
    const DEPTH: u32 = 63;
    let chains = |count: u32| {
        let above = |at: u32| (!at.is_multiple_of(DEPTH + 1)).then(|| at - 1);
        module((0..count).map(|at| vec![structure(above(at), vec![reference(at)])]).collect())
    };
    let desc = chains(2000);
    let registry = TypeRegistry::new().expect("there is room");
    let ids = registry.register_module(&desc).expect("there is room");
    // Chains are equal to each other.
    assert_eq!(registry.len(), 1 + DEPTH as usize);
    assert!(work(&desc) <= 3 * 2000);
    let recorded: usize = registry.read().types.iter().map(|entry| entry.info.supers.len()).sum();
    assert_eq!(recorded as u32, (DEPTH + 1) * (DEPTH + 2) / 2);
    assert!(registry.is_subtype(ids[DEPTH as usize], ids[0]) && !registry.is_subtype(ids[0], ids[DEPTH as usize]));
}

#[test]
fn an_engine_holds_so_many_types() {
    let registry = TypeRegistry::with_limit(100).expect("there is room");
    let distinct = |from: u32, count: u32| {
        let func = |params: u32| {
            CompositeType::Func(FuncType { params: vec![ValType::I32; params as usize], results: vec![] })
        };
        module((from..from + count).map(|at| vec![SubType::new(true, None, func(at))]).collect())
    };
    assert!(registry.register_module(&distinct(0, 100)).is_ok());
    assert_eq!(registry.register_module(&distinct(50, 51)), Err(TooManyTypes));
    // What is there stays usable, and the host has room of its own.
    assert!(registry.register_module(&distinct(20, 80)).is_ok());
    assert_eq!(registry.len(), 100);
    registry.register_func(&FuncType { params: vec![], results: vec![ValType::F32] });
    assert_eq!(registry.len(), 101);
}
