//! Strings: where they are, the `realloc` protocol, and which transcoder does what.
//!
//! [`load_string`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading) and
//! [`store_string`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing) with the
//! specified calls of `realloc`, as [`wattest_canon::lower_string`] makes them for the host.
//!
//! Invariant: a transcoder is given a source whose bounds were checked and a target whose bounds were checked after the last
//! call of `realloc`; it checks both again.
//!
//! Does not know: the conversions themselves. Very short ASCII alone is copied here, for which a call of the host would take
//! longer than all the rest.

use super::code::FuncRef;
use super::memory::Request;
use super::{Emitter, Local, Place};
use crate::adapter::ImportId;
use crate::intrinsic::Intrinsic;
use crate::plan::Route;
use wasm_encoder::{BlockType, ValType};
use wattest_canon::transcode::Step;
use wattest_canon::{CoreType, Encoding, Fault, Form, STRING_BYTES_MAX};

/// A string on its way, in `i64` locals.
#[derive(Clone, Copy)]
struct Text {
    /// The source's address.
    source: Local,
    /// Its length in code units.
    units: Local,
    /// The target's address.
    target: Local,
    /// The allocated size.
    bytes: Local,
    /// The target's length, tagged.
    length: Local,
}

/// Source and target of one step, in `i64` locals.
#[derive(Clone, Copy)]
struct Span {
    source: Local,
    units: Local,
    target: Local,
    room: Local,
}

impl<I: ImportId> Emitter<'_, '_, I> {
    pub(super) fn string_body(&mut self, route: Route, address: Local, length: Local) {
        let ends = self.ends;
        self.code.get(address);
        self.widen(&ends.from);
        let source = self.code.local_set_new(CoreType::I64);
        self.code.get(length);
        self.widen(&ends.from);
        let units = self.code.local_set_new(CoreType::I64);
        let [target, bytes, length] = [(); 3].map(|()| self.code.local(CoreType::I64));
        let text = Text { source, units, target, bytes, length };
        match route.from.encoding {
            Encoding::Utf8 => self.string_of(Form::Utf8, route.to.encoding, text),
            Encoding::Utf16 => self.string_of(Form::Utf16, route.to.encoding, text),
            Encoding::Compact => {
                let tag = route.from.width.utf16_tag().cast_signed();
                self.code.get(units);
                self.code.sink().i64_const(tag).i64_and().i64_eqz().if_(BlockType::Empty);
                self.string_of(Form::Latin1, route.to.encoding, text);
                self.code.sink().else_();
                self.code.get(units);
                self.code.sink().i64_const(tag).i64_xor();
                self.code.set(units);
                self.string_of(Form::TaggedUtf16, route.to.encoding, text);
                self.code.sink().end();
            }
        }
        for local in [target, length] {
            self.code.get(local);
            self.narrow(&ends.to);
        }
    }

    /// Calls the piece of a string whose address and length are on the stack, or does without for the empty string: for that,
    /// every pair of encodings makes one allocation of no bytes. Address and length at the other end.
    pub(super) fn call_unless_empty(&mut self, route: Route, piece: FuncRef) -> (Local, Local) {
        let ends = self.ends;
        let units = self.code.local_set_new(ends.from.pointer());
        let source = self.code.local_set_new(ends.from.pointer());
        let [address, length] = [(); 2].map(|()| self.code.local(ends.to.pointer()));
        self.code.get(units);
        match units.ty {
            CoreType::I64 => self.code.sink().i64_eqz(),
            _ => self.code.sink().i32_eqz(),
        };
        self.code.sink().if_(BlockType::Empty);
        self.code.get(source);
        self.widen(&ends.from);
        let from = self.code.local_set_new(CoreType::I64);
        let [none, to] = [(); 2].map(|()| self.code.local(CoreType::I64));
        self.code.zero(CoreType::I64);
        self.code.set(none);
        let align = |encoding| if encoding == Encoding::Utf8 { 1 } else { 2 };
        self.check_align(from, align(route.from.encoding), Fault::Unaligned);
        self.check_bounds(&ends.from, from, none, Fault::StringOutOfBounds);
        let request = Request { old: None, align: align(route.to.encoding), beyond: Fault::StringOutOfBounds };
        self.allocate(request, none, to);
        self.code.get(to);
        self.narrow(&ends.to);
        self.code.set(address);
        self.code.zero(ends.to.pointer());
        self.code.set(length);
        self.code.sink().else_();
        self.code.get(source);
        self.code.get(units);
        self.code.call(piece);
        self.code.set(length);
        self.code.set(address);
        self.code.sink().end();
        for local in [units, source, from, none, to] {
            self.code.release(local);
        }
        (address, length)
    }

