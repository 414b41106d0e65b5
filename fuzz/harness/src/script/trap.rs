//! Operations that trap: out of bounds, on null, of another type, in segments that were dropped.
//!
//! [Traps](https://webassembly.github.io/spec/core/intro/overview.html#trap) end a call, whatever handlers there are.
//!
//! Invariant: what is wrong about an operation is wrong for one reason, and that is the predicted class; what was there
//! before is as it was.
//!
//! Does not know: where in a function it is.

use super::heap::width;
use super::shadow::V;
use super::types::{Field, Form, Heap, Ty};
use super::{End, Flow, Mix, Writer, own, shared};
use wasm_encoder::{Instruction, MemArg};
use wattest_differential::TrapClass;

impl Writer<'_, '_> {
    /// An operation that traps, if there is what it takes.
    pub(super) fn trap(&mut self) -> Flow {
        let class = match self.source.below(if self.plain { 10 } else { 23 }) {
            0 | 1 => {
                self.emit(Instruction::Unreachable);
                Some(TrapClass::Unreachable)
            }
            2 | 3 => self.table_trap(),
            4 | 5 => self.memory_trap(),
            6 | 7 => self.indirect_trap(),
            8 | 9 if self.mix == Mix::Heap => None,
            8 | 9 => {
                self.push_null(Heap::Exn);
                self.emit(Instruction::ThrowRef);
                Some(TrapClass::NullReference)
            }
            10 | 11 => self.null_struct_trap(),
            12 | 13 => self.null_array_trap(),
            14 => self.null_function_trap(),
            15..=17 => self.array_trap(),
            18..=20 => self.segment_trap(),
            21 => self.cast_trap(),
            _ => return self.descriptor_trap(),
        };
        class.map_or(Flow::Next, |class| Flow::Exit(End::Trap(class)))
    }

    fn push(&mut self, numbers: &[u32]) {
        numbers.iter().for_each(|number| self.emit(Instruction::I32Const(*number as i32)));
    }

    /// An index that is not below `length`.
    fn beyond(&mut self, length: usize) -> u32 {
        let length = length as u32;
        self.source.pick(&[length, length, length + 1, u32::MAX, 1 << 31])
    }

    /// A start and a count that do not lie in `length`.
    fn outside(&mut self, length: usize) -> (u32, u32) {
        let length = length as u32;
        let all = [(length + 1, 0), (length, 1), (0, length + 1), (1, length), (u32::MAX, 1), (1, u32::MAX)];
        self.source.pick(&all)
    }

