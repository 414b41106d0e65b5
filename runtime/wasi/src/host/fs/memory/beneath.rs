//! A directory beneath the one in memory: what is read from it, and when.
//!
//! An overlay is a file system in memory whose directories fill themselves from another directory when they are first looked
//! at, and whose files are copied when they are first written to. Nothing is ever written below.
//!
//! Invariant: an entry is taken over once; what was removed or renamed in memory does not come back. Names that are not
//! UTF-8, and what is neither file, directory nor link, are not taken over.
//!
//! Does not know: which file system is beneath; it only reads.

use super::super::{Dir, File, FileKind, Metadata, OpenOptions, Opened};
use super::state::{Content, Directory, NodeIndex, State};
use crate::Errno;
use rustix::io::IoSliceMut;

/// Bytes copied in one go.
const COPY_BYTES: usize = 64 << 10;

/// A file of the directory beneath, opened when it is first asked for.
#[derive(Debug)]
pub struct LowerFile {
    dir: Dir,
    name: String,
    opened: Option<(File, Metadata)>,
}

impl LowerFile {
    /// Its size, if it has been opened.
    pub fn size_bytes(&self) -> u64 {
        self.opened.as_ref().map_or(0, |(_, metadata)| metadata.size_bytes)
    }

    fn open(&mut self) -> Result<&(File, Metadata), Errno> {
        if self.opened.is_none() {
            let options = OpenOptions { read: true, ..OpenOptions::default() };
            let Opened::File(file) = self.dir.open(&self.name, &options)? else { return Err(Errno::Io) };
            let metadata = file.metadata()?;
            self.opened = Some((file, metadata));
        }
        self.opened.as_ref().ok_or(Errno::Io)
    }

    /// Reads at `offset`.
    pub fn read_at(&mut self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno> {
        self.open()?.0.read_at(buffers, offset)
    }
}

impl State {
    /// Fills a directory with what lies beneath it, once.
    pub fn list(&mut self, index: NodeIndex) -> Result<(), Errno> {
        let Some((parent, name)) = self.dir(index)?.beneath.clone() else { return Ok(()) };
        let options = OpenOptions { read: true, directory: true, ..OpenOptions::default() };
        let Opened::Dir(lower) = parent.open(&name, &options)? else { return Err(Errno::NotDir) };
        let mut rows = Vec::new();
        lower.entries(0, |entry| {
            if let Ok(name) = str::from_utf8(entry.name)
                && !matches!(name, "." | "..")
            {
                rows.push((name.to_owned(), entry.kind));
            }
            true
        })?;
        rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (name, kind) in rows {
            let kind = match kind {
                FileKind::Unknown => lower.metadata_at(&name, false)?.kind,
                kind => kind,
            };
            let content = match kind {
                FileKind::Directory => Content::Dir(Directory::new(index, Some((lower.clone(), name.clone())))),
                FileKind::Regular => Content::Lower(LowerFile { dir: lower.clone(), name: name.clone(), opened: None }),
                FileKind::SymbolicLink => match String::from_utf8(lower.read_link(&name)?) {
                    Ok(target) => Content::Link(target),
                    Err(_) => continue,
                },
                _ => continue,
            };
            let node = self.insert(content)?;
            self.bind(index, &name, node)?;
        }
        self.dir_mut(index)?.beneath = None;
        Ok(())
    }

    /// Finds out what a file beneath is like, once.
    pub fn learn(&mut self, index: NodeIndex) -> Result<(), Errno> {
        let node = self.node_mut(index)?;
        if let Content::Lower(file) = &mut node.content
            && file.opened.is_none()
        {
            let (_, metadata) = file.open()?;
            (node.accessed, node.modified, node.changed) = (metadata.accessed, metadata.modified, metadata.changed);
        }
        Ok(())
    }

    /// The bytes of a file, copied from beneath if nobody has written to it yet.
    pub fn bytes_mut(&mut self, index: NodeIndex) -> Result<&mut Vec<u8>, Errno> {
        if let Content::Lower(file) = &mut self.node_mut(index)?.content {
            let (file, metadata) = file.open()?.clone();
            self.charge(metadata.size_bytes)?;
            let copied = copy(&file, metadata.size_bytes);
            if copied.is_err() {
                self.refund(metadata.size_bytes);
            }
            let mut bytes = copied?;
            // Somebody else may have changed the file since: what was charged is what there is.
            bytes.resize(usize::try_from(metadata.size_bytes).map_err(|_| Errno::Fbig)?, 0);
            self.node_mut(index)?.content = Content::File(bytes);
        }
        match &mut self.node_mut(index)?.content {
            Content::File(bytes) => Ok(bytes),
            _ => Err(Errno::Inval),
        }
    }
}

fn copy(file: &File, bytes_max: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; COPY_BYTES];
    while (bytes.len() as u64) < bytes_max {
        let count = file.read_at(&mut [IoSliceMut::new(&mut buffer)], bytes.len() as u64)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
    Ok(bytes)
}
