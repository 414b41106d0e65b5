//! The type graph of a script: recursive groups of structs, arrays and functions with subtyping.
//!
//! [Types](https://webassembly.github.io/spec/core/syntax/types.html) are equal by structure, whole groups at a time. Every
//! group begins with a function type that no other group has, so that types of different groups are different, unless
//! a group was copied on purpose: then a position of the copy is the same type as that of the original.
//!
//! Invariant: a type refers to types of its own and of earlier groups; a field that must not be null refers to an earlier
//! type, so that every type has a value.
//!
//! Does not know: values, code.

use crate::source::Source;
use wasm_encoder::{
    AbstractHeapType, ArrayType, CompositeInnerType, CompositeType, FieldType, FuncType, HeapType, RefType,
    StorageType, StructType, SubType, TypeSection, ValType,
};

/// Depth of subtyping.
const DEPTH_MAX: u32 = 8;

/// A heap type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heap {
    Any,
    Eq,
    I31,
    Struct,
    Array,
    Func,
    Extern,
    Exn,
    /// A type of the graph.
    Def(u32),
}

/// A value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ty {
    I32,
    I64,
    F32,
    F64,
    V128,
    /// Whether null belongs to it, and what it refers to.
    Ref(bool, Heap),
}

impl Ty {
    /// The nullable reference type.
    pub fn null(heap: Heap) -> Ty {
        Ty::Ref(true, heap)
    }

    /// Whether it has a default value.
    pub fn is_defaultable(self) -> bool {
        !matches!(self, Ty::Ref(false, _))
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    I8,
    I16,
    Full(Ty),
}

/// A field, or the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub storage: Storage,
    pub mutable: bool,
}

impl Field {
    /// The type of its value outside.
    pub fn unpacked(self) -> Ty {
        match self.storage {
            Storage::I8 | Storage::I16 => Ty::I32,
            Storage::Full(ty) => ty,
        }
    }

    /// Whether reading it takes a signedness.
    pub fn is_packed(self) -> bool {
        !matches!(self.storage, Storage::Full(_))
    }
}

/// The shape of a defined type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    Struct(Vec<Field>),
    Array(Field),
    Func(Vec<Ty>, Vec<Ty>),
}

/// A defined type.
#[derive(Clone, Debug)]
pub struct Def {
    pub form: Form,
    pub parent: Option<u32>,
    is_final: bool,
    depth: u32,
    /// The first type that is equal to it: itself, unless its group is a copy.
    pub canonical: u32,
    /// The type of its objects' descriptors.
    descriptor: Option<u32>,
    /// The type whose objects it describes.
    describes: Option<u32>,
}

/// All types.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub defs: Vec<Def>,
    /// Lengths of the groups, in order; groups of one are written without `rec`.
    groups: Vec<u32>,
    /// First type after a copied group. The validator takes an identifier for an index there (wasmparser 0.254.2,
    /// `check_descriptor`), and refuses valid casts by descriptor.
    shifted_from: Option<u32>,
}

impl Graph {
    /// Draws structs and arrays.
    pub fn choose(source: &mut Source<'_>) -> Graph {
        let mut graph = Graph::default();
        for group in 0..source.between(2, 4) as u32 {
            graph.group(source, group);
            if source.percent(20) {
                graph.copy_last();
            }
        }
        graph
    }

    fn group(&mut self, source: &mut Source<'_>, brand: u32) {
        let start = self.defs.len() as u32;
        let length = source.between(2, 6) as u32;
        self.push(Form::Func(vec![Ty::I32; brand as usize + 1], vec![Ty::V128]), None, true);
        while (self.defs.len() as u32) < start + length {
            let room = start + length - self.defs.len() as u32;
            if room >= 2 && source.percent(35) {
                self.described(source, start + length);
                continue;
            }
            let parent = self.parent(source, |def| def.descriptor.is_none() && def.describes.is_none());
            let parent_form = parent.map(|parent| self.defs[parent as usize].form.clone());
            let form = match parent_form {
                Some(Form::Struct(fields)) => Form::Struct(self.struct_fields(source, start + length, fields)),
                Some(form) => form,
                None if source.percent(60) => Form::Struct(self.struct_fields(source, start + length, Vec::new())),
                None => Form::Array(self.array_field(source, start + length)),
            };
            let is_final = source.percent(20);
            self.push(form, parent, is_final);
        }
        self.groups.push(length);
    }

