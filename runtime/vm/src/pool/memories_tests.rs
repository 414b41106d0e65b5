//! Tests of the memory pool: what one user leaves, no other user sees.
//!
//! Invariant: every byte of every memory handed out is compared.
//!
//! Does not know: faults; those need compiled code.

use super::*;
use crate::memory::{LinearMemory, MemoryImage};
use crate::sys::{fault, page_bytes};

const PAGE: usize = 65_536;

fn ty(minimum: u64) -> MemoryType {
    MemoryType { memory64: false, shared: false, minimum, maximum: None, page_bytes_log2: 16 }
}

fn image(seed: u8, start: usize, bytes: usize) -> ImageRef {
    let bytes: Vec<u8> = (0..bytes).map(|index| (index % 127) as u8 ^ seed).collect();
    Arc::new(MemoryImage::from_bytes(&bytes, start as u64))
}

fn pool(slots: u32, keep_resident_bytes: usize) -> Arc<MemoryPool> {
    let config = PoolConfig { slots, memory_bytes_max: 8 * PAGE as u64, keep_resident_bytes };
    MemoryPool::new(config, &Tunables::default()).unwrap()
}

/// A pooled memory must equal one that never saw a pool; then it is dirtied, grown and dirtied again.
fn check(pool: &Arc<MemoryPool>, pages: u64, image: Option<&ImageRef>) {
    let tunables = Tunables::default();
    let mut pooled = LinearMemory::pooled(pool, ty(pages), &tunables, image).unwrap();
    let own = LinearMemory::new(ty(pages), &tunables, image).unwrap();
    assert!(pooled.data() == own.data(), "{pages} pages, image {:?}", image.map(|image| image.covers()));
    pooled.data_mut().fill(0xDD);
    let old = pooled.len_bytes();
    assert_eq!(pooled.grow(1).unwrap(), (pages < 8).then_some(pages));
    assert!(pooled.data()[old..].iter().all(|byte| *byte == 0));
    pooled.data_mut().fill(0xDD);
}

#[test]
fn slots_are_clean_whatever_came_before() {
    let images = [
        None,
        Some(image(1, 0, 2 * PAGE)),
        Some(image(2, 5 * page_bytes() + 3, PAGE)),
        Some(image(3, 77, 100)),
        Some(image(4, PAGE, PAGE)),
    ];
    for keep in [0, 1, 3 * page_bytes(), 100 * PAGE] {
        let pool = pool(1, keep);
        for before in &images {
            for after in &images {
                for pages in [(3, 3), (8, 2), (2, 8)] {
                    check(&pool, pages.0, before.as_ref());
                    check(&pool, pages.1, after.as_ref());
                }
            }
        }
        check(&pool, 0, None);
        check(&pool, 3, None);
    }
}

#[test]
fn affinity_reuses_the_mapping() {
    let pool = pool(2, 0);
    let (one, two) = (image(1, 0, PAGE), image(2, 0, PAGE));
    let tunables = Tunables::default();
    let base = |image| LinearMemory::pooled(&pool, ty(1), &tunables, Some(image)).unwrap().base();
    let (first, second) = (base(&one), base(&two));
    assert_ne!(first, second);
    // Handing out the same image again needs no system call.
    for (image, expected) in [(&two, second), (&one, first), (&one, first), (&two, second)] {
        let mut taken = None;
        fault::fail_after(0);
        if let Ok(memory) = LinearMemory::pooled(&pool, ty(1), &tunables, Some(image)) {
            fault::heal();
            assert_eq!(memory.base(), expected);
            taken = Some(memory);
        }
        fault::heal();
        assert!(taken.is_some());
    }
}

