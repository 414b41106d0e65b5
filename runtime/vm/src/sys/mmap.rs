//! Mappings: ranges of address space that the process owns.
//!
//! A [`Mapping`] is one contiguous reservation, of which parts are made accessible, given back, or replaced by private
//! copies of a file, and which is unmapped as a whole when dropped.
//!
//! Promises: every refusal of the system is a [`MapError`]; after one, the mapping is still owned and valid.
//!
//! Invariant: `[base, base + bytes)` is mapped and belongs to nobody else until drop. Ranges passed in lie within it
//! and are page aligned: anything else is a programmer's error and asserts.
//!
//! Does not know: what the bytes mean.

use super::{fault, page_bytes};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

/// The system refused a mapping operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {bytes} bytes of memory")]
pub struct MapError {
    /// What was attempted, a verb.
    pub operation: &'static str,
    /// How many bytes it concerned.
    pub bytes: u64,
    /// The system's reason.
    pub source: io::Error,
}

impl MapError {
    pub(crate) fn new(operation: &'static str, bytes: usize, source: impl Into<io::Error>) -> MapError {
        MapError { operation, bytes: bytes as u64, source: source.into() }
    }
}

/// What a range of pages allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Every access faults.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing.
    ReadExecute,
}

impl Protection {
    fn prot(self) -> ProtFlags {
        match self {
            Protection::None => ProtFlags::empty(),
            Protection::Read => ProtFlags::READ,
            Protection::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
            Protection::ReadExecute => ProtFlags::READ | ProtFlags::EXEC,
        }
    }

    fn mprotect(self) -> MprotectFlags {
        match self {
            Protection::None => MprotectFlags::empty(),
            Protection::Read => MprotectFlags::READ,
            Protection::ReadWrite => MprotectFlags::READ | MprotectFlags::WRITE,
            Protection::ReadExecute => MprotectFlags::READ | MprotectFlags::EXEC,
        }
    }
}