    /// A struct type and its descriptor's.
    fn described(&mut self, source: &mut Source<'_>, end: u32) {
        let parent = self.parent(source, |def| matches!(def.form, Form::Struct(_)) && def.describes.is_none());
        let parent_descriptor = parent.and_then(|parent| self.defs[parent as usize].descriptor);
        let fields = |parent: Option<u32>| parent.map_or(Vec::new(), |parent| self.fields(parent).to_vec());
        let (inherited, described) = (fields(parent), fields(parent_descriptor));
        // Both before either is there: a descriptor that needed an object that it describes could not be had.
        let form = Form::Struct(self.struct_fields(source, end, inherited));
        let descriptor_form = Form::Struct(self.struct_fields(source, end, described));
        let is_final = source.percent(20);
        let object = self.push(form, parent, is_final);
        let descriptor = self.push(descriptor_form, parent_descriptor, is_final);
        self.defs[object as usize].descriptor = Some(descriptor);
        self.defs[descriptor as usize].describes = Some(object);
    }

    fn push(&mut self, form: Form, parent: Option<u32>, is_final: bool) -> u32 {
        let index = self.defs.len() as u32;
        let depth = parent.map_or(0, |parent| self.defs[parent as usize].depth + 1);
        self.defs.push(Def { form, parent, is_final, depth, canonical: index, descriptor: None, describes: None });
        index
    }

    fn parent(&self, source: &mut Source<'_>, fits: impl Fn(&Def) -> bool) -> Option<u32> {
        if self.defs.is_empty() || source.percent(35) {
            return None;
        }
        // Later types first: chains get deep.
        let back = source.below(self.defs.len().min(4));
        let parent = (self.defs.len() - 1 - back) as u32;
        let def = &self.defs[parent as usize];
        (!def.is_final && def.depth < DEPTH_MAX && !matches!(def.form, Form::Func(..)) && fits(def)).then_some(parent)
    }

    fn struct_fields(&mut self, source: &mut Source<'_>, end: u32, mut fields: Vec<Field>) -> Vec<Field> {
        let most = if fields.is_empty() { 5 } else { 3 };
        for _ in 0..source.between(0, most) {
            let mutable = source.percent(75);
            let storage = self.storage(source, end);
            fields.push(Field { storage, mutable });
        }
        fields
    }

    fn array_field(&mut self, source: &mut Source<'_>, end: u32) -> Field {
        let storage = self.storage(source, end);
        // An element that must not be null could not be had in numbers.
        let storage = match storage {
            // Packed elements have reads of their own, which are rare otherwise.
            _ if source.percent(12) => source.pick(&[Storage::I8, Storage::I16]),
            Storage::Full(Ty::Ref(_, heap)) => Storage::Full(Ty::null(heap)),
            other => other,
        };
        Field { storage, mutable: source.percent(90) }
    }

    /// A field's content; references may go to types below `end`.
    fn storage(&self, source: &mut Source<'_>, end: u32) -> Storage {
        const HEAPS: [Heap; 8] =
            [Heap::Any, Heap::Any, Heap::Eq, Heap::I31, Heap::Struct, Heap::Array, Heap::Func, Heap::Extern];
        Storage::Full(match source.below(18) {
            0 | 16 => return Storage::I8,
            1 | 17 => return Storage::I16,
            2 | 3 => Ty::I32,
            4 => Ty::I64,
            5 => Ty::F32,
            6 => Ty::F64,
            7 => Ty::V128,
            8 | 9 => Ty::null(source.pick(&HEAPS)),
            10 => Ty::Ref(false, source.pick(&[Heap::I31, Heap::Eq, Heap::Any])),
            11 if source.percent(40) => match self.earlier(source) {
                Some(def) => Ty::Ref(false, Heap::Def(def)),
                None => Ty::I32,
            },
            _ => {
                let target = source.below(end as usize) as u32;
                Ty::null(Heap::Def(target))
            }
        })
    }

    fn earlier(&self, source: &mut Source<'_>) -> Option<u32> {
        let aggregates = self.aggregates();
        (!aggregates.is_empty()).then(|| source.pick(&aggregates))
    }

