//! Tests of unshared memories: growth, moving, images, limits, and every failure of the system on the way.
//!
//! Invariant: after any failure the memory reads as before.
//!
//! Does not know: faults; those need compiled code.

use super::*;
use crate::memory::MemoryImage;
use crate::sys::{fault, page_bytes};

const PAGE: usize = 65_536;

fn ty(minimum: u64, maximum: Option<u64>) -> MemoryType {
    MemoryType { memory64: false, shared: false, minimum, maximum, page_bytes_log2: 16 }
}

fn bytewise(minimum: u64, maximum: Option<u64>) -> MemoryType {
    MemoryType { page_bytes_log2: 0, ..ty(minimum, maximum) }
}

/// Explicit checks, small reservation, moving allowed.
fn moving() -> Tunables {
    let reservation = 2 * PAGE as u64;
    Tunables {
        memory_reservation_bytes: reservation,
        memory_guard_bytes: 0,
        memory_may_move: true,
        ..Tunables::default()
    }
}

/// The memory's contents must be `expected` at the start and zero beyond.
fn check(memory: &LinearMemory, start: usize, expected: &[u8]) {
    let data = memory.data();
    assert!(data[..start].iter().all(|byte| *byte == 0));
    assert_eq!(&data[start..start + expected.len()], expected);
    assert!(data[start + expected.len()..].iter().all(|byte| *byte == 0));
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index % 251) as u8 + 1).collect()
}

#[test]
fn growth_in_place_and_its_limits() {
    let mut memory = LinearMemory::new(ty(1, Some(3)), &Tunables::default(), None).unwrap();
    let base = memory.base();
    memory.data_mut().fill(1);
    for (delta, expected) in [(0, Some(1)), (3, None), (u64::MAX, None), (2, Some(1)), (1, None), (0, Some(3))] {
        assert_eq!(memory.grow(delta).unwrap(), expected, "grow by {delta}");
    }
    check(&memory, 0, &[1; PAGE]);
    assert_eq!((memory.len_bytes(), memory.base()), (3 * PAGE, base));
    assert!(memory.address_range().len() >= (4 << 30) + (32 << 20));
    let definition = memory.definition();
    assert_eq!((definition.base, definition.length.into_inner()), (base, 3 * PAGE));
}

