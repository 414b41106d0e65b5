//! Initial contents of memories.
//!
//! A [`MemoryImage`] is what a module's active data segments write, as bytes at an offset. A large one lives in a file
//! (an anonymous one, or the artifact itself) of which every memory maps a private copy; a small one is copied, since
//! that is cheaper than a system call and a page fault.
//!
//! Invariant: a file image covers whole host pages and its file never changes.
//!
//! Does not know: segments, modules.

use crate::sys::{MapError, Mapping, anonymous_file, page_bytes};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shared image.
pub type ImageRef = Arc<MemoryImage>;

/// Images of at most this many bytes are copied instead of mapped. Measured: copying costs one page fault per page,
/// mapping a system call and a fault per page that the guest touches, so that copying wins for a single page only.
pub const COPIED_BYTES_MAX: usize = 4 << 10;

/// The initial contents of a part of a memory.
#[derive(Debug)]
pub struct MemoryImage {
    id: u64,
    covers: Range<u64>,
    backing: Backing,
}

#[derive(Debug)]
enum Backing {
    Bytes(Vec<u8>),
    File { file: Arc<File>, offset: u64 },
}

impl MemoryImage {
    /// The image of `bytes` at byte `start` of the memory.
    ///
    /// # Panics
    ///
    /// If `start + bytes.len()` overflows.
    pub fn from_bytes(bytes: &[u8], start: u64) -> MemoryImage {
        assert!(start.checked_add(bytes.len() as u64 + page_bytes() as u64).is_some());
        if bytes.len() > COPIED_BYTES_MAX
            && let Ok(image) = MemoryImage::in_anonymous_file(bytes, start)
        {
            return image;
        }
        MemoryImage::new(start..start + bytes.len() as u64, Backing::Bytes(bytes.to_vec()))
    }

    /// The image whose contents are `bytes` bytes of `file` from `offset` on, at byte `start` of the memory. All three
    /// numbers are multiples of the host's page size, else the answer is `None` and the caller copies.
    ///
    /// # Safety
    ///
    /// Nobody may change or truncate the file as long as the image, or a memory made from it, exists.
    pub unsafe fn from_file(file: Arc<File>, offset: u64, bytes: u64, start: u64) -> Option<MemoryImage> {
        let page = page_bytes() as u64;
        let aligned = [offset, bytes, start].iter().all(|number| number.is_multiple_of(page));
        let end = start.checked_add(bytes)?;
        aligned.then(|| MemoryImage::new(start..end, Backing::File { file, offset }))
    }

    fn in_anonymous_file(bytes: &[u8], start: u64) -> std::io::Result<MemoryImage> {
        let page = page_bytes() as u64;
        let first = start - start % page;
        let end = (start + bytes.len() as u64).next_multiple_of(page);
        let file = anonymous_file(end - first)?;
        file.write_all_at(bytes, start - first)?;
        Ok(MemoryImage::new(first..end, Backing::File { file: Arc::new(file), offset: 0 }))
    }

    fn new(covers: Range<u64>, backing: Backing) -> MemoryImage {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        MemoryImage { id: NEXT.fetch_add(1, Ordering::Relaxed), covers, backing }
    }

    /// The bytes of memory that the image determines.
    pub fn covers(&self) -> Range<u64> {
        self.covers.clone()
    }

    /// Unique in the process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether memories map the image instead of copying it.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.backing, Backing::File { .. })
    }

    /// The covered range as offsets into a mapping that holds the memory from its start. The caller has checked that
    /// the image ends within the memory's length.
    pub(crate) fn range(&self) -> Range<usize> {
        self.covers.start as usize..self.covers.end as usize
    }

    /// Puts the image into `mapping`, where a memory starts at byte `at`.
    ///
    /// # Safety
    ///
    /// No Rust reference into the memory may be live; for an image that is copied, its range must be accessible.
    pub(crate) unsafe fn apply(&self, mapping: &Mapping, at: usize) -> Result<(), MapError> {
        let range = at + self.range().start..at + self.range().end;
        assert!(range.end <= mapping.bytes());
        match &self.backing {
            // SAFETY: the range lies within the mapping and is accessible; the source is a vector of ours.
            Backing::Bytes(bytes) => unsafe {
                mapping.base().add(range.start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            },
            // SAFETY: nobody changes the file: an anonymous one has no other user, for others `from_file` asks for it.
            Backing::File { file, offset } => unsafe { mapping.replace_by_file(range, file, *offset)? },
        }
        Ok(())
    }
}
