//! Which code lies where: from a program counter to its module, trap and source.
//!
//! The registry is one per process, since a fault tells nothing but an address. Signal handler and backtraces read it,
//! loading and dropping modules write it.
//!
//! Promises: looking up a mapped artifact's records decodes only those that the binary search touches.
//!
//! Invariant: registered ranges are disjoint, since each is owned by a live [`CodeMemory`]; the lock is never held
//! while WebAssembly code runs. Hence a thread that faulted inside WebAssembly does not hold the lock, and may take it
//! for reading in its signal handler: whoever holds it is another thread that will let go.
//!
//! Does not know: what a module is; `owner` carries that.

use crate::artifact::ArtifactFile;
use crate::code::CodeMemory;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use wattest_abi::TrapCode;
use wattest_abi::artifact::{
    AddressRecord, FunctionRecord, HANDLER_RECORD_BYTES, HandlerRecord, LOCALS_RECORD_BYTES, LocalsRecord,
    RECORD_BYTES, SectionKind, StackMapRecord, TRAP_RECORD_BYTES, TrapRecord,
};
use wattest_module::DefinedFuncIndex;

/// A fixed-size record of a table sorted by text offset.
pub trait Record: Copy {
    /// Bytes of the encoded form.
    const BYTES: usize;
    /// The section of an artifact that holds such records.
    const SECTION: SectionKind;
    /// Decodes [`Record::BYTES`] bytes.
    fn decode(bytes: &[u8]) -> Self;
    /// Appends the encoded form.
    fn encode(self, bytes: &mut Vec<u8>);
    /// Where the record holds, or begins to hold.
    fn text_offset(self) -> u32;
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Record for FunctionRecord {
    const BYTES: usize = RECORD_BYTES;
    const SECTION: SectionKind = SectionKind::Functions;
    fn decode(bytes: &[u8]) -> Self {
        FunctionRecord { text_offset: word(bytes, 0), text_bytes: word(bytes, 4) }
    }
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.text_offset.to_le_bytes());
        bytes.extend(self.text_bytes.to_le_bytes());
    }
    fn text_offset(self) -> u32 {
        self.text_offset
    }
}

impl Record for AddressRecord {
    const BYTES: usize = RECORD_BYTES;
    const SECTION: SectionKind = SectionKind::Addresses;
    fn decode(bytes: &[u8]) -> Self {
        AddressRecord { text_offset: word(bytes, 0), wasm_offset: word(bytes, 4) }
    }
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.text_offset.to_le_bytes());
        bytes.extend(self.wasm_offset.to_le_bytes());
    }
    fn text_offset(self) -> u32 {
        self.text_offset
    }
}

impl Record for StackMapRecord {
    const BYTES: usize = RECORD_BYTES;
    const SECTION: SectionKind = SectionKind::StackMaps;
    fn decode(bytes: &[u8]) -> Self {
        StackMapRecord { text_offset: word(bytes, 0), below_fp: word(bytes, 4) }
    }
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.text_offset.to_le_bytes());
        bytes.extend(self.below_fp.to_le_bytes());
    }
    fn text_offset(self) -> u32 {
        self.text_offset
    }
}

impl Record for TrapRecord {
    const BYTES: usize = TRAP_RECORD_BYTES;
    const SECTION: SectionKind = SectionKind::Traps;
    fn decode(bytes: &[u8]) -> Self {
        TrapRecord { text_offset: word(bytes, 0), code: bytes[4] }
    }
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.text_offset.to_le_bytes());
        bytes.push(self.code);
    }
    fn text_offset(self) -> u32 {
        self.text_offset
    }
}

impl Record for HandlerRecord {
    const BYTES: usize = HANDLER_RECORD_BYTES;
    const SECTION: SectionKind = SectionKind::Handlers;
    fn decode(bytes: &[u8]) -> Self {
        HandlerRecord { text_offset: word(bytes, 0), landing_offset: word(bytes, 4), frame_bytes: word(bytes, 8) }
    }
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.text_offset.to_le_bytes());
        bytes.extend(self.landing_offset.to_le_bytes());
        bytes.extend(self.frame_bytes.to_le_bytes());
    }
    fn text_offset(self) -> u32 {
        self.text_offset
    }
}

