//! Artifacts: reading and writing the format of [`wattest_abi::artifact`].
//!
//! [`ArtifactFile`] is a mapped file (or bytes in memory) whose sections are used where they lie; [`ArtifactWriter`]
//! makes one.
//!
//! Promises: no bytes make reading panic or read out of bounds; every departure from the format is an
//! [`ArtifactError`]. Unless the reader is told to trust the file, one changed bit anywhere is an error.
//!
//! Invariant: every section's range lies within the file, after the section table; kinds are distinct.
//!
//! Does not know: what the sections mean.

use crate::memory::MemoryImage;
use crate::sys::{MapError, Mapping, Protection, page_bytes};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
pub use wattest_abi::artifact::CHECKSUM_AT;
use wattest_abi::artifact::{HEADER_BYTES, MAGIC, PAGE_BYTES, SECTION_BYTES, SectionKind, VERSION};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// An artifact cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file cannot be read.
    #[error("cannot read the artifact")]
    Io(#[from] io::Error),
    /// The file cannot be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The file is not an artifact.
    #[error("not a wattest artifact")]
    NotAnArtifact,
    /// The artifact was made by another version.
    #[error("the artifact has version {found}, this runtime reads version {VERSION}")]
    Version {
        /// The artifact's version.
        found: u32,
    },
    /// The artifact is damaged.
    #[error("the artifact is damaged: {what} at byte {offset}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where.
        offset: usize,
    },
}

fn damaged(what: &'static str, offset: usize) -> ArtifactError {
    ArtifactError::Damaged { what, offset }
}

/// Every section kind, in the order of their numbers.
const KINDS: [SectionKind; 12] = [
    SectionKind::Compatibility,
    SectionKind::Module,
    SectionKind::Text,
    SectionKind::Functions,
    SectionKind::Traps,
    SectionKind::Addresses,
    SectionKind::Data,
    SectionKind::Images,
    SectionKind::Names,
    SectionKind::Handlers,
    SectionKind::StackMaps,
    SectionKind::Locals,
];

fn is_mapped_kind(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::Text | SectionKind::Images)
}

/// Where a section of `kind` may begin.
fn alignment(kind: SectionKind) -> usize {
    if is_mapped_kind(kind) { PAGE_BYTES } else { 8 }
}

/// An artifact, opened.
#[derive(Debug)]
pub struct ArtifactFile {
    source: Source,
    sections: [Range<usize>; KINDS.len()],
}

#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    File { mapping: Mapping, bytes: usize, file: Arc<File> },
}

impl Source {
    fn bytes(&self) -> &[u8] {
        match self {
            Source::Bytes(bytes) => bytes,
            // SAFETY: the first `bytes` bytes are readable; that the file does not change, `ArtifactFile::open`
            // demands.
            Source::File { mapping, bytes, .. } => unsafe { std::slice::from_raw_parts(mapping.base(), *bytes) },
        }
    }
}

