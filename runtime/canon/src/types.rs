//! Interface types in a hash-consed arena.
//!
//! [Types](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions) with their
//! layout in both kinds of memory, their flattening and what else the canonical ABI asks of a type, computed once when a
//! type is interned, from its members' facts alone.
//!
//! Invariant: members are interned before the type that has them, so their identifiers are smaller and nothing here
//! recurses; two types are equal exactly when their identifiers are; identifiers depend on the order of interning only.
//!
//! Does not know: component type indices, which names are well-formed or collide, where a resource is defined.

use crate::fault::TypeError;
use crate::flatten::{CoreType, FlatTypes};
use crate::layout::{
    ELEMENT_BYTES_MAX, Layout, PAIR_BYTES_MAX, Width, discriminant_bytes, flags_bytes, tuple_layout_within,
    variant_layout,
};
use crate::scalar::Scalar;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// A type of one arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TypeId(u32);

/// A name of one arena: of a field, a case or a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(u32);

/// A resource type, numbered by whoever tells resource types apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId(pub u32);

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Its label.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
}

/// A case of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Case {
    /// Its label.
    pub name: Name,
    /// Its payload.
    pub ty: Option<TypeId>,
}

/// An interface type, its members by identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// `bool`, an integer, a float or `char`.
    Scalar(Scalar),
    /// `string`.
    String,
    /// `error-context`.
    ErrorContext,
    /// `list` of any length.
    List(TypeId),
    /// `list` of a fixed length, which lies in place.
    FixedList {
        /// What it holds.
        element: TypeId,
        /// How many, at least one.
        count: u32,
    },
    /// `map`, in memory a list of pairs.
    Map {
        /// A bool, an integer, a char or a string.
        key: TypeId,
        /// Any type.
        value: TypeId,
    },
    /// `record`.
    Record(Box<[Field]>),
    /// `tuple`.
    Tuple(Box<[TypeId]>),
    /// `variant`.
    Variant(Box<[Case]>),
    /// `enum`.
    Enum(Box<[Name]>),
    /// `option`.
    Option(TypeId),
    /// `result`.
    Result {
        /// The payload of `ok`.
        ok: Option<TypeId>,
        /// The payload of `error`.
        err: Option<TypeId>,
    },
    /// `flags`, at most 32.
    Flags(Box<[Name]>),
    /// `own`.
    Own(ResourceId),
    /// `borrow`.
    Borrow(ResourceId),
    /// `stream`.
    Stream(Option<TypeId>),
    /// `future`.
    Future(Option<TypeId>),
}

/// A handle's type: what its table entry must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HandleKind {
    /// An owned resource.
    Own(ResourceId),
    /// A borrowed resource.
    Borrow(ResourceId),
    /// The readable end of a stream of these.
    Stream(Option<TypeId>),
    /// The readable end of a future of these.
    Future(Option<TypeId>),
    /// An error context.
    ErrorContext,
}

/// A [despecialized](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#despecialization)
/// type: all that lifting and lowering distinguish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One core value.
    Scalar(Scalar),
    /// A pointer and a length that may be tagged.
    String,
    /// A pointer and a number of elements (`list`, `map`).
    List(TypeId),
    /// Elements in place.
    Array {
        /// What it holds.
        element: TypeId,
        /// How many.
        count: u32,
    },
    /// Members in place (`record`, `tuple`).
    Fields(Box<[TypeId]>),
    /// A discriminant and a payload (`variant`, `option`, `result`).
    Cases(Box<[Option<TypeId>]>),
    /// A discriminant alone (`enum`), by the number of cases.
    Enum(u32),
    /// One word of bits, by their number.
    Flags(u32),
    /// An index into a table.
    Handle(HandleKind),
}

/// What a value of a type may contain, at any depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Facts {
    /// Strings or lists: lifting needs a memory, lowering needs `realloc` too.
    pub pointers: bool,
    /// Handles of any kind.
    pub handles: bool,
    /// Borrowed handles.
    pub borrows: bool,
    /// Floats: copying bytes keeps NaNs as they are.
    pub floats: bool,
    /// Every byte matters and every bit pattern is a value, so copying bytes copies values.
    pub plain: bool,
    /// Nesting: 1 for what has no members.
    pub depth: u32,
}