impl Record for LocalsRecord {
    const BYTES: usize = LOCALS_RECORD_BYTES;
    const SECTION: SectionKind = SectionKind::Locals;
    fn decode(bytes: &[u8]) -> Self {
        let [text_offset, kind, count, below_fp] = [0, 4, 8, 12].map(|at| word(bytes, at));
        LocalsRecord { text_offset, kind, count, below_fp }
    }
    fn encode(self, bytes: &mut Vec<u8>) {
        for word in [self.text_offset, self.kind, self.count, self.below_fp] {
            bytes.extend(word.to_le_bytes());
        }
    }
    fn text_offset(self) -> u32 {
        self.text_offset
    }
}

/// The encoded form of `records`, as a section of an artifact.
pub fn encode_records<R: Record>(records: &[R]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * R::BYTES);
    records.iter().for_each(|record| record.encode(&mut bytes));
    bytes
}

/// Records in memory or in an artifact.
#[derive(Debug)]
pub enum RecordTable<R> {
    /// In memory.
    Own(Vec<R>),
    /// In the artifact's section of their kind.
    Artifact(Arc<ArtifactFile>),
}

impl<R: Record> RecordTable<R> {
    /// Number of records.
    pub fn len(&self) -> usize {
        match self {
            RecordTable::Own(records) => records.len(),
            RecordTable::Artifact(artifact) => artifact.section(R::SECTION).len() / R::BYTES,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<R> {
        match self {
            RecordTable::Own(records) => records.get(index).copied(),
            RecordTable::Artifact(artifact) => {
                let at = index.checked_mul(R::BYTES)?;
                let bytes = artifact.section(R::SECTION).get(at..at.checked_add(R::BYTES)?)?;
                Some(R::decode(bytes))
            }
        }
    }

    /// All records.
    pub fn to_vec(&self) -> Vec<R> {
        (0..self.len()).filter_map(|index| self.get(index)).collect()
    }

    /// The last record at or before `text_offset`, with its index.
    fn last_at_or_before(&self, text_offset: u32) -> Option<(usize, R)> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle)?.text_offset() <= text_offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let index = low.checked_sub(1)?;
        Some((index, self.get(index)?))
    }
}

/// All that is known about a piece of code.
#[derive(Debug)]
pub struct CodeInfo {
    /// The code.
    pub code: Arc<CodeMemory>,
    /// One record per defined function, in index order.
    pub functions: RecordTable<FunctionRecord>,
    /// Sorted by offset.
    pub traps: RecordTable<TrapRecord>,
    /// Sorted by offset.
    pub addresses: RecordTable<AddressRecord>,
    /// Sorted by offset.
    pub handlers: RecordTable<HandlerRecord>,
    /// References in frames; sorted by return address.
    pub stack_maps: RecordTable<StackMapRecord>,
    /// Locals in frames; sorted by function.
    pub locals: RecordTable<LocalsRecord>,
    /// What the code belongs to, for whoever registered it.
    pub owner: Option<Arc<dyn Any + Send + Sync>>,
}

impl CodeInfo {
    /// Why the instruction at `text_offset` traps, if it can.
    pub fn trap_at(&self, text_offset: u32) -> Option<TrapCode> {
        let (_, record) = self.traps.last_at_or_before(text_offset)?;
        (record.text_offset == text_offset).then(|| TrapCode::from_u8(record.code))?
    }

    /// Where the call that returns to `text_offset` lands when its callee throws, if it is handled at all.
    pub fn handler_at(&self, text_offset: u32) -> Option<HandlerRecord> {
        let (_, record) = self.handlers.last_at_or_before(text_offset)?;
        (record.text_offset == text_offset).then_some(record)
    }

    /// The module's byte offset that the code at `text_offset` came from.
    pub fn wasm_offset_at(&self, text_offset: u32) -> Option<u32> {
        let (_, record) = self.addresses.last_at_or_before(text_offset)?;
        (record.wasm_offset != u32::MAX).then_some(record.wasm_offset)
    }

    /// The function whose code `text_offset` lies in.
    pub fn function_at(&self, text_offset: u32) -> Option<DefinedFuncIndex> {
        let inside = |record: FunctionRecord| {
            text_offset.checked_sub(record.text_offset).is_some_and(|into| into < record.text_bytes)
        };
        if let Some((index, record)) = self.functions.last_at_or_before(text_offset)
            && inside(record)
        {
            return Some(DefinedFuncIndex(index as u32));
        }
        // Functions usually lie in index order, but nothing promises it.
        let index = (0..self.functions.len()).find(|index| self.functions.get(*index).is_some_and(inside))?;
        Some(DefinedFuncIndex(index as u32))
    }

