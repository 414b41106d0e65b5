//! The passive segments of every module: what they hold, until an instance drops its own.
//!
//! [`data.drop` and `elem.drop`](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions) leave
//! nothing: what takes something from there traps, what takes nothing from the beginning does not.
//!
//! Invariant: every module has the same segments; each instance drops for itself.
//!
//! Does not know: what is made of the contents.

use super::shadow::{Own, V};
use super::{Flow, Writer, call};
use wasm_encoder::Instruction;

/// Data segments of a module, and as many element segments.
pub const COUNT: usize = 2;

impl Own {
    /// Of every passive data segment whether it is dropped.
    pub fn dropped_data(&self) -> [bool; COUNT] {
        self.dropped[0]
    }

    /// The same of element segments.
    pub fn dropped_elements(&self) -> [bool; COUNT] {
        self.dropped[1]
    }
}

impl Writer<'_, '_> {
    /// A segment of either kind.
    pub(super) fn segment(&mut self) -> u32 {
        self.source.below(COUNT) as u32
    }

    /// What a data segment holds here.
    pub(super) fn data_of(&self, segment: u32) -> &[u8] {
        let own = &self.shadow.own[self.frame.module];
        if own.dropped_data()[segment as usize] { &[] } else { &self.data[segment as usize] }
    }

    /// What an element segment holds here.
    pub(super) fn elements_of(&self, segment: u32) -> Vec<V> {
        let own = &self.shadow.own[self.frame.module];
        if own.dropped_elements()[segment as usize] {
            return Vec::new();
        }
        self.elements[segment as usize].iter().map(|bits| self.element(*bits)).collect()
    }

    /// An element: an unboxed integer, or the log function or null where there are none.
    pub(super) fn element(&self, bits: u32) -> V {
        match (self.plain, bits % 2) {
            (false, _) => V::I31(bits),
            (true, 0) => V::Func(call::LOG),
            (true, _) => V::Null,
        }
    }

    /// A data segment, and a range in it for up to `length` elements of `width` bytes.
    pub(super) fn data_range(&mut self, width: usize, length: usize) -> (u32, usize, usize) {
        let segment = self.segment();
        let bytes = self.data_of(segment).len();
        let length = length.min(bytes / width);
        (segment, self.source.between(0, bytes - length * width), length)
    }

    /// An element segment, and a range in it of up to `length`.
    pub(super) fn element_range(&mut self, length: usize) -> (u32, usize, usize) {
        let segment = self.segment();
        let count = self.elements_of(segment).len();
        let length = length.min(count);
        (segment, self.source.between(0, count - length), length)
    }

    /// Drops a segment of this instance, again perhaps.
    pub(super) fn drop_segment(&mut self) -> Flow {
        let (segment, kind) = (self.segment(), self.source.below(2));
        self.emit(match kind {
            0 => Instruction::DataDrop(segment),
            _ => Instruction::ElemDrop(segment),
        });
        self.own().dropped[kind][segment as usize] = true;
        Flow::Next
    }
}