    /// Null of a type: from a place that holds it, so that no compiler knows, or a constant.
    fn push_null(&mut self, heap: Heap) {
        let top = self.graph.top(heap);
        let is = |ty: Ty, value: V| value == V::Null && matches!(ty, Ty::Ref(_, from) if self.graph.top(from) == top);
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, ty, value)| is(*ty, *value)).collect();
        if roots.is_empty() || self.source.percent(25) {
            let heap = self.heap(heap);
            return self.emit(Instruction::RefNull(heap));
        }
        let (root, ty, value) = self.source.pick(&roots);
        self.push_root(root);
        self.convert(ty, value, Ty::null(heap));
    }

    fn table_trap(&mut self) -> Option<TrapClass> {
        let own = self.own().entries.len();
        let objects = Ty::null(self.entry_heap());
        let (table, length, ty) = self.source.pick(&[
            (shared::OBJECTS, self.shadow.table.len(), objects),
            (own::TABLE, own, objects),
            (shared::FUNCTIONS, shared::FUNCTIONS_MIN + self.shadow.grown.len(), Ty::null(Heap::Func)),
        ]);
        match self.source.below(5) {
            0 => {
                let at = self.beyond(length);
                self.push(&[at]);
                self.emit(Instruction::TableGet(table));
            }
            1 => {
                let at = self.beyond(length);
                self.push(&[at]);
                self.value(ty, 1);
                self.emit(Instruction::TableSet(table));
            }
            2 => {
                let (at, count) = self.outside(length);
                self.push(&[at]);
                self.value(ty, 1);
                self.push(&[count]);
                self.emit(Instruction::TableFill(table));
            }
            3 => {
                let (at, count) = self.outside(length);
                let places = self.source.pick(&[[at, 0, count], [0, at, count]]);
                self.push(&places);
                self.emit(Instruction::TableCopy { src_table: table, dst_table: table });
            }
            _ => {
                let table = if table == shared::FUNCTIONS { own::TABLE } else { table };
                let length = if table == own::TABLE { own } else { length };
                let segment = self.segment();
                let items = self.elements_of(segment).len();
                let (at, from, count) = self.out_of_either(length, items);
                self.push(&[at, from, count]);
                self.emit(Instruction::TableInit { elem_index: segment, table });
            }
        }
        Some(TrapClass::TableOutOfBounds)
    }

    /// A place, a start and a count: what they say does not lie in the first, or not in the second.
    fn out_of_either(&mut self, first: usize, second: usize) -> (u32, u32, u32) {
        if self.source.percent(50) {
            let (at, count) = self.outside(first);
            (at, 0, count)
        } else {
            let (from, count) = self.outside(second);
            (0, from, count)
        }
    }

    fn memory_trap(&mut self) -> Option<TrapClass> {
        let sizes = [(own::MEMORY, (self.own().pages as usize) << 16), (shared::MEMORY, self.shadow.pages.len() << 16)];
        let (mem, size) = self.source.pick(&sizes);
        match self.source.below(6) {
            0 => {
                let (at, count) = self.outside(size);
                self.push(&[at]);
                self.value(Ty::I32, 1);
                self.push(&[count]);
                self.emit(Instruction::MemoryFill(mem));
            }
            1 => {
                let (source, length) = self.source.pick(&sizes);
                let (at, from, count) = self.out_of_either(size, length);
                self.push(&[at, from, count]);
                self.emit(Instruction::MemoryCopy { src_mem: source, dst_mem: mem });
            }
            2 => {
                let segment = self.segment();
                let bytes = self.data_of(segment).len();
                let (at, from, count) = self.out_of_either(size, bytes);
                self.push(&[at, from, count]);
                self.emit(Instruction::MemoryInit { mem, data_index: segment });
            }
            choice => self.access_trap(mem, size as u32, choice == 3),
        }
        Some(TrapClass::MemoryOutOfBounds)
    }

    /// A load or a store that begins or ends behind the end.
    fn access_trap(&mut self, memory_index: u32, size: u32, stores: bool) {
        let (ty, width) = self.source.pick(&[(Ty::I32, 1), (Ty::I32, 4), (Ty::I64, 8), (Ty::F64, 8), (Ty::V128, 16)]);
        let address = self.source.pick(&[size - width + 1, size, size + 1, u32::MAX]);
        let offset = self.source.pick(&[0, 0, 1, 1 << 16, u64::from(u32::MAX)]);
        let memarg = MemArg { offset, align: 0, memory_index };
        self.push(&[address]);
        if stores {
            self.value(ty, 1);
        }
        self.emit(match (ty, width, stores) {
            (Ty::I32, 1, false) => Instruction::I32Load8U(memarg),
            (Ty::I32, 1, true) => Instruction::I32Store8(memarg),
            (Ty::I32, _, false) => Instruction::I32Load(memarg),
            (Ty::I32, _, true) => Instruction::I32Store(memarg),
            (Ty::I64, _, false) => Instruction::I64Load(memarg),
            (Ty::I64, _, true) => Instruction::I64Store(memarg),
            (Ty::F64, _, false) => Instruction::F64Load(memarg),
            (Ty::F64, _, true) => Instruction::F64Store(memarg),
            (_, _, false) => Instruction::V128Load(memarg),
            (_, _, true) => Instruction::V128Store(memarg),
        });
    }

    /// A function type with arguments for it on the stack; whether the call is one in tail position.
    fn push_call(&mut self) -> (u32, Vec<Ty>, Vec<Ty>, bool) {
        let tail = self.source.percent(30);
        let params = self.types(3);
        let results = if tail { self.frame.results.clone() } else { self.types(2) };
        let def = self.graph.func(&params, &results);
        for ty in &params {
            self.value(*ty, 1);
        }
        (def, params, results, tail)
    }

    /// `call_indirect` of nothing, of null, or of a function of another type.
    fn indirect_trap(&mut self) -> Option<TrapClass> {
        let (def, params, results, tail) = self.push_call();
        let others: Vec<u32> = (0..self.funs.len() as u32)
            .filter(|fun| match &self.graph.defs[self.funs[*fun as usize].def as usize].form {
                Form::Func(given, gives) => differ(given, &params) || differ(gives, &results),
                _ => false,
            })
            .collect();
        let length = shared::FUNCTIONS_MIN + self.shadow.grown.len();
        let nulls = self.shadow.grown.iter().enumerate().filter(|(_, value)| **value == V::Null);
        let mut nulls: Vec<u32> = nulls.map(|(at, _)| (shared::FUNCTIONS_MIN + at) as u32).collect();
        // No program has so many functions.
        nulls.push(shared::FUNCTIONS_MIN as u32 - 1);
        let (entry, class) = match self.source.below(3) {
            0 => (self.beyond(length), TrapClass::TableOutOfBounds),
            1 if !others.is_empty() => (self.source.pick(&others), TrapClass::BadSignature),
            _ => (self.source.pick(&nulls), TrapClass::NullCall),
        };
        self.push(&[entry]);
        let (type_index, table_index) = (self.type_index(def), shared::FUNCTIONS);
        self.emit(if tail {
            Instruction::ReturnCallIndirect { type_index, table_index }
        } else {
            Instruction::CallIndirect { type_index, table_index }
        });
        Some(class)
    }

    /// `call_ref` of null.
    fn null_function_trap(&mut self) -> Option<TrapClass> {
        let (def, _, _, tail) = self.push_call();
        self.push_null(Heap::Def(def));
        let index = self.type_index(def);
        self.emit(if tail { Instruction::ReturnCallRef(index) } else { Instruction::CallRef(index) });
        Some(TrapClass::NullReference)
    }

    /// A field, the descriptor or the number of null.
    fn null_struct_trap(&mut self) -> Option<TrapClass> {
        let structs: Vec<u32> = self.graph.aggregates().into_iter().filter(|def| !self.graph.is_array(*def)).collect();
        let kind = self.source.below(8);
        if kind == 0 || structs.is_empty() {
            self.push_null(Heap::I31);
            let is_signed = self.source.percent(50);
            self.emit(if is_signed { Instruction::I31GetS } else { Instruction::I31GetU });
            return Some(TrapClass::NullReference);
        }
        let def = self.source.pick(&structs);
        let struct_type_index = self.type_index(def);
        self.push_null(Heap::Def(def));
        let fields = self.graph.fields(def).to_vec();
        if kind == 1 || fields.is_empty() {
            self.emit(Instruction::RefAsNonNull);
            return Some(TrapClass::NullReference);
        }
        if kind == 2 && self.graph.descriptor(def).is_some() {
            self.emit(Instruction::RefGetDesc(struct_type_index));
            return Some(TrapClass::NullReference);
        }
        let at = self.source.below(fields.len());
        let field_index = at as u32;
        if fields[at].mutable && self.source.percent(50) {
            self.value(fields[at].unpacked(), 1);
            self.emit(Instruction::StructSet { struct_type_index, field_index });
        } else if fields[at].is_packed() {
            self.emit(Instruction::StructGetS { struct_type_index, field_index });
        } else {
            self.emit(Instruction::StructGet { struct_type_index, field_index });
        }
        Some(TrapClass::NullReference)
    }

    /// An element, the length or all of null.
    fn null_array_trap(&mut self) -> Option<TrapClass> {
        let arrays: Vec<u32> = self.graph.aggregates().into_iter().filter(|def| self.graph.is_array(*def)).collect();
        if arrays.is_empty() {
            return None;
        }
        let def = self.source.pick(&arrays);
        let (index, field) = (self.type_index(def), self.graph.fields(def)[0]);
        let from_null = field.mutable && self.source.percent(25);
        if from_null {
            // The one that is written is null or not: both are wrong.
            self.value(Ty::null(Heap::Def(def)), 1);
            self.push(&[0]);
            self.push_null(Heap::Def(def));
            self.push(&[0, 0]);
            self.emit(Instruction::ArrayCopy { array_type_index_dst: index, array_type_index_src: index });
            return Some(TrapClass::NullReference);
        }
        self.push_null(Heap::Def(def));
        if self.source.percent(20) {
            self.emit(Instruction::ArrayLen);
        } else {
            self.use_array(def, field, 0, 0);
        }
        Some(TrapClass::NullReference)
    }

    /// Emits an operation on elements of the array on the stack, from `at` on: on one, or on `count`, which is 0 or 1.
    fn use_array(&mut self, def: u32, field: Field, at: u32, count: u32) {
        let (index, ty) = (self.type_index(def), field.unpacked());
        let single = self.source.percent(50);
        self.push(&[at]);
        if !field.mutable || single && self.source.percent(50) {
            return self.emit(if field.is_packed() {
                Instruction::ArrayGetS(index)
            } else {
                Instruction::ArrayGet(index)
            });
        }
        if single {
            self.value(ty, 1);
            return self.emit(Instruction::ArraySet(index));
        }
        let segment = self.segment();
        match self.source.below(3) {
            0 => {
                self.value(ty, 1);
                self.push(&[count]);
                self.emit(Instruction::ArrayFill(index));
            }
            1 if width(field).is_some_and(|width| width * count as usize <= self.data_of(segment).len()) => {
                self.push(&[0, count]);
                self.emit(Instruction::ArrayInitData { array_type_index: index, array_data_index: segment });
            }
            1 if width(field).is_none()
                && self.graph.below(Ty::null(Heap::I31), ty)
                && count as usize <= self.elements_of(segment).len() =>
            {
                self.push(&[0, count]);
                self.emit(Instruction::ArrayInitElem { array_type_index: index, array_elem_index: segment });
            }
            _ => {
                self.emit(Instruction::I32Const(1));
                self.emit(Instruction::ArrayNewDefault(index));
                self.push(&[0, count]);
                self.emit(Instruction::ArrayCopy { array_type_index_dst: index, array_type_index_src: index });
            }
        }
    }

    /// Elements that an array does not have.
    fn array_trap(&mut self) -> Option<TrapClass> {
        let (root, ty, value) = self.object_root(|writer, def| writer.graph.is_array(def))?;
        let object = self.shadow.object(value)?;
        let (def, length) = (object.def, object.cells.len());
        let (index, field) = (self.type_index(def), self.graph.fields(def)[0]);
        let array = Ty::null(Heap::Def(def));
        if field.mutable && self.source.percent(25) {
            return self.copy_trap(def, index);
        }
        self.push_root(root);
        self.convert(ty, value, array);
        let (at, count) = if self.source.percent(50) { (self.beyond(length), 1) } else { self.outside(length) };
        if count == 1 || count == 0 {
            // Also right for what takes one element.
            self.use_array(def, field, at.max(length as u32), count);
        } else if field.mutable {
            self.push(&[at]);
            self.value(field.unpacked(), 1);
            self.push(&[count]);
            self.emit(Instruction::ArrayFill(index));
        } else {
            let at = self.beyond(length);
            self.use_array(def, field, at, 1);
        }
        Some(TrapClass::ArrayOutOfBounds)
    }

    /// `array.copy` between two arrays, or within one, where one of the ranges does not lie in its array.
    fn copy_trap(&mut self, def: u32, index: u32) -> Option<TrapClass> {
        let (to, to_ty, to_value) = self.object_root(|_, other| other == def)?;
        let (from, from_ty, from_value) = self.object_root(|_, other| other == def)?;
        let length = |value: V| self.shadow.object(value).map_or(0, |object| object.cells.len());
        let (to_length, from_length) = (length(to_value), length(from_value));
        let (at, start, count) = self.out_of_either(to_length, from_length);
        self.push_root(to);
        self.convert(to_ty, to_value, Ty::null(Heap::Def(def)));
        self.push(&[at]);
        self.push_root(from);
        self.convert(from_ty, from_value, Ty::null(Heap::Def(def)));
        self.push(&[start, count]);
        self.emit(Instruction::ArrayCopy { array_type_index_dst: index, array_type_index_src: index });
        Some(TrapClass::ArrayOutOfBounds)
    }

    /// A new array, or elements of one, from what a segment does not have.
    fn segment_trap(&mut self) -> Option<TrapClass> {
        let segment = self.segment();
        let (bytes, items) = (self.data_of(segment).len(), self.elements_of(segment).len());
        // Start and count: one element that ends behind the end, or none from behind it.
        let range = |writer: &mut Self, length: usize, width: usize| {
            let one = ((length + 1).saturating_sub(width) as u32, 1);
            writer.source.pick(&[(length as u32 + 1, 0), one, one, (length as u32, 1), (u32::MAX, 1)])
        };
        let arrays = self.graph.aggregates().into_iter().filter(|def| self.graph.is_array(*def));
        let wanted = |def: &u32| {
            let field = self.graph.fields(*def)[0];
            width(field).is_some() || self.graph.below(Ty::null(Heap::I31), field.unpacked())
        };
        let arrays: Vec<u32> = arrays.filter(wanted).collect();
        if arrays.is_empty() {
            return None;
        }
        let def = self.source.pick(&arrays);
        let (array_type_index, field) = (self.type_index(def), self.graph.fields(def)[0]);
        let (from, count) = match width(field) {
            Some(width) => range(self, bytes, width),
            None => range(self, items, 1),
        };
        let initializes = field.mutable && self.source.percent(50);
        if initializes {
            self.emit(Instruction::I32Const(2));
            self.emit(Instruction::ArrayNewDefault(array_type_index));
            self.push(&[0]);
        }
        self.push(&[from, count]);
        let (array_data_index, array_elem_index) = (segment, segment);
        self.emit(match (width(field).is_some(), initializes) {
            (true, true) => Instruction::ArrayInitData { array_type_index, array_data_index },
            (true, false) => Instruction::ArrayNewData { array_type_index, array_data_index },
            (false, true) => Instruction::ArrayInitElem { array_type_index, array_elem_index },
            (false, false) => Instruction::ArrayNewElem { array_type_index, array_elem_index },
        });
        Some(if width(field).is_some() { TrapClass::MemoryOutOfBounds } else { TrapClass::TableOutOfBounds })
    }

    fn cast_trap(&mut self) -> Option<TrapClass> {
        let value = self.value(Ty::null(Heap::Any), 2);
        let heap = self.any_heap();
        if self.fits(value, Ty::Ref(false, heap)) {
            self.emit(Instruction::Drop);
            return None;
        }
        let heap = self.heap(heap);
        self.emit(Instruction::RefCastNonNull(heap));
        Some(TrapClass::CastFailure)
    }
}

/// Whether two lists are of different types for sure: references may be the same type by another number.
fn differ(left: &[Ty], right: &[Ty]) -> bool {
    let is_reference = |ty: &Ty| matches!(ty, Ty::Ref(..));
    let different = |(left, right): (&Ty, &Ty)| left != right && !(is_reference(left) && is_reference(right));
    left.len() != right.len() || left.iter().zip(right).any(different)
}