    /// Repeats the last group: the same types under other indices.
    fn copy_last(&mut self) {
        let Some(length) = self.groups.last().copied() else { return };
        let start = self.defs.len() as u32 - length;
        let moved = |index: u32| if index >= start { index + length } else { index };
        for index in start..start + length {
            let mut def = self.defs[index as usize].clone();
            def.parent = def.parent.map(moved);
            def.descriptor = def.descriptor.map(moved);
            def.describes = def.describes.map(moved);
            let shift = |ty: &mut Ty| {
                if let Ty::Ref(_, Heap::Def(index)) = ty {
                    *index = moved(*index);
                }
            };
            match &mut def.form {
                Form::Struct(fields) => fields.iter_mut().for_each(|field| shift_field(field, shift)),
                Form::Array(field) => shift_field(field, shift),
                Form::Func(params, results) => params.iter_mut().chain(results).for_each(shift),
            }
            self.defs.push(def);
        }
        self.groups.push(length);
        self.shifted_from = self.shifted_from.or(Some(self.defs.len() as u32));
    }

    /// The function type with these parameters and results, added when it is new.
    pub fn func(&mut self, params: &[Ty], results: &[Ty]) -> u32 {
        let form = Form::Func(params.to_vec(), results.to_vec());
        // Only groups of one: a function of a bigger group has another type.
        let mut at = 0;
        for length in &self.groups {
            if *length == 1 && self.defs[at as usize].form == form {
                return at;
            }
            at += length;
        }
        self.groups.push(1);
        self.push(form, None, true)
    }

    /// Parameters and results of a function type.
    pub fn signature(&self, def: u32) -> (Vec<Ty>, Vec<Ty>) {
        match &self.defs[def as usize].form {
            Form::Func(params, results) => (params.clone(), results.clone()),
            _ => (Vec::new(), Vec::new()),
        }
    }

    /// Structs and arrays.
    pub fn aggregates(&self) -> Vec<u32> {
        let is = |def: &Def| !matches!(def.form, Form::Func(..));
        (0..self.defs.len() as u32).filter(|index| is(&self.defs[*index as usize])).collect()
    }

    /// The fields of a type: of an array, the one.
    pub fn fields(&self, def: u32) -> &[Field] {
        match &self.defs[def as usize].form {
            Form::Struct(fields) => fields,
            Form::Array(field) => std::slice::from_ref(field),
            Form::Func(..) => &[],
        }
    }

    /// Whether a type is an array.
    pub fn is_array(&self, def: u32) -> bool {
        matches!(self.defs[def as usize].form, Form::Array(_))
    }

    /// The type of the descriptors of a type's objects.
    pub fn descriptor(&self, def: u32) -> Option<u32> {
        self.defs[def as usize].descriptor
    }

    /// Whether there may be casts to a type by descriptor.
    pub fn is_cast_target(&self, def: u32) -> bool {
        self.descriptor(def).is_some() && self.shifted_from.is_none_or(|from| def < from)
    }

    /// Types to which there may be casts by descriptor.
    pub fn cast_targets(&self) -> Vec<u32> {
        (0..self.defs.len() as u32).filter(|def| self.is_cast_target(*def)).collect()
    }

    /// Whether every field of a type has a default value.
    pub fn is_defaultable(&self, def: u32) -> bool {
        self.fields(def).iter().all(|field| field.unpacked().is_defaultable())
    }

    /// Whether a heap type is a subtype of another.
    pub fn heap_below(&self, low: Heap, high: Heap) -> bool {
        match (low, high) {
            (low, high) if low == high => true,
            (Heap::Def(low), Heap::Def(high)) => {
                let wanted = self.defs[high as usize].canonical;
                let mut at = Some(low);
                while let Some(index) = at {
                    if self.defs[index as usize].canonical == wanted {
                        return true;
                    }
                    at = self.defs[index as usize].parent;
                }
                false
            }
            (Heap::Def(low), high) => match self.defs[low as usize].form {
                Form::Struct(_) => matches!(high, Heap::Struct | Heap::Eq | Heap::Any),
                Form::Array(_) => matches!(high, Heap::Array | Heap::Eq | Heap::Any),
                Form::Func(..) => high == Heap::Func,
            },
            (Heap::I31 | Heap::Struct | Heap::Array, Heap::Eq | Heap::Any) | (Heap::Eq, Heap::Any) => true,
            _ => false,
        }
    }