/// What an arena accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Types.
    pub types_max: u32,
    /// Fields, cases, labels, elements of tuples, over all types.
    pub members_max: u32,
    /// Bytes of distinct names, and 64 for each as its entry.
    pub name_bytes_max: u32,
    /// Nesting of a type; a value drops, clones and compares by recursion over it.
    pub depth_max: u32,
}

/// What a name costs besides its text.
const NAME_ENTRY_BYTES: u32 = 64;

impl Default for Limits {
    fn default() -> Limits {
        Limits { types_max: 1 << 17, members_max: 1 << 20, name_bytes_max: 32 << 20, depth_max: 128 }
    }
}

#[derive(Clone, Debug)]
struct Info {
    shape: Shape,
    layout: [Layout; 2],
    /// Offsets of fields, or of the payload of cases.
    offsets: [Box<[u32]>; 2],
    flat: [Option<FlatTypes>; 2],
    facts: Facts,
}

/// The arena. Serialized as what was interned, and interned again on the way back, so that identifiers keep their meaning
/// and facts are never taken from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Listing", try_from = "Listing")]
pub struct Types {
    limits: Limits,
    types: Vec<Arc<Type>>,
    infos: Vec<Info>,
    // ORDER: both maps are only looked up; identifiers come from the vectors.
    ids: HashMap<Arc<Type>, TypeId>,
    names: Vec<Arc<str>>,
    name_ids: HashMap<Arc<str>, Name>,
    name_bytes: u32,
    members: u32,
}

/// An arena as it was filled.
#[derive(Serialize, Deserialize)]
struct Listing {
    limits: Limits,
    names: Vec<String>,
    types: Vec<Type>,
}

impl From<Types> for Listing {
    fn from(types: Types) -> Listing {
        let builtin = TypeId::ERROR_CONTEXT.index() + 1;
        Listing {
            limits: types.limits,
            names: types.names.iter().map(|name| name.as_ref().into()).collect(),
            types: types.types.iter().skip(builtin).map(|ty| ty.as_ref().clone()).collect(),
        }
    }
}

impl TryFrom<Listing> for Types {
    type Error = TypeError;

    fn try_from(listing: Listing) -> Result<Types, TypeError> {
        let mut types = Types::new(listing.limits);
        for name in &listing.names {
            types.name(name)?;
        }
        for ty in listing.types {
            // A pair may be that of a map, and larger than a type of its own.
            let pair = matches!(&ty, Type::Tuple(members) if members.len() == 2);
            types.intern_within(ty, if pair { PAIR_BYTES_MAX } else { ELEMENT_BYTES_MAX })?;
        }
        Ok(types)
    }
}

impl Default for Types {
    fn default() -> Types {
        Types::new(Limits::default())
    }
}

impl TypeId {
    /// `string`, in every arena.
    pub const STRING: TypeId = TypeId(Scalar::ALL.len() as u32);
    /// `error-context`, in every arena.
    pub const ERROR_CONTEXT: TypeId = TypeId(Scalar::ALL.len() as u32 + 1);

    /// A scalar type, in every arena.
    pub const fn scalar(scalar: Scalar) -> TypeId {
        TypeId(scalar as u32)
    }

    /// The identifier as a position in a vector.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Types {
    /// An arena that holds scalars, `string` and `error-context`.
    pub fn new(limits: Limits) -> Types {
        let mut types = Types {
            limits,
            types: Vec::new(),
            infos: Vec::new(),
            ids: HashMap::new(),
            names: Vec::new(),
            name_ids: HashMap::new(),
            name_bytes: 0,
            members: 0,
        };
        for scalar in Scalar::ALL {
            types.push(Type::Scalar(scalar), scalar_info(scalar));
        }
        types.push(Type::String, slice_info(Shape::String, 1));
        types.push(Type::ErrorContext, handle_info(HandleKind::ErrorContext));
        types
    }

    /// How many types there are; identifiers count up to it.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Never: there are always scalars.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// A type's identifier, a new one if the type is new.
    ///
    /// # Errors
    /// A [`TypeError`] when the type is not valid or a limit is reached; the arena is then as before, apart from the pair
    /// that a map interns.
    pub fn intern(&mut self, ty: Type) -> Result<TypeId, TypeError> {
        self.intern_within(ty, ELEMENT_BYTES_MAX)
    }