    /// Tells `found` how far below the frame pointer each reference lies in a frame whose call returns to `text_offset`.
    pub fn references_at(&self, text_offset: u32, mut found: impl FnMut(u32)) {
        let Some((last, _)) = self.stack_maps.last_at_or_before(text_offset) else { return };
        for index in (0..=last).rev() {
            match self.stack_maps.get(index) {
                Some(record) if record.text_offset == text_offset => found(record.below_fp),
                _ => return,
            }
        }
    }

    /// The locals of the function at `text_offset` as its frames keep them, in order. None unless the module was compiled so.
    pub fn locals_at(&self, text_offset: u32) -> Vec<LocalsRecord> {
        let start = self.function_at(text_offset).and_then(|func| self.functions.get(func.0 as usize));
        let Some((start, (last, _))) = start
            .map(|record| record.text_offset)
            .and_then(|start| Some((start, self.locals.last_at_or_before(start)?)))
        else {
            return Vec::new();
        };
        let own = |index: &usize| self.locals.get(*index).is_some_and(|record| record.text_offset == start);
        let count = (0..=last).rev().take_while(own).count();
        (last + 1 - count..=last).filter_map(|index| self.locals.get(index)).collect()
    }

    /// What the code belongs to, if whoever registered it said.
    pub fn owner(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.owner.as_deref()
    }

    /// The offset of address `pc` in the text.
    pub fn text_offset(&self, pc: usize) -> Option<u32> {
        let range = self.code.range();
        range.contains(&pc).then(|| (pc - range.start) as u32)
    }
}

/// Registered code by end address.
static CODE: RwLock<BTreeMap<usize, Arc<CodeInfo>>> = RwLock::new(BTreeMap::new());

/// Keeps code registered until dropped.
#[derive(Debug)]
pub struct Registration {
    info: Arc<CodeInfo>,
}

impl Registration {
    /// What was registered.
    pub fn info(&self) -> &Arc<CodeInfo> {
        &self.info
    }
}

/// Makes `info` findable by the addresses of its code.
pub fn register(info: Arc<CodeInfo>) -> Registration {
    let range = info.code.range();
    // An empty text has no addresses to be found by.
    if !range.is_empty() {
        CODE.write().unwrap_or_else(PoisonError::into_inner).insert(range.end, info.clone());
    }
    Registration { info }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let range = self.info.code.range();
        if !range.is_empty() {
            // The value is dropped after the lock is released: dropping it may unmap, and run the owner's code.
            let removed = CODE.write().unwrap_or_else(PoisonError::into_inner).remove(&range.end);
            drop(removed);
        }
    }
}

/// Calls `read` with the code that contains `pc` and the offset of `pc` in its text.
///
/// For a return address, look up the address before it: the call itself. Safe to call in the signal handler of a thread
/// that faulted inside WebAssembly, as long as `read` neither allocates nor locks.
pub fn with_code<T>(pc: usize, read: impl FnOnce(&Arc<CodeInfo>, u32) -> T) -> Option<T> {
    let code = CODE.read().unwrap_or_else(PoisonError::into_inner);
    let (_, info) = code.range(pc.checked_add(1)?..).next()?;
    let text_offset = info.text_offset(pc)?;
    Some(read(info, text_offset))
}

/// The code that contains `pc`, and the offset of `pc` in its text. Not for signal handlers: see [`with_code`].
pub fn lookup(pc: usize) -> Option<(Arc<CodeInfo>, u32)> {
    with_code(pc, |info, text_offset| (info.clone(), text_offset))
}

