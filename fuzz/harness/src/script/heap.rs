//! Structs and arrays: making, reading, writing, in bulk and in loops.
//!
//! [Aggregate instructions](https://webassembly.github.io/spec/core/exec/instructions.html#aggregate-reference-instructions),
//! with every index and length inside its array.
//!
//! Invariant: what the shadow heap holds afterwards is what the emitted operation leaves.
//!
//! Does not know: functions.

use super::shadow::V;
use super::types::{Field, Form, Heap, Storage, Ty};
use super::{Flow, Writer};
use wasm_encoder::{BlockType, Instruction};

/// The value that a field keeps of one that is stored.
fn packed(field: Field, value: V) -> V {
    match (field.storage, value) {
        (Storage::I8, V::I32(bits)) => V::I32(bits & 0xff),
        (Storage::I16, V::I32(bits)) => V::I32(bits & 0xffff),
        (_, value) => value,
    }
}

/// What a packed field gives when it is read as signed.
fn signed(field: Field, value: V) -> V {
    match (field.storage, value) {
        (Storage::I8, V::I32(bits)) => V::I32(bits as u8 as i8 as u32),
        (Storage::I16, V::I32(bits)) => V::I32(bits as u16 as i16 as u32),
        (_, value) => value,
    }
}

/// Bytes of an element in a data segment; none for references.
pub fn width(field: Field) -> Option<usize> {
    Some(match field.storage {
        Storage::I8 => 1,
        Storage::I16 => 2,
        Storage::Full(Ty::I32 | Ty::F32) => 4,
        Storage::Full(Ty::I64 | Ty::F64) => 8,
        Storage::Full(Ty::V128) => 16,
        Storage::Full(Ty::Ref(..)) => return None,
    })
}

fn element_of(field: Field, bytes: &[u8]) -> V {
    let word = bytes.iter().rev().fold(0u128, |word, byte| word << 8 | u128::from(*byte));
    match field.unpacked() {
        Ty::I32 => V::I32(word as u32),
        Ty::F32 => V::F32(word as u32),
        Ty::I64 => V::I64(word as u64),
        Ty::F64 => V::F64(word as u64),
        _ => V::V128(word),
    }
}

impl Writer<'_, '_> {
    /// Emits code that leaves a new object of the type.
    pub(super) fn new_object(&mut self, def: u32, depth: u32) -> V {
        let index = self.type_index(def);
        if self.graph.is_array(def) {
            return self.new_array(def, depth);
        }
        let fields = self.graph.fields(def).to_vec();
        if self.graph.is_defaultable(def) && (depth == 0 || self.source.percent(25)) {
            let cells = fields.iter().map(|field| V::default_of(field.unpacked())).collect();
            if let Some(descriptor) = self.graph.descriptor(def) {
                let descriptor = self.new_descriptor(descriptor, depth);
                self.emit(Instruction::StructNewDefaultDesc(index));
                return self.shadow.alloc_described(def, cells, descriptor);
            }
            self.emit(Instruction::StructNewDefault(index));
            return self.shadow.alloc(def, cells);
        }
        let mut cells = Vec::new();
        for field in fields {
            let value = self.value(field.unpacked(), depth.saturating_sub(1));
            cells.push(packed(field, value));
        }
        if let Some(descriptor) = self.graph.descriptor(def) {
            let descriptor = self.new_descriptor(descriptor, depth);
            self.emit(Instruction::StructNewDesc(index));
            return self.shadow.alloc_described(def, cells, descriptor);
        }
        self.emit(Instruction::StructNew(index));
        self.shadow.alloc(def, cells)
    }

    fn new_array(&mut self, def: u32, depth: u32) -> V {
        let array_type_index = self.type_index(def);
        let field = self.graph.fields(def)[0];
        let ty = field.unpacked();
        let length = self.source.pick(&[0, 1, 2, 3, 4, 5, 9, 17]);
        let depth = depth.saturating_sub(1);
        let cells = match (self.source.below(8), width(field)) {
            (0, _) => {
                self.emit(Instruction::I32Const(length as i32));
                self.emit(Instruction::ArrayNewDefault(array_type_index));
                vec![V::default_of(ty); length]
            }
            (1, _) => {
                let cell = packed(field, self.value(ty, depth));
                self.emit(Instruction::I32Const(length as i32));
                self.emit(Instruction::ArrayNew(array_type_index));
                vec![cell; length]
            }
            (2..=4, Some(width)) => {
                let (array_data_index, offset, length) = self.data_range(width, length);
                self.emit(Instruction::I32Const(offset as i32));
                self.emit(Instruction::I32Const(length as i32));
                self.emit(Instruction::ArrayNewData { array_type_index, array_data_index });
                self.data_cells(field, array_data_index, offset, length)
            }
            (2..=4, None) if self.graph.below(Ty::null(Heap::I31), ty) => {
                let (array_elem_index, offset, length) = self.element_range(length);
                self.emit(Instruction::I32Const(offset as i32));
                self.emit(Instruction::I32Const(length as i32));
                self.emit(Instruction::ArrayNewElem { array_type_index, array_elem_index });
                self.elements_of(array_elem_index)[offset..offset + length].to_vec()
            }
            _ => {
                let array_size = length.min(5) as u32;
                let cells = (0..array_size).map(|_| packed(field, self.value(ty, depth))).collect();
                self.emit(Instruction::ArrayNewFixed { array_type_index, array_size });
                cells
            }
        };
        self.shadow.alloc(def, cells)
    }