    fn intern_within(&mut self, ty: Type, bytes_max: u32) -> Result<TypeId, TypeError> {
        if let Some(id) = self.ids.get(&ty) {
            let fits = self.layout(*id, Width::W64).size <= bytes_max;
            return if fits { Ok(*id) } else { Err(TypeError::TooLarge) };
        }
        if self.types.len() >= self.limits.types_max as usize {
            return Err(TypeError::TooMany(self.limits.types_max));
        }
        let members = ty.members();
        if members == 0 {
            return Err(TypeError::Empty);
        }
        let members = u32::try_from(members).ok().and_then(|count| count.checked_add(self.members));
        let members = members.filter(|count| *count <= self.limits.members_max);
        let members = members.ok_or(TypeError::MembersTooMany(self.limits.members_max))?;
        let info = self.describe(&ty, bytes_max)?;
        if info.facts.depth > self.limits.depth_max {
            return Err(TypeError::TooDeep(self.limits.depth_max));
        }
        self.members = members;
        Ok(self.push(ty, info))
    }

    /// A name's identifier, a new one if the name is new.
    ///
    /// # Errors
    /// [`TypeError::NamesTooLong`].
    pub fn name(&mut self, text: &str) -> Result<Name, TypeError> {
        if let Some(name) = self.name_ids.get(text) {
            return Ok(*name);
        }
        let limit = self.limits.name_bytes_max;
        let cost = u32::try_from(text.len()).ok().and_then(|bytes| bytes.checked_add(NAME_ENTRY_BYTES));
        let bytes = cost.and_then(|cost| self.name_bytes.checked_add(cost));
        self.name_bytes = bytes.filter(|bytes| *bytes <= limit).ok_or(TypeError::NamesTooLong(limit))?;
        let name = Name(u32::try_from(self.names.len()).map_err(|_| TypeError::NamesTooLong(limit))?);
        let text: Arc<str> = text.into();
        self.names.push(Arc::clone(&text));
        self.name_ids.insert(text, name);
        Ok(name)
    }

    /// A name's text; empty for a name of another arena.
    pub fn text(&self, name: Name) -> &str {
        self.names.get(name.0 as usize).map_or("", |text| text)
    }

    /// All names, in the order of interning.
    pub fn names(&self) -> impl Iterator<Item = (Name, &str)> {
        self.names.iter().zip(0..).map(|(text, name)| (Name(name), text.as_ref()))
    }

