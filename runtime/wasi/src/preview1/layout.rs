//! Records as they lie in a guest's memory.
//!
//! Sizes and offsets are those of the specification
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#types)); everything is little-endian.
//!
//! Invariant: padding is written as zeros, so that no byte of the host leaks.
//!
//! Does not know: where the records are stored.

use super::rights::Rights;
use crate::Errno;
use crate::host::fs::{FileFlags, FileKind, Metadata, NewTime};

/// Bytes of a `fdstat`.
pub const FDSTAT_BYTES: u32 = 24;
/// Bytes of a `filestat`.
pub const FILESTAT_BYTES: u32 = 64;
/// Bytes of a `filestat` of the first edition, whose link count is 32 bits wide.
pub const FILESTAT_UNSTABLE_BYTES: u32 = 56;
/// Bytes of a `dirent`, without the name that follows.
pub const DIRENT_BYTES: u32 = 24;
/// Bytes of an `event`.
pub const EVENT_BYTES: u32 = 32;

fn put<const N: usize>(record: &mut [u8], at: usize, bytes: [u8; N]) {
    record[at..at + N].copy_from_slice(&bytes);
}

/// The `filetype` of a file.
pub fn file_type(kind: FileKind) -> u8 {
    match kind {
        FileKind::Unknown => 0,
        FileKind::BlockDevice => 1,
        FileKind::CharacterDevice => 2,
        FileKind::Directory => 3,
        FileKind::Regular => 4,
        FileKind::Socket => 6,
        FileKind::SymbolicLink => 7,
    }
}

/// A `fdstat`.
pub fn fdstat(kind: FileKind, flags: FileFlags, base: Rights, inheriting: Rights) -> [u8; FDSTAT_BYTES as usize] {
    let mut record = [0; FDSTAT_BYTES as usize];
    record[0] = file_type(kind);
    put(&mut record, 2, encode_fd_flags(flags).to_le_bytes());
    put(&mut record, 8, base.0.to_le_bytes());
    put(&mut record, 16, inheriting.0.to_le_bytes());
    record
}

/// A `filestat`.
pub fn filestat(metadata: &Metadata) -> [u8; FILESTAT_BYTES as usize] {
    let mut record = [0; FILESTAT_BYTES as usize];
    put(&mut record, 0, metadata.device.to_le_bytes());
    put(&mut record, 8, metadata.inode.to_le_bytes());
    record[16] = file_type(metadata.kind);
    put(&mut record, 24, metadata.links.to_le_bytes());
    put(&mut record, 32, metadata.size_bytes.to_le_bytes());
    put(&mut record, 40, metadata.accessed.to_le_bytes());
    put(&mut record, 48, metadata.modified.to_le_bytes());
    put(&mut record, 56, metadata.changed.to_le_bytes());
    record
}

/// A `filestat` of the first edition.
pub fn filestat_unstable(metadata: &Metadata) -> [u8; FILESTAT_UNSTABLE_BYTES as usize] {
    let mut record = [0; FILESTAT_UNSTABLE_BYTES as usize];
    record.copy_from_slice(&filestat(metadata)[..FILESTAT_UNSTABLE_BYTES as usize]);
    put(&mut record, 20, u32::try_from(metadata.links).unwrap_or(u32::MAX).to_le_bytes());
    put(&mut record, 24, metadata.size_bytes.to_le_bytes());
    put(&mut record, 32, metadata.accessed.to_le_bytes());
    put(&mut record, 40, metadata.modified.to_le_bytes());
    put(&mut record, 48, metadata.changed.to_le_bytes());
    record
}

/// A `dirent`.
pub fn dirent(next: u64, inode: u64, name_bytes: u32, kind: FileKind) -> [u8; DIRENT_BYTES as usize] {
    let mut record = [0; DIRENT_BYTES as usize];
    put(&mut record, 0, next.to_le_bytes());
    put(&mut record, 8, inode.to_le_bytes());
    put(&mut record, 16, name_bytes.to_le_bytes());
    record[20] = file_type(kind);
    record
}