    fn data_cells(&self, field: Field, segment: u32, offset: usize, length: usize) -> Vec<V> {
        let Some(width) = width(field) else { return Vec::new() };
        let bytes = self.data_of(segment)[offset..].chunks(width);
        bytes.take(length).map(|bytes| packed(field, element_of(field, bytes))).collect()
    }

    /// Reads a field of an object that some place holds, if one gives the type.
    pub(super) fn field_read(&mut self, wanted: Ty) -> Option<V> {
        let graph = &self.graph;
        let fitting = |field: &Field| graph.below(field.unpacked(), wanted);
        let mut places = Vec::new();
        for (root, ty, value) in self.roots() {
            let Some(object) = self.shadow.object(value) else { continue };
            let def = object.def;
            if graph.is_array(def) {
                if fitting(&graph.fields(def)[0]) && !object.cells.is_empty() {
                    places.push((root, ty, value, def, None));
                }
                continue;
            }
            let fields = graph.fields(def).iter().enumerate().filter(|(_, field)| fitting(field));
            places.extend(fields.map(|(index, _)| (root, ty, value, def, Some(index))));
        }
        if places.is_empty() {
            return None;
        }
        let (root, ty, value, def, field_index) = self.source.pick(&places);
        self.push_root(root);
        let seen = self.ancestor_with(def, field_index.unwrap_or(0));
        self.convert(ty, value, Ty::null(Heap::Def(seen)));
        Some(match field_index {
            Some(index) => self.get_field(seen, value, index),
            None => self.get_element(seen, value),
        })
    }

    /// The type itself or an ancestor that has the field too.
    fn ancestor_with(&mut self, def: u32, field: usize) -> u32 {
        let mut at = def;
        while let Some(parent) = self.graph.defs[at as usize].parent {
            if self.graph.fields(parent).len() <= field || self.source.percent(50) {
                break;
            }
            at = parent;
        }
        at
    }

    fn get_field(&mut self, def: u32, value: V, at: usize) -> V {
        let (struct_type_index, field_index) = (self.type_index(def), at as u32);
        let field = self.graph.fields(def)[at];
        let cell = self.shadow.object(value).map_or(V::I32(0), |object| object.cells[at]);
        let sign = field.is_packed() && self.source.percent(50);
        self.emit(match (field.is_packed(), sign) {
            (false, _) => Instruction::StructGet { struct_type_index, field_index },
            (true, true) => Instruction::StructGetS { struct_type_index, field_index },
            (true, false) => Instruction::StructGetU { struct_type_index, field_index },
        });
        if sign { signed(field, cell) } else { cell }
    }

    fn get_element(&mut self, def: u32, value: V) -> V {
        let index = self.type_index(def);
        let field = self.graph.fields(def)[0];
        let cells = self.shadow.object(value).map_or(Vec::new(), |object| object.cells.clone());
        let at = self.index_below(cells.len());
        let sign = field.is_packed() && self.source.percent(50);
        self.emit(match (field.is_packed(), sign) {
            (false, _) => Instruction::ArrayGet(index),
            (true, true) => Instruction::ArrayGetS(index),
            (true, false) => Instruction::ArrayGetU(index),
        });
        if sign { signed(field, cells[at]) } else { cells[at] }
    }

    /// Pushes an index below `length`, often the last one.
    fn index_below(&mut self, length: usize) -> usize {
        let at = if self.source.percent(35) { length - 1 } else { self.source.below(length) };
        self.emit(Instruction::I32Const(at as i32));
        at
    }

