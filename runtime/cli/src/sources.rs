//! The binaries of what runs, kept to say which lines of a source a trap came from.
//!
//! Invariant: nothing is read or parsed before something has failed.
//!
//! Does not know: how debug information is written (`dwarf`).

use crate::binary;
use crate::dwarf::{self, Place};
use crate::load::Loaded;
use std::borrow::Cow;
use std::ops::Range;
use wattest::Frame;

/// A file as it was read: binary or text.
#[derive(Debug)]
pub struct Source {
    bytes: Vec<u8>,
    /// The modules in it by their numbers; where each lies, if not in the whole file.
    modules: Vec<(u64, Option<Range<usize>>)>,
}

impl Source {
    /// The file from which something was loaded.
    pub fn new(bytes: Vec<u8>, loaded: &Loaded) -> Source {
        let modules = match loaded {
            Loaded::Module(module) => vec![(module.id(), None)],
            Loaded::Component(component) => {
                let rows = component.core_modules().into_iter();
                rows.map(|row| (row.module.id(), Some(row.start..row.start + row.bytes))).collect()
            }
        };
        Source { bytes, modules }
    }

    /// The binary of one of its modules.
    fn binary(&self, range: Option<&Range<usize>>) -> Option<Cow<'_, [u8]>> {
        let is_binary = self.bytes.starts_with(b"\0asm");
        match range {
            Some(range) if is_binary => self.bytes.get(range.clone()).map(Cow::Borrowed),
            Some(range) => Some(wat::parse_bytes(&self.bytes).ok()?.get(range.clone())?.to_vec().into()),
            None if is_binary => Some(Cow::Borrowed(&self.bytes)),
            None => wat::parse_bytes(&self.bytes).map(|binary| binary.into_owned().into()).ok(),
        }
    }
}

/// The files of all that runs in a process.
#[derive(Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a file; none if it was compiled ahead of time.
    pub fn add(&mut self, source: Option<Source>) {
        self.0.extend(source);
    }

    /// The binary of a module, if its file is here.
    pub fn binary(&self, module: u64) -> Option<Cow<'_, [u8]>> {
        let mut modules = self.0.iter().flat_map(|source| source.modules.iter().map(move |row| (source, row)));
        let (source, (_, range)) = modules.find(|(_, (id, _))| *id == module)?;
        source.binary(range.as_ref())
    }

    /// The places that frames are at, each innermost first; nothing where nothing is known.
    pub fn places(&self, frames: &[Frame]) -> Vec<Vec<Place>> {
        let mut places = vec![Vec::new(); frames.len()];
        let mut modules: Vec<_> = frames.iter().map(|frame| frame.module_id).collect();
        modules.sort_unstable();
        modules.dedup();
        for module in modules {
            let Some(binary) = self.binary(module) else { continue };
            let own: Vec<_> = (0..frames.len())
                .filter_map(|at| Some((at, frames[at].wasm_offset.filter(|_| frames[at].module_id == module)?)))
                .collect();
            let offsets: Vec<_> = own.iter().map(|(_, offset)| *offset).collect();
            for ((at, _), found) in own.iter().zip(dwarf::places(&binary, &offsets)) {
                places[*at] = found;
            }
        }
        places
    }

    /// How far into its function's body a frame is, in bytes of the binary.
    pub fn offset_in_body(&self, frame: &Frame, imported_functions: u32) -> Option<u32> {
        let binary = self.binary(frame.module_id)?;
        let defined = frame.func_index.checked_sub(imported_functions)?;
        let start = *binary::bodies(&binary).get(defined as usize)?;
        frame.wasm_offset?.checked_sub(u32::try_from(start).ok()?)
    }
}