    /// Whether a value type is a subtype of another.
    pub fn below(&self, low: Ty, high: Ty) -> bool {
        match (low, high) {
            (Ty::Ref(low_null, low), Ty::Ref(high_null, high)) => {
                (high_null || !low_null) && self.heap_below(low, high)
            }
            (low, high) => low == high,
        }
    }

    /// The top of a heap type's hierarchy.
    pub fn top(&self, heap: Heap) -> Heap {
        match heap {
            Heap::Func | Heap::Extern | Heap::Exn => heap,
            Heap::Def(def) if matches!(self.defs[def as usize].form, Form::Func(..)) => Heap::Func,
            _ => Heap::Any,
        }
    }

    /// The section, with `pad` function types before the graph's, so that modules number equal types differently.
    pub fn section(&self, pad: u32) -> TypeSection {
        let mut section = TypeSection::new();
        for extra in 0..pad {
            section.ty().function(vec![ValType::F32; extra as usize + 3], []);
        }
        let mut at = 0;
        for length in &self.groups {
            let group: Vec<SubType> = (at..at + length).map(|index| self.encoded(index, pad)).collect();
            match group.as_slice() {
                [only] => section.ty().subtype(only),
                _ => section.ty().rec(group),
            }
            at += length;
        }
        section
    }

    fn encoded(&self, index: u32, pad: u32) -> SubType {
        let def = &self.defs[index as usize];
        let field = |field: &Field| FieldType {
            element_type: match field.storage {
                Storage::I8 => StorageType::I8,
                Storage::I16 => StorageType::I16,
                Storage::Full(ty) => StorageType::Val(val_type(ty, pad)),
            },
            mutable: field.mutable,
        };
        let types = |types: &[Ty]| types.iter().map(|ty| val_type(*ty, pad)).collect::<Vec<_>>();
        let inner = match &def.form {
            Form::Struct(fields) => {
                CompositeInnerType::Struct(StructType { fields: fields.iter().map(field).collect() })
            }
            Form::Array(element) => CompositeInnerType::Array(ArrayType(field(element))),
            Form::Func(params, results) => CompositeInnerType::Func(FuncType::new(types(params), types(results))),
        };
        let composite_type = CompositeType {
            inner,
            shared: false,
            descriptor: def.descriptor.map(|descriptor| descriptor + pad),
            describes: def.describes.map(|described| described + pad),
        };
        SubType { is_final: def.is_final, supertype_idx: def.parent.map(|parent| parent + pad), composite_type }
    }
}

fn shift_field(field: &mut Field, shift: impl Fn(&mut Ty)) {
    if let Storage::Full(ty) = &mut field.storage {
        shift(ty);
    }
}

/// A heap type in a module whose graph starts at type `pad`.
pub fn heap_type(heap: Heap, pad: u32) -> HeapType {
    let ty = match heap {
        Heap::Any => AbstractHeapType::Any,
        Heap::Eq => AbstractHeapType::Eq,
        Heap::I31 => AbstractHeapType::I31,
        Heap::Struct => AbstractHeapType::Struct,
        Heap::Array => AbstractHeapType::Array,
        Heap::Func => AbstractHeapType::Func,
        Heap::Extern => AbstractHeapType::Extern,
        Heap::Exn => AbstractHeapType::Exn,
        Heap::Def(def) => return HeapType::Concrete(def + pad),
    };
    HeapType::Abstract { shared: false, ty }
}

/// A reference type there.
pub fn ref_type(nullable: bool, heap: Heap, pad: u32) -> RefType {
    RefType { nullable, heap_type: heap_type(heap, pad) }
}

/// A value type there.
pub fn val_type(ty: Ty, pad: u32) -> ValType {
    match ty {
        Ty::I32 => ValType::I32,
        Ty::I64 => ValType::I64,
        Ty::F32 => ValType::F32,
        Ty::F64 => ValType::F64,
        Ty::V128 => ValType::V128,
        Ty::Ref(nullable, heap) => ValType::Ref(ref_type(nullable, heap, pad)),
    }
}
