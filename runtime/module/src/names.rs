//! Function names.
//!
//! [`Names`] reads the name section
//! ([spec](https://webassembly.github.io/spec/core/appendix/custom.html#name-section)) lazily: nothing is decoded until a
//! backtrace asks.
//!
//! Invariant: a malformed name section yields fewer names, never an error.
//!
//! Does not know: demangling.

use wasmparser::{BinaryReader, Name, NameSectionReader};

/// The contents of a name section.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    bytes: &'a [u8],
}

impl<'a> Names<'a> {
    /// Wraps the section's contents.
    ///
    /// ```
    /// assert_eq!(wattest_module::Names::new(&[]).function(0), None);
    /// ```
    pub fn new(bytes: &'a [u8]) -> Names<'a> {
        Names { bytes }
    }

    /// The name of function `index`.
    pub fn function(&self, index: u32) -> Option<&'a str> {
        for subsection in NameSectionReader::new(BinaryReader::new(self.bytes, 0)) {
            if let Ok(Name::Function(names)) = subsection {
                return names.into_iter().map_while(Result::ok).find(|name| name.index == index).map(|name| name.name);
            }
        }
        None
    }

    /// The module's name.
    pub fn module(&self) -> Option<&'a str> {
        for subsection in NameSectionReader::new(BinaryReader::new(self.bytes, 0)) {
            if let Ok(Name::Module { name, .. }) = subsection {
                return Some(name);
            }
        }
        None
    }
}