    /// Writes a field or elements of an object that some place holds.
    pub(super) fn write_object(&mut self) -> Flow {
        let mutable = |writer: &Self, def: u32| writer.graph.fields(def).iter().any(|field| field.mutable);
        let Some((root, ty, value)) = self.object_root(mutable) else { return Flow::Next };
        let def = self.shadow.object(value).map_or(0, |object| object.def);
        if self.graph.is_array(def) {
            self.write_array(root, ty, value, def);
            return Flow::Next;
        }
        let fields = self.graph.fields(def).to_vec();
        let writable: Vec<usize> = (0..fields.len()).filter(|index| fields[*index].mutable).collect();
        let at = self.source.pick(&writable);
        let seen = self.ancestor_with(def, at);
        self.push_root(root);
        self.convert(ty, value, Ty::null(Heap::Def(seen)));
        let cell = packed(fields[at], self.value(fields[at].unpacked(), 2));
        self.emit(Instruction::StructSet { struct_type_index: self.type_index(seen), field_index: at as u32 });
        self.shadow.store(value, at, cell);
        Flow::Next
    }

    fn write_array(&mut self, root: super::body::Root, ty: Ty, value: V, def: u32) {
        let index = self.type_index(def);
        let field = self.graph.fields(def)[0];
        let length = self.shadow.object(value).map_or(0, |object| object.cells.len());
        self.push_root(root);
        self.convert(ty, value, Ty::null(Heap::Def(def)));
        let at = self.source.between(0, length);
        let count = self.source.between(0, length - at);
        let cells: Vec<V> = match (self.source.below(8), width(field)) {
            (0, _) => {
                self.emit(Instruction::I32Const(at as i32));
                let cell = packed(field, self.value(field.unpacked(), 1));
                self.emit(Instruction::I32Const(count as i32));
                self.emit(Instruction::ArrayFill(index));
                vec![cell; count]
            }
            (1 | 5..=7, Some(width)) => {
                let (array_data_index, offset, count) = self.data_range(width, count);
                [at, offset, count].iter().for_each(|value| self.emit(Instruction::I32Const(*value as i32)));
                self.emit(Instruction::ArrayInitData { array_type_index: index, array_data_index });
                self.data_cells(field, array_data_index, offset, count)
            }
            (1 | 5..=7, None) if self.graph.below(Ty::null(Heap::I31), field.unpacked()) => {
                let (array_elem_index, offset, count) = self.element_range(count);
                [at, offset, count].iter().for_each(|value| self.emit(Instruction::I32Const(*value as i32)));
                self.emit(Instruction::ArrayInitElem { array_type_index: index, array_elem_index });
                self.elements_of(array_elem_index)[offset..offset + count].to_vec()
            }
            (2, _) => {
                // Within the array itself, overlapping or not.
                self.emit(Instruction::I32Const(at as i32));
                self.push_root(root);
                self.convert(ty, value, Ty::null(Heap::Def(def)));
                let from = self.source.between(0, length - count);
                self.emit(Instruction::I32Const(from as i32));
                self.emit(Instruction::I32Const(count as i32));
                self.emit(Instruction::ArrayCopy { array_type_index_dst: index, array_type_index_src: index });
                self.shadow.object(value).map_or(Vec::new(), |object| object.cells[from..from + count].to_vec())
            }
            _ if length == 0 => return self.emit(Instruction::Drop),
            _ => {
                let at = self.index_below(length);
                let cell = packed(field, self.value(field.unpacked(), 2));
                self.emit(Instruction::ArraySet(index));
                return self.shadow.store(value, at, cell);
            }
        };
        cells.into_iter().enumerate().for_each(|(offset, cell)| self.shadow.store(value, at + offset, cell));
    }

    /// Types whose objects can be made from nothing.
    fn defaultable(&self) -> Vec<u32> {
        let whole = |def: &u32| {
            let descriptor = self.graph.descriptor(*def);
            self.graph.is_defaultable(*def) && descriptor.is_none_or(|descriptor| self.graph.is_defaultable(descriptor))
        };
        self.graph.aggregates().into_iter().filter(whole).collect()
    }

    fn push_default(&mut self, def: u32) {
        let index = self.type_index(def);
        if self.graph.is_array(def) {
            self.emit(Instruction::I32Const(3));
            self.emit(Instruction::ArrayNewDefault(index));
        } else if let Some(descriptor) = self.graph.descriptor(def) {
            self.emit(Instruction::StructNewDefault(self.type_index(descriptor)));
            self.emit(Instruction::StructNewDefaultDesc(index));
        } else {
            self.emit(Instruction::StructNewDefault(index));
        }
    }

    /// Notes what [`Self::push_default`] has made.
    fn note_default(&mut self, def: u32) -> V {
        let cells = self.default_cells(def);
        match self.graph.descriptor(def) {
            Some(descriptor) => {
                let descriptor = self.shadow.alloc(descriptor, self.default_cells(descriptor));
                self.shadow.alloc_described(def, cells, descriptor)
            }
            None => self.shadow.alloc(def, cells),
        }
    }

