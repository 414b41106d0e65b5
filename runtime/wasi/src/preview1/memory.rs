//! A guest's memory, as seen by functions that get pointers into it.
//!
//! Invariant: no access leaves the slice; an address is 32 bits wide and never wraps.
//!
//! Does not know: pages, growth, engines.

use crate::Errno;
use rustix::io::{IoSlice, IoSliceMut};
use std::ops::Range;

/// Most buffers in one vectored call, as many as hosts take.
const BUFFERS_MAX: u32 = 1024;

/// The bytes of a linear memory for the length of one call.
#[derive(Debug)]
pub struct GuestMemory<'a> {
    bytes: &'a mut [u8],
}

impl<'a> GuestMemory<'a> {
    /// The memory whose address 0 is the first of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> GuestMemory<'a> {
        GuestMemory { bytes }
    }

    fn range(&self, address: u32, len: u32) -> Result<Range<usize>, Errno> {
        let end = u64::from(address) + u64::from(len);
        if end > self.bytes.len() as u64 { Err(Errno::Fault) } else { Ok(address as usize..end as usize) }
    }

    /// Whether `len` bytes at `address` exist: asked before a call has effects.
    pub fn check(&self, address: u32, len: u32) -> Result<(), Errno> {
        self.range(address, len).map(drop)
    }

    /// The bytes at `address`.
    pub fn read(&self, address: u32, len: u32) -> Result<&[u8], Errno> {
        Ok(&self.bytes[self.range(address, len)?])
    }

    /// The bytes at `address`, to be written.
    pub fn slice_mut(&mut self, address: u32, len: u32) -> Result<&mut [u8], Errno> {
        let range = self.range(address, len)?;
        Ok(&mut self.bytes[range])
    }

    /// Stores bytes.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Errno> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Overflow)?;
        self.slice_mut(address, len)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Stores a number.
    pub fn write_u32(&mut self, address: u32, value: u32) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// Stores a number.
    pub fn write_u64(&mut self, address: u32, value: u64) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// A string.
    pub fn text(&self, address: u32, len: u32) -> Result<&str, Errno> {
        std::str::from_utf8(self.read(address, len)?).map_err(|_| Errno::IlSeq)
    }

    /// The address ranges of an array of buffers (`iovec`), all of them checked.
    fn buffers(&self, array: u32, count: u32) -> Result<Vec<Range<usize>>, Errno> {
        if count > BUFFERS_MAX {
            return Err(Errno::Inval);
        }
        let mut total = 0_u32;
        let mut ranges = Vec::with_capacity(count as usize);
        for row in self.read(array, count * 8)?.chunks_exact(8) {
            let word = |at: usize| u32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]]);
            let (address, len) = (word(0), word(4));
            total = total.checked_add(len).ok_or(Errno::Inval)?;
            ranges.push(self.range(address, len)?);
        }
        Ok(ranges)
    }

    /// An array of buffers to be written out.
    pub fn slices(&self, array: u32, count: u32) -> Result<Vec<IoSlice<'_>>, Errno> {
        let ranges = self.buffers(array, count)?;
        Ok(ranges.into_iter().map(|range| IoSlice::new(&self.bytes[range])).collect())
    }

    /// An array of buffers to be filled, without the empty ones. Where buffers overlap, only the first is returned: the
    /// call then reads less than asked for, which it may.
    pub fn slices_mut(&mut self, array: u32, count: u32) -> Result<Vec<IoSliceMut<'_>>, Errno> {
        let mut ranges = self.buffers(array, count)?;
        ranges.retain(|range| !range.is_empty());
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_by_key(|&position| ranges[position].start);
        if order.windows(2).any(|pair| ranges[pair[0]].end > ranges[pair[1]].start) {
            ranges.truncate(1);
            order = vec![0];
        }
        let mut rest: &mut [u8] = self.bytes;
        let mut rest_start = 0;
        let mut slices: Vec<(usize, &mut [u8])> = Vec::with_capacity(order.len());
        for position in order {
            let range = &ranges[position];
            let (_, from_start) = rest.split_at_mut(range.start - rest_start);
            let (slice, after) = from_start.split_at_mut(range.len());
            slices.push((position, slice));
            rest = after;
            rest_start = range.end;
        }
        slices.sort_by_key(|(position, _)| *position);
        Ok(slices.into_iter().map(|(_, slice)| IoSliceMut::new(slice)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_buffers(rows: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..=255).collect();
        for (position, (address, len)) in rows.iter().enumerate() {
            bytes[position * 8..position * 8 + 4].copy_from_slice(&address.to_le_bytes());
            bytes[position * 8 + 4..position * 8 + 8].copy_from_slice(&len.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn addresses_are_checked() {
        let mut bytes = [1; 8];
        let mut memory = GuestMemory::new(&mut bytes);
        assert_eq!(memory.read(4, 4), Ok([1; 4].as_slice()));
        assert_eq!(memory.read(8, 0), Ok([].as_slice()));
        assert_eq!(memory.read(5, 4), Err(Errno::Fault));
        assert_eq!(memory.read(u32::MAX, u32::MAX), Err(Errno::Fault));
        assert_eq!(memory.write_u64(1, 0), Err(Errno::Fault));
        assert_eq!(memory.write_u32(4, 7), Ok(()));
        assert_eq!(bytes, [1, 1, 1, 1, 7, 0, 0, 0]);
    }

    #[test]
    fn text_is_utf8() {
        let mut bytes = *b"ab\xffc";
        let memory = GuestMemory::new(&mut bytes);
        assert_eq!(memory.text(0, 2), Ok("ab"));
        assert_eq!(memory.text(0, 3), Err(Errno::IlSeq));
        assert_eq!(memory.text(3, 2), Err(Errno::Fault));
    }

    #[test]
    fn buffers_keep_their_order() {
        fn check(rows: &[(u32, u32)], expected: &[&[u8]]) {
            let mut bytes = with_buffers(rows);
            let mut memory = GuestMemory::new(&mut bytes);
            let slices = memory.slices_mut(0, rows.len() as u32).unwrap();
            let actual: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
            assert_eq!(actual, expected);
        }
        check(&[(200, 2), (100, 3)], &[&[200, 201], &[100, 101, 102]]);
        check(&[(100, 2), (50, 0), (102, 1)], &[&[100, 101], &[102]]);
        check(&[(100, 3), (102, 1)], &[&[100, 101, 102]]);
        check(&[], &[]);
    }

    #[test]
    fn hostile_buffers_are_refused() {
        fn check(rows: &[(u32, u32)], count: u32, expected: Errno) {
            let mut bytes = with_buffers(rows);
            let mut memory = GuestMemory::new(&mut bytes);
            assert_eq!(memory.slices(0, count).unwrap_err(), expected);
            assert_eq!(memory.slices_mut(0, count).unwrap_err(), expected);
        }
        check(&[(250, 7)], 1, Errno::Fault);
        check(&[(0, u32::MAX)], 1, Errno::Fault);
        check(&[], 1025, Errno::Inval);
        check(&[], u32::MAX, Errno::Inval);
        check(&[], 33, Errno::Fault);
    }
}