impl ArtifactFile {
    /// Maps the artifact at `path`. Its checksum is verified unless it is `trusted` to be undamaged.
    ///
    /// # Safety
    ///
    /// Nobody may change or truncate the file as long as the artifact, or anything made from it, exists.
    pub unsafe fn open(path: &Path, trusted: bool) -> Result<ArtifactFile, ArtifactError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ArtifactError::NotAnArtifact);
        }
        let bytes = usize::try_from(metadata.len()).map_err(|_| damaged("length", 0))?;
        // SAFETY: the caller promises it.
        let mapping = unsafe { Mapping::read_file(file.as_fd(), bytes)? };
        ArtifactFile::new(Source::File { mapping, bytes, file: Arc::new(file) }, trusted)
    }

    /// Reads an artifact in memory. Its checksum is verified unless it is `trusted` to be undamaged.
    pub fn from_bytes(bytes: Vec<u8>, trusted: bool) -> Result<ArtifactFile, ArtifactError> {
        ArtifactFile::new(Source::Bytes(bytes), trusted)
    }

    fn new(source: Source, trusted: bool) -> Result<ArtifactFile, ArtifactError> {
        let sections = parse(source.bytes(), trusted)?;
        Ok(ArtifactFile { source, sections })
    }

    /// Whether `bytes` begin like an artifact.
    pub fn is_artifact(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    fn range(&self, kind: SectionKind) -> Range<usize> {
        self.sections[kind as usize - 1].clone()
    }

    /// The contents of a section; empty when there is none.
    pub fn section(&self, kind: SectionKind) -> &[u8] {
        &self.source.bytes()[self.range(kind)]
    }

    /// Makes the text executable where it lies; `false` when it must be copied, because it is not mapped from a file or
    /// not aligned to the host's pages.
    pub(crate) fn make_text_executable(&self) -> Result<bool, MapError> {
        let Source::File { mapping, .. } = &self.source else { return Ok(false) };
        let text = self.range(SectionKind::Text);
        if text.is_empty() || !text.start.is_multiple_of(page_bytes()) {
            return Ok(false);
        }
        // The last page's rest holds the start of the next section: it remains readable too.
        let pages = text.start..text.end.next_multiple_of(page_bytes());
        // SAFETY: reading stays allowed, and nothing writes.
        unsafe { mapping.protect(pages, Protection::ReadExecute)? };
        Ok(true)
    }

    /// The image that consists of the bytes `range` of the images section, at byte `start` of a memory; `None` when the
    /// range lies outside the section or `start + range.len()` overflows.
    pub fn image(&self, range: Range<u64>, start: u64) -> Option<MemoryImage> {
        let section = self.range(SectionKind::Images);
        let (from, to) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        let bytes = self.section(SectionKind::Images).get(from..to)?;
        start.checked_add(bytes.len() as u64)?.checked_add(page_bytes() as u64)?;
        if let Source::File { file, .. } = &self.source
            && bytes.len() > crate::memory::COPIED_BYTES_MAX
        {
            let offset = (section.start + from) as u64;
            // SAFETY: that the file does not change, `ArtifactFile::open` demands.
            let image = unsafe { MemoryImage::from_file(file.clone(), offset, bytes.len() as u64, start) };
            if image.is_some() {
                return image;
            }
        }
        Some(MemoryImage::from_bytes(bytes, start))
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, ArtifactError> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    field.map(|field| u32::from_le_bytes(*field)).ok_or_else(|| damaged("end of file", at))
}

fn double_word(bytes: &[u8], at: usize) -> Result<u64, ArtifactError> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    field.map(|field| u64::from_le_bytes(*field)).ok_or_else(|| damaged("end of file", at))
}

/// The checksum of an artifact. The header's fields before it enter as the seed.
fn checksum(version: u32, count: u32, rest: &[u8]) -> [u8; 16] {
    xxh3_128_with_seed(rest, u64::from(version) | u64::from(count) << 32).to_le_bytes()
}