/// An owned range of address space.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping is plain memory; whoever dereferences its base answers for the synchronization.
unsafe impl Send for Mapping {}
// SAFETY: as above; the methods that take `&self` only make system calls, which the kernel orders.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves `bytes` (rounded up to pages, at least one) of inaccessible address space that costs no memory.
    pub fn reserve(bytes: usize) -> Result<Mapping, MapError> {
        Mapping::anonymous(bytes, Protection::None, "reserve")
    }

    /// Maps `bytes` (rounded up to pages, at least one) of zeroed, writable memory.
    pub fn writable(bytes: usize) -> Result<Mapping, MapError> {
        Mapping::anonymous(bytes, Protection::ReadWrite, "allocate")
    }

    fn anonymous(bytes: usize, protection: Protection, operation: &'static str) -> Result<Mapping, MapError> {
        let rounded = bytes
            .max(1)
            .checked_next_multiple_of(page_bytes())
            .filter(|rounded| isize::try_from(*rounded).is_ok())
            .ok_or_else(|| MapError::new(operation, bytes, io::ErrorKind::OutOfMemory))?;
        fault::check().map_err(|error| MapError::new(operation, bytes, error))?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: with a null hint and without `FIXED`, the kernel picks an unused range.
        let base = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), rounded, protection.prot(), flags) }
            .map_err(|error| MapError::new(operation, bytes, error))?;
        Ok(Mapping { base: NonNull::new(base.cast()).expect("mmap never returns null"), bytes: rounded })
    }

    /// Maps the first `bytes` of `file` read-only.
    ///
    /// # Safety
    ///
    /// The file must not be changed or truncated while it is mapped.
    pub unsafe fn read_file(file: BorrowedFd<'_>, bytes: usize) -> Result<Mapping, MapError> {
        let operation = "map";
        let rounded = bytes
            .max(1)
            .checked_next_multiple_of(page_bytes())
            .ok_or_else(|| MapError::new(operation, bytes, io::ErrorKind::OutOfMemory))?;
        fault::check().map_err(|error| MapError::new(operation, bytes, error))?;
        // SAFETY: with a null hint and without `FIXED`, the kernel picks an unused range.
        let base =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), rounded, ProtFlags::READ, MapFlags::PRIVATE, file, 0) }
                .map_err(|error| MapError::new(operation, bytes, error))?;
        Ok(Mapping { base: NonNull::new(base.cast()).expect("mmap never returns null"), bytes: rounded })
    }

    /// Maps the first page of a file executable, without a use for it: `perf record` notes which files were mapped so, and
    /// that is how it learns of a list of generated code.
    ///
    /// # Errors
    ///
    /// The file cannot be mapped.
    pub fn mark_file(file: BorrowedFd<'_>) -> Result<Mapping, MapError> {
        let bytes = page_bytes();
        let protection = ProtFlags::READ | ProtFlags::EXEC;
        // SAFETY: a new mapping at an address of the kernel's choice, whose bytes nobody reads or runs.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE, file, 0) }
            .map_err(|error| MapError::new("map", bytes, error))?;
        Ok(Mapping { base: NonNull::new(base.cast()).expect("mmap never returns null"), bytes })
    }

    /// Address of the first byte.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes mapped, a multiple of the page size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of `range`, which must be page aligned and within the mapping.
    fn at(&self, range: &Range<usize>) -> *mut libc::c_void {
        assert!(range.start <= range.end && range.end <= self.bytes, "range {range:?} outside {} bytes", self.bytes);
        assert!(range.start.is_multiple_of(page_bytes()) && range.end.is_multiple_of(page_bytes()));
        self.base.as_ptr().wrapping_add(range.start).cast()
    }

    /// Makes `range` readable and writable.
    pub fn make_accessible(&self, range: Range<usize>) -> Result<(), MapError> {
        // SAFETY: nothing that could be done with the range before is taken away, save executing it, which only
        // `CodeMemory` does and which never makes code writable again.
        unsafe { self.protect(range, Protection::ReadWrite) }
    }

    /// Changes what `range` allows.
    ///
    /// # Safety
    ///
    /// No Rust reference, and no running code, may need an access to `range` that `protection` forbids.
    pub unsafe fn protect(&self, range: Range<usize>, protection: Protection) -> Result<(), MapError> {
        if range.is_empty() {
            return Ok(());
        }
        let at = self.at(&range);
        fault::check().map_err(|error| MapError::new("protect", range.len(), error))?;
        // SAFETY: `at` checked that the range is ours; the caller answers for its users.
        unsafe { rustix::mm::mprotect(at, range.len(), protection.mprotect()) }
            .map_err(|error| MapError::new("protect", range.len(), error))
    }

    /// Drops the contents of `range`: anonymous pages become zero, pages of a private file mapping the file's again.
    ///
    /// # Safety
    ///
    /// No Rust reference into `range` may be live.
    pub unsafe fn decommit(&self, range: Range<usize>) -> Result<(), MapError> {
        if range.is_empty() {
            return Ok(());
        }
        let at = self.at(&range);
        fault::check().map_err(|error| MapError::new("reset", range.len(), error))?;
        #[cfg(target_os = "linux")]
        // SAFETY: `at` checked that the range is ours; the caller answers for its users.
        let result = unsafe { rustix::mm::madvise(at, range.len(), rustix::mm::Advice::LinuxDontNeed) };
        // Elsewhere "don't need" may keep the contents, and private file mappings are not used (`anonymous_file`).
        #[cfg(not(target_os = "linux"))]
        // SAFETY: as above; the new pages replace ours in place.
        let result = unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
            rustix::mm::mmap_anonymous(at, range.len(), Protection::ReadWrite.prot(), flags).map(drop)
        };
        result.map_err(|error| MapError::new("reset", range.len(), error))
    }

    /// Replaces `range` by zeroed pages.
    ///
    /// # Safety
    ///
    /// No Rust reference into `range` may be live.
    pub unsafe fn replace(&self, range: Range<usize>, protection: Protection) -> Result<(), MapError> {
        if range.is_empty() {
            return Ok(());
        }
        let at = self.at(&range);
        fault::check().map_err(|error| MapError::new("replace", range.len(), error))?;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: `at` checked that the replaced range is ours; the caller answers for its users.
        unsafe { rustix::mm::mmap_anonymous(at, range.len(), protection.prot(), flags) }
            .map(drop)
            .map_err(|error| MapError::new("replace", range.len(), error))
    }

    /// Replaces `range` by a private, writable copy of `file` from `offset` on: writes stay in this process and nothing
    /// is copied before one happens.
    ///
    /// # Safety
    ///
    /// No Rust reference into `range` may be live, and the file must not be changed or truncated while it is mapped.
    pub unsafe fn replace_by_file(&self, range: Range<usize>, file: &File, offset: u64) -> Result<(), MapError> {
        if range.is_empty() {
            return Ok(());
        }
        let at = self.at(&range);
        assert!(offset.is_multiple_of(page_bytes() as u64));
        fault::check().map_err(|error| MapError::new("map", range.len(), error))?;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: `at` checked that the replaced range is ours; the caller answers for its users and for the file.
        unsafe { rustix::mm::mmap(at, range.len(), Protection::ReadWrite.prot(), flags, file.as_fd(), offset) }
            .map(drop)
            .map_err(|error| MapError::new("map", range.len(), error))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and whoever borrowed from it is gone by now.
        let result = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert!(result.is_ok(), "munmap: {result:?}");
    }
}

/// A nameless file of `bytes` zero bytes that lives in memory. Systems without one answer "unsupported", and callers
/// copy instead.
#[cfg(target_os = "linux")]
pub(crate) fn anonymous_file(bytes: u64) -> io::Result<File> {
    fault::check()?;
    let file = rustix::fs::memfd_create("wattest-image", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&file, bytes)?;
    Ok(File::from(file))
}

/// A nameless file of `bytes` zero bytes that lives in memory. Systems without one answer "unsupported", and callers
/// copy instead.
#[cfg(not(target_os = "linux"))]
pub(crate) fn anonymous_file(_bytes: u64) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_used_in_parts() {
        let page = page_bytes();
        let mapping = Mapping::reserve(16 * page - 1).unwrap();
        assert_eq!(mapping.bytes(), 16 * page);
        mapping.make_accessible(page..3 * page).unwrap();
        // SAFETY: the two pages are accessible and no reference is kept across the calls that drop their contents.
        unsafe {
            let at = mapping.base().add(page);
            at.write(1);
            at.add(2 * page - 1).write(2);
            mapping.decommit(page..2 * page).unwrap();
            assert_eq!((at.read(), at.add(2 * page - 1).read()), (0, 2));
            mapping.replace(page..3 * page, Protection::ReadWrite).unwrap();
            assert_eq!(at.add(2 * page - 1).read(), 0);
        }
    }

    #[test]
    fn absurd_sizes_are_errors() {
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 62, 1 << 48] {
            assert_eq!(Mapping::reserve(bytes).unwrap_err().bytes, bytes as u64);
        }
    }

    #[test]
    fn the_failure_seam_counts() {
        fault::fail_after(1);
        let first = Mapping::reserve(1);
        let second = Mapping::reserve(1);
        assert!(fault::heal());
        assert!(first.is_ok() && second.is_err());
        assert!(Mapping::reserve(1).is_ok());
    }
}