    /// All types, in the order of interning.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (0..u32::try_from(self.types.len()).unwrap_or(u32::MAX)).map(TypeId)
    }

    /// The type as it was interned.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.index()]
    }

    /// The type, despecialized.
    pub fn shape(&self, id: TypeId) -> &Shape {
        &self.info(id).shape
    }

    /// Size and alignment in a memory.
    pub fn layout(&self, id: TypeId, width: Width) -> Layout {
        self.info(id).layout[width.index()]
    }

    /// Core types, `None` when they are more than 16.
    pub fn flat(&self, id: TypeId, width: Width) -> Option<FlatTypes> {
        self.info(id).flat[width.index()]
    }

    /// What values of the type may contain.
    pub fn facts(&self, id: TypeId) -> Facts {
        self.info(id).facts
    }

    /// Offsets of the fields of a record or tuple, in order; empty for other types.
    pub fn field_offsets(&self, id: TypeId, width: Width) -> &[u32] {
        match self.shape(id) {
            Shape::Fields(_) => &self.info(id).offsets[width.index()],
            _ => &[],
        }
    }

    /// The offset of the payload of a variant, option or result; 0 for other types.
    pub fn payload_offset(&self, id: TypeId, width: Width) -> u32 {
        match self.shape(id) {
            Shape::Cases(_) => self.info(id).offsets[width.index()].first().copied().unwrap_or(0),
            _ => 0,
        }
    }

    /// The size of the discriminant of a variant, enum, option or result; 0 for other types.
    pub fn discriminant_bytes(&self, id: TypeId) -> u32 {
        match self.shape(id) {
            Shape::Cases(cases) => discriminant_bytes(cases.len()),
            Shape::Enum(cases) => discriminant_bytes(*cases as usize),
            _ => 0,
        }
    }

    fn info(&self, id: TypeId) -> &Info {
        &self.infos[id.index()]
    }

    fn known(&self, id: TypeId) -> Result<&Info, TypeError> {
        self.infos.get(id.index()).ok_or(TypeError::Unknown(id.0))
    }

    fn push(&mut self, ty: Type, info: Info) -> TypeId {
        // `types_max` is a `u32`, so the count fits.
        let id = TypeId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        let ty = Arc::new(ty);
        self.types.push(Arc::clone(&ty));
        self.infos.push(info);
        self.ids.insert(ty, id);
        id
    }

    fn describe(&mut self, ty: &Type, bytes_max: u32) -> Result<Info, TypeError> {
        match ty {
            Type::Scalar(scalar) => Ok(scalar_info(*scalar)),
            Type::String => Ok(slice_info(Shape::String, 1)),
            Type::ErrorContext => Ok(handle_info(HandleKind::ErrorContext)),
            Type::List(element) => self.list(*element),
            Type::FixedList { element, count } => self.array(*element, *count),
            Type::Map { key, value } => self.map(*key, *value),
            Type::Record(fields) => self.fields(fields.iter().map(|field| field.ty).collect(), bytes_max),
            Type::Tuple(members) => self.fields(members.clone(), bytes_max),
            Type::Variant(cases) => self.cases(cases.iter().map(|case| case.ty).collect()),
            Type::Enum(labels) => Ok(word_info(
                Shape::Enum(u32::try_from(labels.len()).map_err(|_| TypeError::TooLarge)?),
                discriminant_bytes(labels.len()),
                false,
            )),
            Type::Option(some) => self.cases([None, Some(*some)].into()),
            Type::Result { ok, err } => self.cases([*ok, *err].into()),
            Type::Flags(labels) => {
                let count = u32::try_from(labels.len()).ok().filter(|count| *count <= 32);
                let count = count.ok_or(TypeError::FlagsTooMany(labels.len()))?;
                Ok(word_info(Shape::Flags(count), flags_bytes(count), matches!(count, 8 | 16 | 32)))
            }
            Type::Own(resource) => Ok(handle_info(HandleKind::Own(*resource))),
            Type::Borrow(resource) => Ok(handle_info(HandleKind::Borrow(*resource))),
            Type::Stream(element) => self.transit(*element, HandleKind::Stream(*element)),
            Type::Future(element) => self.transit(*element, HandleKind::Future(*element)),
        }
    }

    fn list(&self, element: TypeId) -> Result<Info, TypeError> {
        let inside = self.known(element)?.facts;
        let mut info = slice_info(Shape::List(element), inside.depth + 1);
        info.facts = Facts { pointers: true, plain: false, depth: inside.depth + 1, ..inside };
        Ok(info)
    }

    fn map(&mut self, key: TypeId, value: TypeId) -> Result<Info, TypeError> {
        let allowed = match self.known(key)?.shape {
            Shape::Scalar(scalar) => !matches!(scalar, Scalar::F32 | Scalar::F64),
            Shape::String => true,
            _ => false,
        };
        if !allowed {
            return Err(TypeError::MapKey);
        }
        let pair = self.intern_within(Type::Tuple([key, value].into()), PAIR_BYTES_MAX)?;
        self.list(pair)
    }

    fn array(&self, element: TypeId, count: u32) -> Result<Info, TypeError> {
        let inside = self.known(element)?;
        let [narrow, wide] = inside.layout;
        let repeat = |flat: Option<FlatTypes>| {
            let one = flat.filter(|flat| flat.len() as u64 * u64::from(count) <= 16)?;
            (0..count).try_fold(FlatTypes::default(), |flat, _| flat.extend(one))
        };
        Ok(Info {
            shape: Shape::Array { element, count },
            layout: [narrow.array(count)?, wide.array(count)?],
            offsets: Default::default(),
            flat: inside.flat.map(repeat),
            facts: Facts { depth: inside.facts.depth + 1, ..inside.facts },
        })
    }

    fn fields(&self, members: Box<[TypeId]>, bytes_max: u32) -> Result<Info, TypeError> {
        let mut facts = Facts { plain: true, ..Facts::LEAF };
        let mut flat = [Some(FlatTypes::default()); 2];
        let mut bytes = 0;
        for member in &members {
            let inside = self.known(*member)?;
            facts.absorb(inside.facts);
            facts.plain &= inside.facts.plain;
            bytes += u64::from(inside.layout[0].size);
            for (all, part) in flat.iter_mut().zip(inside.flat) {
                *all = all.zip(part).and_then(|(all, part)| all.extend(part));
            }
        }
        let lay = |width: Width| {
            let mut offsets = Vec::with_capacity(members.len());
            let layouts = members.iter().map(|member| self.layout(*member, width));
            let layout = tuple_layout_within(layouts, bytes_max, |offset| offsets.push(offset))?;
            Ok((layout, offsets.into_boxed_slice()))
        };
        let ((narrow, narrow_offsets), (wide, wide_offsets)) = (lay(Width::W32)?, lay(Width::W64)?);
        facts.plain &= bytes == u64::from(narrow.size);
        facts.depth += 1;
        Ok(Info {
            shape: Shape::Fields(members),
            layout: [narrow, wide],
            offsets: [narrow_offsets, wide_offsets],
            flat,
            facts,
        })
    }

    fn cases(&self, payloads: Box<[Option<TypeId>]>) -> Result<Info, TypeError> {
        let mut facts = Facts::LEAF;
        let mut flat = [Some(FlatTypes::default()); 2];
        for payload in payloads.iter().flatten() {
            let inside = self.known(*payload)?;
            facts.absorb(inside.facts);
            for (all, part) in flat.iter_mut().zip(inside.flat) {
                *all = all.zip(part).map(|(all, part)| all.join(part));
            }
        }
        let lay = |width: Width| {
            let layouts = payloads.iter().flatten().map(|payload| self.layout(*payload, width));
            variant_layout(payloads.len(), layouts)
        };
        let ((narrow, narrow_offset), (wide, wide_offset)) = (lay(Width::W32)?, lay(Width::W64)?);
        let discriminant = FlatTypes::from_iter([CoreType::I32]);
        facts.depth += 1;
        Ok(Info {
            shape: Shape::Cases(payloads),
            layout: [narrow, wide],
            offsets: [[narrow_offset].into(), [wide_offset].into()],
            flat: flat.map(|flat| discriminant.extend(flat?)),
            facts,
        })
    }

    fn transit(&self, element: Option<TypeId>, kind: HandleKind) -> Result<Info, TypeError> {
        let mut info = handle_info(kind);
        if let Some(element) = element {
            let inside = self.known(element)?.facts;
            if inside.borrows {
                return Err(TypeError::BorrowInTransit);
            }
            info.facts.depth = inside.depth + 1;
        }
        Ok(info)
    }
}