#[test]
fn memories_without_pages_exist_and_grow() {
    for ty in [ty(0, None), ty(0, Some(0)), bytewise(0, None), MemoryType { memory64: true, ..ty(0, Some(0)) }] {
        for tunables in [Tunables::default(), moving()] {
            let mut memory = LinearMemory::new(ty, &tunables, None).unwrap();
            assert_eq!(memory.data(), []);
            let expected = if ty.maximum == Some(0) { None } else { Some(0) };
            assert_eq!(memory.grow(1).unwrap(), expected);
            assert!(memory.data().iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn moving_keeps_the_contents() {
    for ty in [ty(1, None), MemoryType { memory64: true, ..ty(1, None) }] {
        let image = Arc::new(MemoryImage::from_bytes(&pattern(PAGE), 0));
        let mut memory = LinearMemory::new(ty, &moving(), Some(&image)).unwrap();
        let mut bases = std::collections::BTreeSet::from([memory.base()]);
        let mut expected = pattern(PAGE);
        for pages in 1..40 {
            assert_eq!(memory.grow(1).unwrap(), Some(pages));
            check(&memory, 0, &expected);
            memory.data_mut()[expected.len()] = 9;
            expected.resize(memory.len_bytes(), 0);
            expected[pages as usize * PAGE] = 9;
            bases.insert(memory.base());
        }
        assert!(bases.len() > 2, "moved at least twice");
        assert!(memory.capacity < 80 * PAGE);
    }
}

#[test]
fn pages_of_one_byte() {
    let mut memory = LinearMemory::new(bytewise(5, Some(10_000)), &Tunables::default(), None).unwrap();
    memory.data_mut().fill(3);
    let steps = [(1, Some(5)), (9_994, Some(6)), (1, None), (0, Some(10_000))];
    for (delta, expected) in steps {
        assert_eq!(memory.grow(delta).unwrap(), expected);
    }
    check(&memory, 0, &[3; 5]);
    assert_eq!(memory.address_range().len() - (32 << 20), 10_000usize.next_multiple_of(page_bytes()));
}

#[test]
fn images_start_memories() {
    let host_page = page_bytes();
    let sizes = [0, 1, 100, host_page, COPIED_MAX, COPIED_MAX + 1, 3 * host_page + 5, 2 * PAGE - 1];
    for bytes in sizes {
        for start in [0, 1, host_page, PAGE, PAGE + 77] {
            let bytes = pattern(bytes);
            let image = Arc::new(MemoryImage::from_bytes(&bytes, start as u64));
            for tunables in [Tunables::default(), moving()] {
                let mut first = LinearMemory::new(ty(4, None), &tunables, Some(&image)).unwrap();
                check(&first, start, &bytes);
                first.data_mut().fill(0xEE);
                let second = LinearMemory::new(ty(4, None), &tunables, Some(&image)).unwrap();
                check(&second, start, &bytes);
            }
        }
    }
}

const COPIED_MAX: usize = crate::memory::COPIED_BYTES_MAX;

#[test]
fn images_must_fit() {
    for (bytes, start, fits) in
        [(PAGE, 0, true), (PAGE, 1, false), (1, PAGE - 1, true), (1, PAGE, false), (0, PAGE, true)]
    {
        let image = Arc::new(MemoryImage::from_bytes(&pattern(bytes), start as u64));
        let memory = LinearMemory::new(ty(1, None), &Tunables::default(), Some(&image));
        assert_eq!(memory.is_ok(), fits, "{bytes} bytes at {start}");
    }
}

#[test]
fn sizes_beyond_the_machine_are_errors() {
    let memory64 = |minimum| MemoryType { memory64: true, ..ty(minimum, None) };
    let types = [ty(65_537, None), memory64(1 << 32), memory64(1 << 48), memory64(u64::MAX), bytewise(1 << 32, None)];
    for ty in types {
        for tunables in [Tunables::default(), moving()] {
            let error = LinearMemory::new(ty, &tunables, None).unwrap_err();
            assert!(matches!(error, MemoryError::TooLarge { .. }), "{error}");
        }
    }
    let mut memory = LinearMemory::new(memory64(1), &moving(), None).unwrap();
    for delta in [1 << 32, (1 << 48) - 1, 1 << 48, u64::MAX] {
        assert_eq!(memory.grow(delta).unwrap(), None);
    }
    let absurd = Tunables { memory_reservation_bytes: u64::MAX, ..Tunables::default() };
    assert!(LinearMemory::new(ty(1, None), &absurd, None).is_err());
}

#[test]
fn the_whole_range_of_a_32_bit_memory() {
    let mut memory = LinearMemory::new(ty(65_536, None), &Tunables::default(), None).unwrap();
    assert_eq!((memory.len_bytes(), memory.grow(0).unwrap(), memory.grow(1).unwrap()), (1 << 32, Some(65_536), None));
    memory.data_mut()[(1 << 32) - 1] = 1;
}

#[test]
fn every_failing_system_call_is_survived() {
    let large = Arc::new(MemoryImage::from_bytes(&pattern(3 * page_bytes()), page_bytes() as u64));
    for successes in 0.. {
        fault::fail_after(successes);
        let memory = LinearMemory::new(ty(1, None), &Tunables::default(), Some(&large));
        if !fault::heal() {
            break;
        }
        // The last success leaves the countdown at its end without a failure.
        if let Err(error) = memory {
            assert!(matches!(error, MemoryError::Map(_)), "{error}");
        }
    }
    for tunables in [Tunables::default(), moving()] {
        let mut memory = LinearMemory::new(ty(1, None), &tunables, Some(&large)).unwrap();
        for successes in 0..3 {
            let pages = memory.pages();
            fault::fail_after(successes);
            let grown = memory.grow(2);
            fault::heal();
            assert_eq!(memory.pages(), if grown.is_ok() { pages + 2 } else { pages });
            check(&memory, page_bytes(), &pattern(3 * page_bytes()));
        }
    }
    fault::fail_after(0);
    let copied = MemoryImage::from_bytes(&pattern(PAGE), 0);
    assert!(fault::heal());
    assert!(!copied.is_mapped(), "an image without a file is copied");
    let memory = LinearMemory::new(ty(1, None), &Tunables::default(), Some(&Arc::new(copied))).unwrap();
    check(&memory, 0, &pattern(PAGE));
}