/// The trap of the instruction at `pc`. Safe in a signal handler like [`with_code`].
pub fn trap_at(pc: usize) -> Option<TrapCode> {
    with_code(pc, |info, text_offset| info.trap_at(text_offset))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::ArtifactWriter;

    const FUNCTIONS: [(u32, u32); 3] = [(0, 16), (32, 16), (16, 8)];
    const TRAPS: [(u32, u8); 3] = [(4, 1), (20, 2), (40, 255)];
    const ADDRESSES: [(u32, u32); 4] = [(2, 100), (16, u32::MAX), (18, 120), (32, 130)];
    const HANDLERS: [(u32, u32, u32); 2] = [(6, 12, 32), (36, 44, 0)];

    fn handlers() -> Vec<HandlerRecord> {
        let record =
            |(text_offset, landing_offset, frame_bytes)| HandlerRecord { text_offset, landing_offset, frame_bytes };
        HANDLERS.map(record).to_vec()
    }

    fn records() -> (Vec<FunctionRecord>, Vec<TrapRecord>, Vec<AddressRecord>) {
        (
            FUNCTIONS.map(|(text_offset, text_bytes)| FunctionRecord { text_offset, text_bytes }).to_vec(),
            TRAPS.map(|(text_offset, code)| TrapRecord { text_offset, code }).to_vec(),
            ADDRESSES.map(|(text_offset, wasm_offset)| AddressRecord { text_offset, wasm_offset }).to_vec(),
        )
    }

    fn check(info: CodeInfo) {
        let function = |at| info.function_at(at).map(|index| index.0);
        assert_eq!([0, 15, 16, 23, 24, 31, 32, 47, 48].map(function), {
            let (a, b, c) = (Some(0), Some(1), Some(2));
            [a, a, c, c, None, None, b, b, None]
        });
        let traps = [3, 4, 5, 20, 40, u32::MAX].map(|at| info.trap_at(at));
        let expected = [None, Some(TrapCode::Unreachable), None, Some(TrapCode::MemoryOutOfBounds), None, None];
        assert_eq!(traps, expected);
        let offsets = [1, 2, 15, 16, 17, 18, 31, 90].map(|at| info.wasm_offset_at(at));
        let expected = [None, Some(100), Some(100), None, None, Some(120), Some(120), Some(130)];
        assert_eq!(offsets, expected);
        let landings = [5, 6, 7, 36, 90].map(|at| info.handler_at(at).map(|record| record.landing_offset));
        assert_eq!(landings, [None, Some(12), None, Some(44), None]);
        let range = info.code.range();
        let registration = register(Arc::new(info));
        assert_eq!(trap_at(range.start + 20), Some(TrapCode::MemoryOutOfBounds));
        assert_eq!(lookup(range.end - 1).unwrap().1 as usize, range.len() - 1);
        assert!(lookup(range.end).is_none_or(|(info, _)| info.code.range() != range));
        drop(registration);
        assert!(lookup(range.start).is_none());
        assert!(lookup(usize::MAX).is_none() && lookup(0).is_none());
    }

    #[test]
    fn records_in_memory_are_found() {
        let (functions, traps, addresses) = records();
        check(CodeInfo {
            code: Arc::new(CodeMemory::new(&[0xCC; 64]).unwrap()),
            functions: RecordTable::Own(functions),
            traps: RecordTable::Own(traps),
            addresses: RecordTable::Own(addresses),
            handlers: RecordTable::Own(handlers()),
            stack_maps: RecordTable::Own(Vec::new()),
            locals: RecordTable::Own(Vec::new()),
            owner: None,
        });
    }

    #[test]
    fn records_in_an_artifact_are_found() {
        let (functions, traps, addresses) = records();
        let mut writer = ArtifactWriter::default();
        writer.section(SectionKind::Text, vec![0xCC; 64]);
        writer.section(SectionKind::Functions, encode_records(&functions));
        writer.section(SectionKind::Traps, encode_records(&traps));
        writer.section(SectionKind::Addresses, encode_records(&addresses));
        writer.section(SectionKind::Handlers, encode_records(&handlers()));
        let artifact = Arc::new(ArtifactFile::from_bytes(writer.finish(), false).unwrap());
        check(CodeInfo {
            code: Arc::new(CodeMemory::from_artifact(&artifact).unwrap()),
            functions: RecordTable::Artifact(artifact.clone()),
            traps: RecordTable::Artifact(artifact.clone()),
            addresses: RecordTable::Artifact(artifact.clone()),
            handlers: RecordTable::Artifact(artifact),
            stack_maps: RecordTable::Own(Vec::new()),
            locals: RecordTable::Own(Vec::new()),
            owner: None,
        });
    }
}