    fn string_of(&mut self, form: Form, to: Encoding, text: Text) {
        self.locate(form, text);
        match (form, to) {
            (Form::Utf8, Encoding::Utf8) => self.copy_string(text, 1, 1, Some(Step::CopyUtf8)),
            (Form::Utf16 | Form::TaggedUtf16, Encoding::Utf8) => {
                self.string_to_utf8(text, 3, 2, Step::Utf16ToAscii, Step::Utf16ToUtf8);
            }
            (Form::Latin1, Encoding::Utf8) => self.string_to_utf8(text, 2, 1, Step::CopyAscii, Step::Latin1ToUtf8),
            (Form::Utf8, Encoding::Utf16) => self.utf8_to_utf16(text),
            (Form::Utf16 | Form::TaggedUtf16, Encoding::Utf16) => self.copy_string(text, 2, 2, Some(Step::CopyUtf16)),
            (Form::Latin1, Encoding::Utf16) => self.copy_string(text, 2, 2, Some(Step::Latin1ToUtf16)),
            (Form::Utf8 | Form::Utf16, Encoding::Compact) => self.string_to_compact(form, text),
            (Form::Latin1, Encoding::Compact) => self.copy_string(text, 1, 2, None),
            (Form::TaggedUtf16, Encoding::Compact) => self.tagged_to_compact(text),
        }
    }

    /// Checks length, alignment and bounds of the source.
    fn locate(&mut self, form: Form, text: Text) {
        let end = self.ends.from;
        let unit_bytes = form.unit_bytes();
        let units_max = STRING_BYTES_MAX / u64::from(unit_bytes);
        #[cfg(wattest_mutants)]
        let units_max = if wattest_abi::mutant!(string_limit_unchecked) { u64::MAX } else { units_max };
        self.code.get(text.units);
        self.code.sink().i64_const(units_max.cast_signed()).i64_gt_u();
        self.trap_if(Fault::StringTooLong);
        let is_aligned = form != Form::Utf8;
        #[cfg(wattest_mutants)]
        let is_aligned = is_aligned && !wattest_abi::mutant!(string_alignment_unchecked);
        if is_aligned {
            self.check_align(text.source, 2, Fault::Unaligned);
        }
        self.product(text.units, unit_bytes, text.bytes);
        self.check_bounds(&end, text.source, text.bytes, Fault::StringOutOfBounds);
    }

    /// `local * factor` into another local.
    fn product(&mut self, local: Local, factor: u32, into: Local) {
        self.code.get(local);
        if factor != 1 {
            self.code.sink().i64_const(i64::from(factor)).i64_mul();
        }
        self.code.set(into);
    }

    /// Calls a step unless the source is empty, for which the answer is `empty`. The answer is in a new local and is no
    /// fault.
    fn step(&mut self, step: Step, span: Span, empty: i64) -> Local {
        let [from, to] = [self.ends.from.memory, self.ends.to.memory].map(|memory| self.module.memory_id(memory));
        let target = self.module.intrinsic(Intrinsic::Step { step, from, to });
        self.code.get(span.units);
        self.code.sink().i64_eqz().if_(BlockType::Result(ValType::I64)).i64_const(empty).else_();
        for local in [span.source, span.units, span.target, span.room] {
            self.code.get(local);
        }
        self.code.call(target);
        self.code.sink().end();
        let answer = self.code.local(CoreType::I64);
        self.code.tee(answer);
        self.code.sink().i64_const(0).i64_lt_s().if_(BlockType::Empty).i64_const(0);
        self.code.get(answer);
        self.code.sink().i64_sub().i32_wrap_i64();
        let trap = self.module.trap();
        self.code.call(trap);
        self.code.sink().unreachable().end();
        answer
    }