impl Type {
    /// How many members the type names, 1 for types that name none; 0 if it should name some and does not.
    fn members(&self) -> usize {
        match self {
            Type::Record(fields) => fields.len(),
            Type::Tuple(members) => members.len(),
            Type::Variant(cases) => cases.len(),
            Type::Enum(labels) | Type::Flags(labels) => labels.len(),
            Type::FixedList { count, .. } => usize::from(*count > 0),
            _ => 1,
        }
    }
}

impl Facts {
    const LEAF: Facts =
        Facts { pointers: false, handles: false, borrows: false, floats: false, plain: false, depth: 1 };

    /// Adds what a member contains; `plain` is the caller's business.
    fn absorb(&mut self, inside: Facts) {
        self.pointers |= inside.pointers;
        self.handles |= inside.handles;
        self.borrows |= inside.borrows;
        self.floats |= inside.floats;
        self.depth = self.depth.max(inside.depth);
    }
}

fn leaf(shape: Shape, layout: [Layout; 2], flat: [&[CoreType]; 2], facts: Facts) -> Info {
    let flat = flat.map(|flat| Some(flat.iter().copied().collect()));
    Info { shape, layout, offsets: Default::default(), flat, facts }
}

fn scalar_info(scalar: Scalar) -> Info {
    let floats = matches!(scalar, Scalar::F32 | Scalar::F64);
    let facts = Facts { plain: scalar.all_bits_valid(), floats, ..Facts::LEAF };
    leaf(Shape::Scalar(scalar), [Layout::word(scalar.bytes()); 2], [&[scalar.core()]; 2], facts)
}

fn word_info(shape: Shape, bytes: u32, plain: bool) -> Info {
    leaf(shape, [Layout::word(bytes); 2], [&[CoreType::I32]; 2], Facts { plain, ..Facts::LEAF })
}

fn handle_info(kind: HandleKind) -> Info {
    let borrows = matches!(kind, HandleKind::Borrow(_));
    let facts = Facts { handles: true, borrows, ..Facts::LEAF };
    leaf(Shape::Handle(kind), [Layout::word(4); 2], [&[CoreType::I32]; 2], facts)
}

fn slice_info(shape: Shape, depth: u32) -> Info {
    let flat: [&[CoreType]; 2] = [&[CoreType::I32; 2], &[CoreType::I64; 2]];
    leaf(shape, Width::ALL.map(Layout::slice), flat, Facts { pointers: true, depth, ..Facts::LEAF })
}