/// What happened to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The subscriber's own number.
    pub userdata: u64,
    /// Whether it went well.
    pub error: Errno,
    /// 0 for a clock, 1 for reading, 2 for writing.
    pub tag: u8,
    /// Bytes that can be read or written.
    pub bytes: u64,
    /// The other side is gone.
    pub hangup: bool,
}

/// An `event`.
pub fn event(event: &Event) -> [u8; EVENT_BYTES as usize] {
    let mut record = [0; EVENT_BYTES as usize];
    put(&mut record, 0, event.userdata.to_le_bytes());
    put(&mut record, 8, (event.error as u16).to_le_bytes());
    record[10] = event.tag;
    put(&mut record, 16, event.bytes.to_le_bytes());
    put(&mut record, 24, u16::from(event.hangup).to_le_bytes());
    record
}

/// A `fdflags`.
pub fn encode_fd_flags(flags: FileFlags) -> u16 {
    let bits = [flags.append, flags.data_sync, flags.nonblocking, flags.read_sync, flags.sync];
    bits.into_iter().enumerate().fold(0, |word, (bit, on)| word | u16::from(on) << bit)
}

/// The flags of a `fdflags`; unknown bits are [`Errno::Inval`].
pub fn decode_fd_flags(word: u32) -> Result<FileFlags, Errno> {
    let bit = |position: u32| word >> position & 1 != 0;
    if word >> 5 != 0 {
        return Err(Errno::Inval);
    }
    Ok(FileFlags { append: bit(0), data_sync: bit(1), nonblocking: bit(2), read_sync: bit(3), sync: bit(4) })
}

/// The access and modification times of a `fstflags`; contradictions and unknown bits are [`Errno::Inval`].
pub fn decode_times(flags: u32, accessed: u64, modified: u64) -> Result<(NewTime, NewTime), Errno> {
    let time = |set: u32, value: u64| match set {
        0 => Ok(NewTime::Keep),
        1 => Ok(NewTime::At(value)),
        2 => Ok(NewTime::Now),
        _ => Err(Errno::Inval),
    };
    if flags >> 4 != 0 {
        return Err(Errno::Inval);
    }
    Ok((time(flags & 3, accessed)?, time(flags >> 2 & 3, modified)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_lie_where_the_specification_says() {
        let metadata = Metadata {
            device: 1,
            inode: 2,
            kind: FileKind::Regular,
            links: 3,
            size_bytes: 4,
            accessed: 5,
            modified: 6,
            changed: 7,
        };
        let record = filestat(&metadata);
        let nonzero: Vec<(usize, u8)> = record.iter().copied().enumerate().filter(|(_, byte)| *byte != 0).collect();
        assert_eq!(nonzero, [(0, 1), (8, 2), (16, 4), (24, 3), (32, 4), (40, 5), (48, 6), (56, 7)]);
        let record = filestat_unstable(&metadata);
        let nonzero: Vec<(usize, u8)> = record.iter().copied().enumerate().filter(|(_, byte)| *byte != 0).collect();
        assert_eq!(nonzero, [(0, 1), (8, 2), (16, 4), (20, 3), (24, 4), (32, 5), (40, 6), (48, 7)]);
    }

    #[test]
    fn flags_round_trip() {
        for word in 0..32 {
            assert_eq!(encode_fd_flags(decode_fd_flags(word).unwrap()), word as u16);
        }
        assert_eq!(decode_fd_flags(32), Err(Errno::Inval));
    }

    #[test]
    fn times_exclude_each_other() {
        assert_eq!(decode_times(0, 1, 2), Ok((NewTime::Keep, NewTime::Keep)));
        assert_eq!(decode_times(1 | 8, 1, 2), Ok((NewTime::At(1), NewTime::Now)));
        assert_eq!(decode_times(3, 1, 2), Err(Errno::Inval));
        assert_eq!(decode_times(12, 1, 2), Err(Errno::Inval));
        assert_eq!(decode_times(16, 1, 2), Err(Errno::Inval));
    }
}