    /// A step over the whole string.
    fn step_all(&mut self, step: Step, text: Text, empty: i64) -> Local {
        let span = Span { source: text.source, units: text.units, target: text.target, room: text.bytes };
        self.step(step, span, empty)
    }

    fn resize(&mut self, text: Text, bytes: Local, align: u32) {
        self.allocate(
            Request { old: Some((text.target, text.bytes)), align, beyond: Fault::StringOutOfBounds },
            bytes,
            text.target,
        );
        self.code.get(bytes);
        self.code.set(text.bytes);
    }

    /// Resizes to a number of units unless the allocation is of that size already.
    fn shrink(&mut self, text: Text, units: Local, unit_bytes: u32, align: u32) {
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(string_not_shrunk) {
            return;
        }
        let bytes = self.code.local(CoreType::I64);
        self.product(units, unit_bytes, bytes);
        self.code.get(bytes);
        self.code.get(text.bytes);
        self.code.sink().i64_ne().if_(BlockType::Empty);
        self.resize(text, bytes, align);
        self.code.sink().end();
        self.code.release(bytes);
    }

    /// One allocation of the exact size: as many units as the source has. `None` copies bytes as they are.
    fn copy_string(&mut self, text: Text, unit_bytes: u32, align: u32, step: Option<Step>) {
        self.product(text.units, unit_bytes, text.bytes);
        self.allocate(Request { old: None, align, beyond: Fault::StringOutOfBounds }, text.bytes, text.target);
        match step {
            None => self.copy_bytes(text.source, text.target, text.bytes),
            Some(Step::CopyUtf8) => {
                self.code.sink().block(BlockType::Empty);
                self.code.get(text.units);
                self.code.sink().i64_eqz().br_if(0);
                self.copy_short_ascii(text);
                let answer = self.step_all(Step::CopyUtf8, text, 0);
                self.code.sink().end();
                self.code.release(answer);
            }
            Some(step) => {
                let answer = self.step_all(step, text, 0);
                self.code.release(answer);
            }
        }
        self.code.get(text.units);
        self.code.set(text.length);
    }

    /// Copies 1 to 16 bytes of ASCII and leaves the block around; goes on when there are more, or others.
    fn copy_short_ascii(&mut self, text: Text) {
        let ends = self.ends;
        self.code.get(text.source);
        self.narrow(&ends.from);
        let from = self.code.local_set_new(ends.from.pointer());
        self.code.get(text.target);
        self.narrow(&ends.to);
        let to = self.code.local_set_new(ends.to.pointer());
        // Two words that overlap cover from one to two times their length.
        for word in [8u32, 4, 2, 1] {
            self.code.sink().block(BlockType::Empty);
            self.code.get(text.units);
            self.code.sink().i64_const(i64::from(word)).i64_sub();
            self.code.sink().i64_const(i64::from(word)).i64_gt_u().br_if(0);
            self.copy_two_words(text, from, to, word);
            self.code.sink().br(1).end();
        }
        self.code.release(from);
        self.code.release(to);
    }