    fn default_cells(&self, def: u32) -> Vec<V> {
        let fields = self.graph.fields(def);
        let count = if self.graph.is_array(def) { 3 } else { fields.len() };
        (0..count)
            .map(|index| V::default_of(fields[if self.graph.is_array(def) { 0 } else { index }].unpacked()))
            .collect()
    }

    /// Runs what `body` emits `count` times, with a counter that `body` sees.
    fn repeat(&mut self, count: u32, body: impl FnOnce(&mut Self, u32)) {
        let counter = self.new_local(Ty::I32, false);
        self.emit(Instruction::I32Const(count as i32));
        self.emit(Instruction::LocalSet(counter));
        self.emit(Instruction::Loop(BlockType::Empty));
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::I32Const(1));
        self.emit(Instruction::I32Sub);
        self.emit(Instruction::LocalSet(counter));
        body(self, counter);
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::BrIf(0));
        self.end();
    }

    /// Makes objects and forgets them.
    pub(super) fn garbage(&mut self) -> Flow {
        let types = self.defaultable();
        if !types.is_empty() {
            let def = self.source.pick(&types);
            let count = self.source.pick(&[1, 8, 50, 300]);
            self.repeat(count, |writer, _| {
                writer.push_default(def);
                writer.emit(Instruction::Drop);
            });
        }
        Flow::Next
    }

    /// Fills an array with new objects, in a loop.
    pub(super) fn fill_in_loop(&mut self) -> Flow {
        let types = self.defaultable();
        let mut pairs = Vec::new();
        for array in self.graph.aggregates() {
            let Form::Array(Field { storage: Storage::Full(element), mutable: true }) =
                self.graph.defs[array as usize].form
            else {
                continue;
            };
            let fits = |def: &&u32| self.graph.below(Ty::Ref(false, Heap::Def(**def)), element);
            pairs.extend(types.iter().filter(fits).map(|def| (array, *def)));
        }
        if pairs.is_empty() {
            return Flow::Next;
        }
        let (array, def) = self.source.pick(&pairs);
        let count = self.source.pick(&[1u32, 4, 9, 30]);
        let (index, local) = (self.type_index(array), self.new_local(Ty::null(Heap::Def(array)), true));
        self.emit(Instruction::I32Const(count as i32));
        self.emit(Instruction::ArrayNewDefault(index));
        self.emit(Instruction::LocalSet(local));
        self.repeat(count, |writer, counter| {
            writer.emit(Instruction::LocalGet(local));
            writer.emit(Instruction::LocalGet(counter));
            writer.push_default(def);
            writer.emit(Instruction::ArraySet(index));
        });
        let cells = (0..count).map(|_| self.note_default(def)).collect();
        let value = self.shadow.alloc(array, cells);
        self.note_local(local, value);
        Flow::Next
    }

    /// Makes a list in a loop, where a type refers to itself.
    pub(super) fn list_in_loop(&mut self) -> Flow {
        let mut links = Vec::new();
        for def in self.defaultable().into_iter().filter(|def| !self.graph.is_array(*def)) {
            let links_to_itself =
                |field: &Field| field.mutable && self.graph.below(Ty::Ref(false, Heap::Def(def)), field.unpacked());
            let fields = self.graph.fields(def).iter().enumerate();
            links.extend(fields.filter(|(_, field)| links_to_itself(field)).map(|(index, _)| (def, index)));
        }
        if links.is_empty() {
            return Flow::Next;
        }
        let (def, at) = self.source.pick(&links);
        let count = self.source.pick(&[1u32, 3, 12, 40]);
        let ty = Ty::null(Heap::Def(def));
        let (head, fresh) = (self.new_local(ty, true), self.new_local(ty, false));
        let heap = self.heap(Heap::Def(def));
        self.emit(Instruction::RefNull(heap));
        self.emit(Instruction::LocalSet(head));
        let (struct_type_index, field_index) = (self.type_index(def), at as u32);
        self.repeat(count, |writer, _| {
            writer.push_default(def);
            writer.emit(Instruction::LocalTee(fresh));
            writer.emit(Instruction::LocalGet(head));
            writer.emit(Instruction::StructSet { struct_type_index, field_index });
            writer.emit(Instruction::LocalGet(fresh));
            writer.emit(Instruction::LocalSet(head));
        });
        let mut value = V::Null;
        for _ in 0..count {
            let next = value;
            value = self.note_default(def);
            self.shadow.store(value, at, next);
        }
        self.note_local(head, value);
        self.note_local(fresh, value);
        Flow::Next
    }
}