#[test]
fn limits_are_errors() {
    let pool = pool(2, 0);
    let tunables = Tunables::default();
    let take = |pages| LinearMemory::pooled(&pool, ty(pages), &tunables, None);
    let (first, _second) = (take(1).unwrap(), take(8).unwrap());
    assert!(matches!(take(1), Err(MemoryError::LimitReached { slots: 2 })));
    drop(first);
    assert!(matches!(take(9), Err(MemoryError::TooLarge { .. })));
    let mut third = take(7).unwrap();
    assert_eq!((third.grow(2).unwrap(), third.grow(1).unwrap(), third.grow(1).unwrap()), (None, Some(7), None));
    // A memory whose code expects more reservation or guard than the pool has.
    let wide = Tunables { memory_reservation_bytes: 8 << 30, ..Tunables::default() };
    let guarded = Tunables { memory_guard_bytes: 64 << 20, ..Tunables::default() };
    for tunables in [wide, guarded] {
        assert!(matches!(LinearMemory::pooled(&pool, ty(1), &tunables, None), Err(MemoryError::TooLarge { .. })));
    }
    // A pool for checked code refuses unchecked code, whose addresses could reach the next slot.
    let checked = Tunables { explicit_bounds: true, ..Tunables::default() };
    let config = PoolConfig { slots: 2, memory_bytes_max: 8 * PAGE as u64, keep_resident_bytes: 0 };
    let small = MemoryPool::new(config, &checked).unwrap();
    assert!(LinearMemory::pooled(&small, ty(1), &checked, None).is_ok());
    assert!(LinearMemory::pooled(&small, ty(1), &Tunables::default(), None).is_err());
    let absurd = PoolConfig { slots: u32::MAX, memory_bytes_max: 1 << 40, keep_resident_bytes: 0 };
    assert!(MemoryPool::new(absurd, &Tunables::default()).is_err());
}

#[test]
fn every_failing_system_call_is_survived() {
    let images = [None, Some(image(1, 0, PAGE)), Some(image(2, 3 * page_bytes(), PAGE))];
    for successes in 0..12 {
        let pool = pool(3, 0);
        for round in 0..6 {
            let image = images[round % 3].as_ref();
            fault::fail_after(successes);
            let memory = LinearMemory::pooled(&pool, ty(3 + round as u64 % 2), &Tunables::default(), image);
            let grown = memory.map(|mut memory| {
                memory.data_mut().fill(0xBB);
                memory.grow(2).map(|_| memory.data_mut().fill(0xBB))
            });
            drop(grown);
            fault::heal();
        }
        // Slots whose reset failed are lost; the others are clean.
        for image in &images {
            if let Ok(memory) = LinearMemory::pooled(&pool, ty(2), &Tunables::default(), image.as_ref()) {
                drop(memory);
                check(&pool, 2, image.as_ref());
            }
        }
    }
}

#[test]
fn threads_share_a_pool() {
    let pool = pool(4, page_bytes());
    let images = [Some(image(1, 0, PAGE)), Some(image(2, 0, 2 * PAGE)), None];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (pool, images) = (&pool, &images);
            scope.spawn(move || (0..12).for_each(|round| check(pool, 2, images[(thread + round) % 3].as_ref())));
        }
    });
}

#[test]
fn recycling_restricts_nothing() {
    let tunables = Tunables::default();
    let pool = MemoryPool::recycler(&tunables).unwrap();
    let image = image(1, 0, PAGE);
    let mut live = Vec::new();
    for index in 0..RECYCLED_SLOTS + 3 {
        let mut memory = LinearMemory::recycled(&pool, ty(1), &tunables, Some(&image)).unwrap();
        assert_eq!(memory.grow(65_535).unwrap(), Some(1), "memory {index}");
        assert_eq!(memory.data()[PAGE], 0);
        memory.data_mut()[PAGE] = 1;
        live.push(memory);
    }
    drop(live);
    let memory = LinearMemory::recycled(&pool, ty(2), &tunables, Some(&image)).unwrap();
    assert_eq!((memory.data()[PAGE], memory.data()[1]), (0, 0));
    // A memory that may move, or with more than a slot offers, gets a mapping of its own.
    let moving = Tunables { memory_may_move: true, explicit_bounds: true, ..Tunables::default() };
    let large = MemoryType { memory64: true, ..ty(65_537) };
    for (ty, tunables) in [(ty(1), &moving), (large, &tunables)] {
        match LinearMemory::recycled(&pool, ty, tunables, None) {
            Ok(memory) => assert_eq!(memory.pages(), ty.minimum),
            // A machine with less memory than that.
            Err(error) => assert!(matches!(error, MemoryError::TooLarge { .. }), "{error}"),
        }
    }
}