    /// Copies the first and the last word if both are ASCII, else leaves the block around.
    fn copy_two_words(&mut self, text: Text, from: Local, to: Local, word: u32) {
        let ty = if word == 8 { CoreType::I64 } else { CoreType::I32 };
        let last = |emitter: &mut Self, base: Local, end: &super::EndPoint| {
            emitter.code.get(text.units);
            emitter.narrow(end);
            emitter.code.get(base);
            match base.ty {
                CoreType::I64 => emitter.code.sink().i64_add(),
                _ => emitter.code.sink().i32_add(),
            };
            emitter.add_const(base.ty, -i64::from(word));
            emitter.code.local_set_new(base.ty)
        };
        let ends = self.ends;
        let from_last = last(self, from, &ends.from);
        let to_last = last(self, to, &ends.to);
        self.read(Place::Memory(from, 0), ty, word, false);
        let first_word = self.code.local_set_new(ty);
        self.read(Place::Memory(from_last, 0), ty, word, false);
        let last_word = self.code.local_set_new(ty);
        self.code.get(first_word);
        self.code.get(last_word);
        let pair = 0x8080;
        #[cfg(wattest_mutants)]
        let pair = if wattest_abi::mutant!(string_ascii_by_low_byte) { 0x80 } else { pair };
        match word {
            8 => self
                .code
                .sink()
                .i64_or()
                .i64_const(0x8080_8080_8080_8080u64.cast_signed())
                .i64_and()
                .i64_const(0)
                .i64_ne(),
            4 => self.code.sink().i32_or().i32_const(0x8080_8080u32.cast_signed()).i32_and(),
            2 => self.code.sink().i32_or().i32_const(pair).i32_and(),
            _ => self.code.sink().i32_or().i32_const(0x80).i32_and(),
        };
        self.code.sink().br_if(0);
        self.write_local(first_word, word, Place::Memory(to, 0));
        let keeps_last = true;
        #[cfg(wattest_mutants)]
        let keeps_last = keeps_last && !wattest_abi::mutant!(string_last_word_lost);
        if keeps_last {
            self.write_local(last_word, word, Place::Memory(to_last, 0));
        }
        for local in [from_last, to_last, first_word, last_word] {
            self.code.release(local);
        }
    }

    /// Hopes for ASCII; on the first other character grows to the worst case, converts the rest and shrinks.
    fn string_to_utf8(&mut self, text: Text, worst: u32, unit_bytes: u32, ascii: Step, rest: Step) {
        self.product(text.units, 1, text.bytes);
        self.allocate(Request { old: None, align: 1, beyond: Fault::StringOutOfBounds }, text.bytes, text.target);
        let done = self.step_all(ascii, text, 0);
        self.code.get(done);
        self.code.set(text.length);
        self.code.get(done);
        self.code.get(text.units);
        self.code.sink().i64_ne().if_(BlockType::Empty);
        let bytes = self.code.local(CoreType::I64);
        self.product(text.units, worst, bytes);
        self.resize(text, bytes, 1);
        let more = self.step_rest(rest, text, (done, unit_bytes), (done, 1));
        self.sum(done, more, text.length);
        self.shrink(text, text.length, 1, 1);
        self.code.sink().end();
        for local in [done, bytes, more] {
            self.code.release(local);
        }
    }

    fn sum(&mut self, a: Local, b: Local, into: Local) {
        self.code.get(a);
        self.code.get(b);
        self.code.sink().i64_add();
        self.code.set(into);
    }

    /// A step over what is left after `read` units of the source and `written` units of the target, each of so many bytes.
    fn step_rest(&mut self, step: Step, text: Text, read: (Local, u32), written: (Local, u32)) -> Local {
        let [source, units, target, room] = [(); 4].map(|()| self.code.local(CoreType::I64));
        self.product(read.0, read.1, source);
        self.sum(source, text.source, source);
        self.product(written.0, written.1, target);
        self.code.get(text.bytes);
        self.code.get(target);
        self.code.sink().i64_sub();
        self.code.set(room);
        self.sum(target, text.target, target);
        self.code.get(text.units);
        self.code.get(read.0);
        self.code.sink().i64_sub();
        self.code.set(units);
        let answer = self.step(step, Span { source, units, target, room }, 0);
        for local in [source, units, target, room] {
            self.code.release(local);
        }
        answer
    }