/// Checks everything about `bytes` that can be checked and finds the sections.
fn parse(bytes: &[u8], trusted: bool) -> Result<[Range<usize>; KINDS.len()], ArtifactError> {
    if !ArtifactFile::is_artifact(bytes) {
        return Err(ArtifactError::NotAnArtifact);
    }
    let (version, count) = (word(bytes, 8)?, word(bytes, 12)?);
    if version != VERSION {
        return Err(ArtifactError::Version { found: version });
    }
    let length = double_word(bytes, 32)?;
    if length != bytes.len() as u64 || bytes.len() < HEADER_BYTES {
        return Err(damaged("length", 32));
    }
    let trusted = trusted || wattest_abi::mutant!(artifact_checksum_ignored);
    if !trusted && checksum(version, count, &bytes[CHECKSUM_AT.end..]) != bytes[CHECKSUM_AT] {
        return Err(damaged("checksum", CHECKSUM_AT.start));
    }
    if count as usize > KINDS.len() {
        return Err(damaged("section count", 12));
    }
    let table_end = HEADER_BYTES + count as usize * SECTION_BYTES;
    let mut sections: [Range<usize>; KINDS.len()] = Default::default();
    for at in (HEADER_BYTES..table_end).step_by(SECTION_BYTES) {
        let number = word(bytes, at)?;
        let kind =
            KINDS.iter().copied().find(|kind| *kind as u32 == number).ok_or_else(|| damaged("section kind", at))?;
        let (start, section_bytes) = (double_word(bytes, at + 8)?, double_word(bytes, at + 16)?);
        let end = start.checked_add(section_bytes).filter(|end| *end <= length);
        let end = end.ok_or_else(|| damaged("section range", at + 8))? as usize;
        let start = start as usize;
        if start < table_end || !start.is_multiple_of(alignment(kind)) {
            return Err(damaged("section offset", at + 8));
        }
        // A present section has a start after the table, so an untouched range is recognized by its zero start.
        let section = &mut sections[kind as usize - 1];
        if section.start != 0 {
            return Err(damaged("second section of a kind", at));
        }
        *section = start..end;
    }
    Ok(sections)
}

/// Makes the checksum of an artifact fit its bytes again: for harnesses that look at what lies behind it.
pub fn seal(bytes: &mut [u8]) {
    if let (Ok(version), Ok(count), true) = (word(bytes, 8), word(bytes, 12), bytes.len() >= HEADER_BYTES) {
        let sum = checksum(version, count, &bytes[CHECKSUM_AT.end..]);
        bytes[CHECKSUM_AT].copy_from_slice(&sum);
    }
}

/// Puts an artifact together.
#[derive(Debug, Default)]
pub struct ArtifactWriter {
    sections: Vec<(SectionKind, Vec<u8>)>,
}

impl ArtifactWriter {
    /// Appends a section.
    ///
    /// # Panics
    ///
    /// If there is one of this kind already.
    pub fn section(&mut self, kind: SectionKind, contents: Vec<u8>) {
        assert!(self.sections.iter().all(|(other, _)| *other != kind), "second section {kind:?}");
        self.sections.push((kind, contents));
    }

    /// The whole file. The same sections give the same bytes.
    pub fn finish(self) -> Vec<u8> {
        let count = self.sections.len() as u32;
        let total = self.sections.iter().map(|(_, contents)| contents.len() + PAGE_BYTES).sum::<usize>();
        let mut bytes = Vec::with_capacity(total + HEADER_BYTES + count as usize * SECTION_BYTES);
        bytes.resize(HEADER_BYTES + count as usize * SECTION_BYTES, 0);
        for (position, (kind, contents)) in self.sections.iter().enumerate() {
            bytes.resize(bytes.len().next_multiple_of(alignment(*kind)), 0);
            let row = HEADER_BYTES + position * SECTION_BYTES;
            let offset = bytes.len() as u64;
            bytes[row..row + 4].copy_from_slice(&(*kind as u32).to_le_bytes());
            bytes[row + 8..row + 16].copy_from_slice(&offset.to_le_bytes());
            bytes[row + 16..row + 24].copy_from_slice(&(contents.len() as u64).to_le_bytes());
            bytes.extend_from_slice(contents);
            // What is mapped shares its last page with nothing, so that no other section becomes executable or is read
            // by a guest.
            if is_mapped_kind(*kind) {
                bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
            }
        }
        let length = bytes.len() as u64;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&count.to_le_bytes());
        bytes[32..40].copy_from_slice(&length.to_le_bytes());
        let sum = checksum(VERSION, count, &bytes[CHECKSUM_AT.end..]);
        bytes[CHECKSUM_AT].copy_from_slice(&sum);
        bytes
    }
}

#[cfg(test)]
#[path = "artifact_tests.rs"]
mod tests;
