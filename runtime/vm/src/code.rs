//! Executable memory.
//!
//! [`CodeMemory`] holds a module's text: a copy in pages of its own, or the text section of a mapped artifact in place.
//!
//! Promises: text is never writable once it is executable.
//!
//! Invariant: the text lies at one address, readable and executable, until drop.
//!
//! Does not know: where functions start, what traps.

use crate::artifact::ArtifactFile;
use crate::sys::{MapError, Mapping, Protection, sync_instruction_cache};
use std::ops::Range;
use std::sync::Arc;
use wattest_abi::artifact::SectionKind;

/// A module's machine code.
#[derive(Debug)]
pub struct CodeMemory {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Own { mapping: Mapping, bytes: usize },
    Artifact(Arc<ArtifactFile>),
}

impl CodeMemory {
    /// Copies `text` into executable pages.
    pub fn new(text: &[u8]) -> Result<CodeMemory, MapError> {
        let mapping = Mapping::writable(text.len())?;
        // SAFETY: the mapping is new, at least as long as the text, and nobody refers to it yet.
        unsafe {
            mapping.base().copy_from_nonoverlapping(text.as_ptr(), text.len());
            mapping.protect(0..mapping.bytes(), Protection::ReadExecute)?;
        }
        sync_instruction_cache(mapping.base(), text.len());
        Ok(CodeMemory { source: Source::Own { mapping, bytes: text.len() } })
    }

    /// Uses the text section of `artifact`: in place when it is mapped from a file, else by a copy.
    pub fn from_artifact(artifact: &Arc<ArtifactFile>) -> Result<CodeMemory, MapError> {
        if artifact.make_text_executable()? {
            return Ok(CodeMemory { source: Source::Artifact(artifact.clone()) });
        }
        CodeMemory::new(artifact.section(SectionKind::Text))
    }

    /// The code, then read-only data.
    pub fn text(&self) -> &[u8] {
        match &self.source {
            // SAFETY: readable and immutable as long as the mapping lives.
            Source::Own { mapping, bytes } => unsafe { std::slice::from_raw_parts(mapping.base(), *bytes) },
            Source::Artifact(artifact) => artifact.section(SectionKind::Text),
        }
    }

    /// The addresses of the text.
    pub fn range(&self) -> Range<usize> {
        let text = self.text().as_ptr_range();
        text.start as usize..text.end as usize
    }

    /// The address of the code at `text_offset`; `None` outside the text.
    pub fn entry(&self, text_offset: u32) -> Option<*const u8> {
        self.text().get(text_offset as usize).map(std::ptr::from_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_runs() {
        // `mov eax, 42; ret`
        let code = CodeMemory::new(&[0xB8, 42, 0, 0, 0, 0xC3]).unwrap();
        // SAFETY: the bytes are a function of this type.
        let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(code.entry(0).unwrap()) };
        assert_eq!(function(), 42);
        assert_eq!((code.entry(6), code.range().len()), (None, 6));
    }

    #[test]
    fn empty_text_has_no_addresses() {
        let code = CodeMemory::new(&[]).unwrap();
        assert!(code.text().is_empty() && code.range().is_empty() && code.entry(0).is_none());
    }
}