    /// Takes two bytes for each byte and shrinks.
    fn utf8_to_utf16(&mut self, text: Text) {
        self.product(text.units, 2, text.bytes);
        self.allocate(Request { old: None, align: 2, beyond: Fault::StringOutOfBounds }, text.bytes, text.target);
        let units = self.step_all(Step::Utf8ToUtf16, text, 0);
        self.code.get(units);
        self.code.set(text.length);
        self.code.release(units);
        self.shrink(text, text.length, 2, 2);
    }

    /// Hopes for Latin-1; on the first other character grows, inflates what is there, converts the rest and shrinks.
    fn string_to_compact(&mut self, form: Form, text: Text) {
        let tag = self.ends.to.abi.width.utf16_tag().cast_signed();
        #[cfg(wattest_mutants)]
        let tag = if wattest_abi::mutant!(string_tag_lost) { 0 } else { tag };
        self.product(text.units, 1, text.bytes);
        self.allocate(Request { old: None, align: 2, beyond: Fault::StringOutOfBounds }, text.bytes, text.target);
        let read = self.code.local(CoreType::I64);
        let written = if form == Form::Utf8 {
            let progress = self.step_all(Step::Utf8ToLatin1, text, 0);
            self.code.get(progress);
            self.code.sink().i64_const(0xffff_ffff).i64_and();
            self.code.set(read);
            self.code.get(progress);
            self.code.sink().i64_const(32).i64_shr_u();
            self.code.set(progress);
            progress
        } else {
            let written = self.step_all(Step::Utf16ToLatin1, text, 0);
            self.product(written, 1, read);
            written
        };
        self.code.get(read);
        self.code.get(text.units);
        self.code.sink().i64_eq().if_(BlockType::Empty);
        self.product(written, 1, text.length);
        self.shrink(text, written, 1, 2);
        self.code.sink().else_();
        let bytes = self.code.local(CoreType::I64);
        self.product(text.units, 2, bytes);
        self.resize(text, bytes, 2);
        let span = Span { source: text.source, units: written, target: text.target, room: text.bytes };
        let inflated = self.step(Step::InflateLatin1, span, 0);
        let more = if form == Form::Utf8 {
            self.step_rest(Step::Utf8ToUtf16, text, (read, 1), (written, 2))
        } else {
            // As many units as are left; the answer only says whether they are Latin-1.
            let is_latin1 = self.step_rest(Step::CopyUtf16, text, (read, 2), (written, 2));
            self.code.get(text.units);
            self.code.get(read);
            self.code.sink().i64_sub();
            self.code.set(is_latin1);
            is_latin1
        };
        self.sum(written, more, text.length);
        self.shrink(text, text.length, 2, 2);
        self.code.get(text.length);
        self.code.sink().i64_const(tag).i64_or();
        self.code.set(text.length);
        self.code.sink().end();
        for local in [read, written, bytes, inflated, more] {
            self.code.release(local);
        }
    }

    /// Copies UTF-16; if it turns out to be Latin-1, deflates it and shrinks.
    fn tagged_to_compact(&mut self, text: Text) {
        let tag = self.ends.to.abi.width.utf16_tag().cast_signed();
        self.product(text.units, 2, text.bytes);
        self.allocate(Request { old: None, align: 2, beyond: Fault::StringOutOfBounds }, text.bytes, text.target);
        let is_latin1 = self.step_all(Step::CopyUtf16, text, 1);
        self.code.get(is_latin1);
        self.code.sink().i64_eqz().if_(BlockType::Empty);
        self.code.get(text.units);
        self.code.sink().i64_const(tag).i64_or();
        self.code.set(text.length);
        self.code.sink().else_();
        let deflated = self.step_all(Step::DeflateLatin1, text, 0);
        // The specification asks for alignment 1 here, and calls `realloc` even for the empty string.
        self.resize(text, text.units, 1);
        self.product(text.units, 1, text.length);
        self.code.sink().end();
        self.code.release(is_latin1);
        self.code.release(deflated);
    }
}
