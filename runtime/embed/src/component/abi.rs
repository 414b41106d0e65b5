//! Rust types as interface types: reading and writing guest memory without a value in between.
//!
//! [`ComponentType`] says which interface type a Rust type is and how it is laid out; [`Lift`] reads values that a guest
//! hands out, [`Lower`] writes values that a guest receives
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#lifting-and-lowering-values)).
//! All three can be derived for a record, a variant, an enum or flags; see the example of [`super`].
//!
//! Invariant: layout and flattening of a Rust type are constants; they are those of every interface type that
//! [`ComponentType::check`] accepts. An address that a guest supplied is checked against the memory before it is used.
//!
//! Does not know: how calls are made.

use super::compiled::ComponentInner;
use super::options::CallOptions;
use crate::error::{Error, Result};
use wattest_canon::{Fault, HandleKind, ResourceId, StringSource, Token, Type, TypeId, Types, Width, checked_range};
use wattest_component::{FuncTypeIndex, Statics};
use wattest_vm::component::{ComponentState, ResourceTypeId, TableId, TreeId};
use wattest_vm::{FLAT_SLOTS, StoreInner};

/// Size, alignment and flattening of a type for one width of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abi {
    /// Bytes in memory, a multiple of `align`.
    pub size: u32,
    /// A power of two.
    pub align: u32,
    /// How many core values it is.
    pub flat: usize,
}

/// The most core values of a parameter list; more go through memory.
pub(crate) const PARAMS_MAX: usize = wattest_canon::FLAT_PARAMS_MAX;

impl Abi {
    /// Nothing at all.
    pub const EMPTY: Abi = Abi { size: 0, align: 1, flat: 0 };

    /// A type that is one core value.
    pub const fn scalar(bytes: u32) -> Abi {
        Abi { size: bytes, align: bytes, flat: 1 }
    }

    /// An address and a length, for each width.
    pub const SLICE: [Abi; 2] = [Abi { size: 8, align: 4, flat: 2 }, Abi { size: 16, align: 8, flat: 2 }];

    /// A record or tuple.
    pub const fn fields(members: &[Abi]) -> Abi {
        let (mut size, mut align, mut flat, mut at) = (0, 1, 0, 0);
        while at < members.len() {
            let member = members[at];
            size = align_up(size, member.align) + member.size;
            if member.align > align {
                align = member.align;
            }
            flat += member.flat;
            at += 1;
        }
        Abi { size: align_up(size, align), align, flat }
    }

    /// Where a member of a record or tuple begins.
    pub const fn offset(members: &[Abi], index: usize) -> u32 {
        let (mut size, mut at) = (0, 0);
        while at < index {
            size = align_up(size, members[at].align) + members[at].size;
            at += 1;
        }
        align_up(size, members[index].align)
    }

    /// Where each member of a record or tuple begins.
    pub const fn offsets<const N: usize>(members: &[Abi; N]) -> [u32; N] {
        let (mut offsets, mut size, mut at) = ([0; N], 0, 0);
        while at < N {
            offsets[at] = align_up(size, members[at].align);
            size = offsets[at] + members[at].size;
            at += 1;
        }
        offsets
    }

    /// So many values of one type, one after the other. As core values, at most [`u16::MAX`]: more than fit anywhere.
    pub const fn array(element: Abi, count: usize) -> Abi {
        let bytes = element.size as u64 * count as u64;
        assert!(bytes <= u32::MAX as u64, "an array is larger than a 32-bit memory");
        let flat = element.flat.saturating_mul(count);
        let flat = if flat > u16::MAX as usize { u16::MAX as usize } else { flat };
        #[expect(clippy::cast_possible_truncation, reason = "it was compared")]
        Abi { size: bytes as u32, align: element.align, flat }
    }

    /// A variant with these payloads, [`Abi::EMPTY`] where there is none.
    pub const fn cases(payloads: &[Abi]) -> Abi {
        let (mut size, mut align, mut flat, mut at) = (0, discriminant_bytes(payloads.len()), 0, 0);
        while at < payloads.len() {
            let payload = payloads[at];
            if payload.size > size {
                size = payload.size;
            }
            if payload.align > align {
                align = payload.align;
            }
            if payload.flat > flat {
                flat = payload.flat;
            }
            at += 1;
        }
        let start = Abi::payload_offset(payloads);
        Abi { size: align_up(start + size, align), align, flat: 1 + flat }
    }

    /// Where the payload of a variant begins.
    pub const fn payload_offset(payloads: &[Abi]) -> u32 {
        let (mut align, mut at) = (1, 0);
        while at < payloads.len() {
            if payloads[at].align > align {
                align = payloads[at].align;
            }
            at += 1;
        }
        align_up(discriminant_bytes(payloads.len()), align)
    }

    /// Flags, by their number.
    pub const fn flags(labels: usize) -> Abi {
        match labels {
            0..=8 => Abi::scalar(1),
            9..=16 => Abi::scalar(2),
            _ => Abi::scalar(4),
        }
    }
}

const fn align_up(bytes: u32, align: u32) -> u32 {
    (bytes + align - 1) & !(align - 1)
}

/// The size of the discriminant among so many cases.
pub const fn discriminant_bytes(cases: usize) -> u32 {
    wattest_canon::discriminant_bytes(cases)
}

/// Why a Rust type is not the interface type that it is used for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}{}", self.place())]
pub struct TypeMismatch {
    /// What the Rust type is.
    pub expected: String,
    /// What the component has.
    pub found: String,
    /// Where in the type it is, from the outside to the inside: names of parameters, fields and cases, `result`, `[]` for
    /// elements, `some`, `ok`, `err` and numbers of members of tuples.
    pub path: Vec<String>,
}

impl TypeMismatch {
    pub(crate) fn new(expected: impl Into<String>, found: String) -> TypeMismatch {
        TypeMismatch { expected: expected.into(), found, path: Vec::new() }
    }

    /// The same mismatch, seen from the type around it.
    pub(crate) fn within(mut self, step: impl Into<String>) -> TypeMismatch {
        self.path.insert(0, step.into());
        self
    }

    /// The path as words to append; nothing for the whole type.
    pub(crate) fn place(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!(" at `{}`", self.path.join(".")) }
    }
}

/// What checking types against each other looks at.
pub struct TypeCheck<'a> {
    pub(crate) types: &'a Types,
    /// The Rust type of a resource type, if it is the host's.
    pub(crate) resource: &'a dyn Fn(ResourceId) -> Option<std::any::TypeId>,
}

impl TypeCheck<'_> {
    /// The component's types.
    pub(crate) fn get(&self, ty: TypeId) -> &Type {
        self.types.get(ty)
    }

    /// A mismatch.
    ///
    /// # Errors
    ///
    /// Always.
    pub(crate) fn mismatch(&self, expected: impl Into<String>, ty: TypeId) -> Result<(), TypeMismatch> {
        Err(TypeMismatch::new(expected, super::types::type_text(self.types, ty)))
    }

    /// Compares the fields of a record by name and type, in order.
    ///
    /// # Errors
    ///
    /// The type is no record, or one with other fields.
    pub fn record(&self, ty: &Checked, fields: &[(&str, CheckFn)]) -> Result<(), TypeMismatch> {
        let names = || fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let Type::Record(found) = self.get(ty.0) else {
            return self.mismatch(format!("record {{{}}}", names()), ty.0);
        };
        let same = found.len() == fields.len()
            && found.iter().zip(fields).all(|(field, (name, _))| self.types.text(field.name) == *name);
        if !same {
            return self.mismatch(format!("record {{{}}}", names()), ty.0);
        }
        found
            .iter()
            .zip(fields)
            .try_for_each(|(field, (name, check))| check(&Checked(field.ty), self).map_err(|error| error.within(*name)))
    }

    /// Compares the cases of a variant by name and payload, in order.
    ///
    /// # Errors
    ///
    /// The type is no variant, or one with other cases.
    pub fn variant(&self, ty: &Checked, cases: &[(&str, Option<CheckFn>)]) -> Result<(), TypeMismatch> {
        let names = || cases.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let Type::Variant(found) = self.get(ty.0) else {
            return self.mismatch(format!("variant {{{}}}", names()), ty.0);
        };
        let same = found.len() == cases.len()
            && found.iter().zip(cases).all(|(case, (name, payload))| {
                self.types.text(case.name) == *name && case.ty.is_some() == payload.is_some()
            });
        if !same {
            return self.mismatch(format!("variant {{{}}}", names()), ty.0);
        }
        for (case, (name, payload)) in found.iter().zip(cases) {
            if let (Some(ty), Some(check)) = (case.ty, payload) {
                check(&Checked(ty), self).map_err(|error| error.within(*name))?;
            }
        }
        Ok(())
    }

    /// Compares the names of an enum or of flags, in order.
    ///
    /// # Errors
    ///
    /// The type is of another kind, or has other names.
    pub fn labels(&self, ty: &Checked, kind: LabelKind, names: &[&str]) -> Result<(), TypeMismatch> {
        let found = match (self.get(ty.0), kind) {
            (Type::Enum(found), LabelKind::Enum) | (Type::Flags(found), LabelKind::Flags) => found,
            _ => return self.mismatch(format!("{} {{{}}}", kind.word(), names.join(", ")), ty.0),
        };
        if found.iter().map(|name| self.types.text(*name)).eq(names.iter().copied()) {
            return Ok(());
        }
        self.mismatch(format!("{} {{{}}}", kind.word(), names.join(", ")), ty.0)
    }
}

/// A type that is only names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelKind {
    /// `enum`.
    Enum,
    /// `flags`.
    Flags,
}

impl LabelKind {
    const fn word(self) -> &'static str {
        match self {
            LabelKind::Enum => "enum",
            LabelKind::Flags => "flags",
        }
    }
}

/// A component's type that a Rust type is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Checked(pub(crate) TypeId);

/// The component's type that a value is lifted or lowered as.
#[derive(Clone, Copy, Debug)]
pub struct Ty(pub(crate) At);

/// What a [`Ty`] is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// A type.
    Type(TypeId),
    /// The parameters of a function.
    Params(FuncTypeIndex),
    /// The result of a function.
    Result(FuncTypeIndex),
}

/// The type of a member: a field, an element (any index), a payload by case. Only looked up for a `T` that needs it.
#[inline]
pub(crate) fn member<T: ComponentType + ?Sized>(statics: &Statics, ty: Ty, index: usize) -> Ty {
    if T::TYPED { Ty(member_of(statics, ty.0, index)) } else { ty }
}

fn member_of(statics: &Statics, at: At, index: usize) -> At {
    let found = match at {
        At::Params(func) => statics.func_types.get(func.index()).and_then(|ty| ty.params.get(index)).map(|row| row.1),
        At::Result(func) => statics.func_types.get(func.index()).and_then(|ty| ty.result),
        At::Type(ty) => match statics.types.get(ty) {
            Type::List(element) | Type::FixedList { element, .. } | Type::Option(element) => Some(*element),
            Type::Record(fields) => fields.get(index).map(|field| field.ty),
            Type::Tuple(members) => members.get(index).copied(),
            Type::Map { key, value } => [*key, *value].get(index).copied(),
            Type::Variant(cases) => cases.get(index).and_then(|case| case.ty),
            Type::Result { ok, err } => [*ok, *err].get(index).copied().flatten(),
            _ => None,
        },
    };
    // A Rust type was checked against the component's, so there is such a member.
    found.map_or(at, At::Type)
}

/// [`ComponentType::check`] of some type.
pub type CheckFn = fn(&Checked, &TypeCheck<'_>) -> Result<(), TypeMismatch>;

/// A Rust type that is an interface type.
pub trait ComponentType {
    /// Layout and flattening, for addresses of 32 and of 64 bits.
    const ABI: [Abi; 2];
    /// Whether lifting and lowering look at the component's type: there are handles in it. Where it is not set, the type
    /// that is passed means nothing.
    const TYPED: bool = false;

    /// Checks that a component's type is this one.
    ///
    /// # Errors
    ///
    /// It is another one.
    fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch>;
}

/// A Rust type that a guest can be given.
pub trait Lower: ComponentType {
    /// Writes the value as core values; `slots` has [`Abi::flat`] of them.
    ///
    /// # Errors
    ///
    /// What the guest's `realloc` does wrong.
    fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()>;

    /// Writes the value to memory, at an address with room for it.
    ///
    /// # Errors
    ///
    /// As [`Lower::lower_flat`].
    fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()>;

    /// Writes values one after the other, at an address with room for them.
    ///
    /// # Errors
    ///
    /// As [`Lower::lower_flat`].
    fn lower_all(items: &[Self], cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()>
    where
        Self: Sized,
    {
        let size = u64::from(Self::ABI[cx.wide()].size);
        items.iter().zip(0..).try_for_each(|(item, at)| item.lower_at(cx, ty, address + at * size))
    }
}

/// A Rust type that a guest can hand out.
pub trait Lift: ComponentType + Sized {
    /// Reads the value from core values; `slots` has [`Abi::flat`] of them.
    ///
    /// # Errors
    ///
    /// The trap of a guest that hands out what is no such value.
    fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<Self>;

    /// Reads the value from memory.
    ///
    /// # Errors
    ///
    /// As [`Lift::lift_flat`].
    fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<Self>;

    /// Reads values that lie one after the other.
    ///
    /// # Errors
    ///
    /// As [`Lift::lift_flat`].
    fn lift_all(cx: &mut LiftCx<'_>, ty: Ty, address: u64, count: usize) -> Result<Vec<Self>> {
        let size = u64::from(Self::ABI[cx.wide()].size);
        cx.charge(count as u64, size_of::<Self>() as u64)?;
        (0..count as u64).map(|at| Self::lift_at(cx, ty, address + at * size)).collect()
    }
}

/// What lifting sees: the memory and the handle table of the instance that a value leaves.
pub struct LiftCx<'a> {
    pub(crate) memory: &'a [u8],
    pub(crate) state: &'a mut ComponentState,
    pub(crate) options: &'a CallOptions,
    pub(crate) statics: &'a Statics,
    pub(crate) tree: TreeId,
    pub(crate) store: wattest_vm::StoreId,
    pub(crate) left: u64,
    /// Where handles are taken from.
    pub(crate) table: TableId,
}

impl<'a> LiftCx<'a> {
    pub(crate) fn new(
        store: &'a mut StoreInner,
        statics: &'a Statics,
        options: &'a CallOptions,
        tree: TreeId,
    ) -> Result<LiftCx<'a>> {
        let id = store.id();
        let (memory, state) = store.memory_and_components(options.memory).map_err(wrong_store)?;
        let (left, table) = (options.canon.lift_bytes_max, TableId::Component(options.component));
        Ok(LiftCx { memory, state, options, statics, tree, store: id, left, table })
    }

    /// Lifts what the host has lowered to a memory of its own.
    pub(crate) fn of_host(
        store: &'a mut StoreInner,
        (statics, options): (&'a Statics, &'a CallOptions),
        tree: TreeId,
        memory: &'a [u8],
    ) -> LiftCx<'a> {
        let (id, state) = (store.id(), store.components_mut());
        LiftCx { memory, state, options, statics, tree, store: id, left: u64::MAX, table: TableId::Host }
    }

    /// The type of a member: a field, an element, a payload by case.
    #[inline]
    pub fn member<T: ComponentType + ?Sized>(&self, ty: Ty, index: usize) -> Ty {
        member::<T>(self.statics, ty, index)
    }

    /// Whether addresses have 64 bits: the index into [`ComponentType::ABI`].
    #[inline]
    pub fn wide(&self) -> usize {
        usize::from(self.options.canon.width == Width::W64)
    }

    /// Takes `count` times `bytes` of host memory from the budget of this lift.
    ///
    /// # Errors
    ///
    /// The budget is used up.
    pub fn charge(&mut self, count: u64, bytes: u64) -> Result<()> {
        let left = count.checked_mul(bytes).and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.ok_or(Fault::ValueTooLarge(self.options.canon.lift_bytes_max))?;
        Ok(())
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    ///
    /// They lie outside the memory.
    #[inline]
    pub fn read<const N: usize>(&self, address: u64) -> Result<[u8; N]> {
        let range = checked_range(self.memory.len(), address, N as u64);
        let bytes = range.and_then(|range| self.memory[range].first_chunk::<N>());
        bytes.copied().ok_or_else(|| Fault::PointerOutOfBounds.into())
    }

    /// Reads an address or a length.
    ///
    /// # Errors
    ///
    /// It lies outside the memory.
    pub fn read_pointer(&self, address: u64) -> Result<u64> {
        match self.options.canon.width {
            Width::W32 => Ok(u64::from(u32::from_le_bytes(self.read(address)?))),
            Width::W64 => Ok(u64::from_le_bytes(self.read(address)?)),
        }
    }

    /// Reads a discriminant and checks that it names one of so many cases.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn read_discriminant(&self, address: u64, cases: usize) -> Result<u32> {
        let found = match discriminant_bytes(cases) {
            1 => u32::from(u8::from_le_bytes(self.read(address)?)),
            2 => u32::from(u16::from_le_bytes(self.read(address)?)),
            _ => u32::from_le_bytes(self.read(address)?),
        };
        LiftCx::discriminant(u64::from(found), cases)
    }

    /// A discriminant among so many cases.
    ///
    /// # Errors
    ///
    /// It names no case.
    #[expect(clippy::cast_possible_truncation, reason = "a discriminant is an `i32`")]
    pub fn discriminant(bits: u64, cases: usize) -> Result<u32> {
        let found = bits as u32;
        if (found as usize) < cases { Ok(found) } else { Err(Fault::Discriminant.into()) }
    }

    /// The address and the element count of a list in core values.
    pub(crate) fn pointers(&self, slots: &[u64]) -> (u64, u64) {
        let width = self.options.canon.width;
        (width.address(slots[0]), width.address(slots[1]))
    }

    pub(crate) fn table(&self) -> TableId {
        self.table
    }

    /// The store's number of a component's resource type.
    pub(crate) fn resource_type(&mut self, resource: ResourceId) -> Result<ResourceTypeId> {
        resource_type(self.state, self.tree, resource)
    }
}

pub(crate) fn resource_type(state: &mut ComponentState, tree: TreeId, resource: ResourceId) -> Result<ResourceTypeId> {
    let slot = state.tree(tree).slots.resources.get(resource.0 as usize).and_then(Option::as_ref);
    slot.map(|slot| slot.ty).ok_or_else(|| Error::Limit("a resource type was used before it was made".to_owned()))
}

impl wattest_canon::Lift for LiftCx<'_> {
    type Error = Error;

    fn memory(&self) -> &[u8] {
        self.memory
    }

    /// The token is an index into the host's table.
    fn lift_handle(&mut self, handle: HandleKind, index: u32) -> Result<Token> {
        let table = self.table();
        let index = match handle {
            HandleKind::Own(resource) => {
                let ty = self.resource_type(resource)?;
                let rep = self.state.lift_own(table, index, ty)?;
                self.state.lower_own(TableId::Host, ty, rep)?
            }
            HandleKind::Borrow(resource) => {
                let ty = self.resource_type(resource)?;
                let rep = self.state.lift_borrow(table, index, ty)?;
                self.state.lower_borrow(TableId::Host, ty, rep)?
            }
            _ => return Err(crate::Trap::new(crate::TrapCode::AsyncUnsupported).into()),
        };
        Ok(Token(u64::from(index)))
    }
}

/// What lowering sees: the store, and the instance that a value enters.
pub struct LowerCx<'a> {
    pub(crate) store: &'a mut StoreInner,
    pub(crate) options: &'a CallOptions,
    pub(crate) statics: &'a Statics,
    pub(crate) tree: TreeId,
    /// The memory, where both ends of a call are the host.
    pub(crate) host: Option<&'a mut Vec<u8>>,
}

impl LowerCx<'_> {
    /// The type of a member: a field, an element, a payload by case.
    #[inline]
    pub fn member<T: ComponentType + ?Sized>(&self, ty: Ty, index: usize) -> Ty {
        member::<T>(self.statics, ty, index)
    }

    /// Whether addresses have 64 bits: the index into [`ComponentType::ABI`].
    #[inline]
    pub fn wide(&self) -> usize {
        usize::from(self.options.canon.width == Width::W64)
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// They lie outside the memory.
    #[inline]
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        let memory = wattest_canon::Lower::memory_mut(self);
        let range = checked_range(memory.len(), address, bytes.len() as u64).ok_or(Fault::PointerOutOfBounds)?;
        memory[range].copy_from_slice(bytes);
        Ok(())
    }

    /// Writes an address or a length.
    ///
    /// # Errors
    ///
    /// It lies outside the memory.
    #[expect(clippy::cast_possible_truncation, reason = "addresses of a 32-bit memory have 32 bits")]
    pub fn write_pointer(&mut self, address: u64, pointer: u64) -> Result<()> {
        match self.options.canon.width {
            Width::W32 => self.write(address, &(pointer as u32).to_le_bytes()),
            Width::W64 => self.write(address, &pointer.to_le_bytes()),
        }
    }

    /// Writes the discriminant of a variant with so many cases.
    ///
    /// # Errors
    ///
    /// It lies outside the memory.
    pub fn write_discriminant(&mut self, address: u64, case: u32, cases: usize) -> Result<()> {
        self.write(address, &case.to_le_bytes()[..discriminant_bytes(cases) as usize])
    }

    /// The bytes from an address on, to fill in.
    ///
    /// # Errors
    ///
    /// They lie outside the memory.
    pub fn room(&mut self, address: u64, bytes: u64) -> Result<&mut [u8]> {
        let memory = wattest_canon::Lower::memory_mut(self);
        let range = checked_range(memory.len(), address, bytes).ok_or(Fault::PointerOutOfBounds)?;
        Ok(&mut memory[range])
    }

    /// Takes memory from the guest.
    ///
    /// # Errors
    ///
    /// The guest traps, or gives an address that is unaligned or out of bounds.
    pub fn allocate(&mut self, bytes: u64, align: u32) -> Result<u64> {
        let width = self.options.canon.width;
        wattest_canon::reallocate(self, width, (0, 0), align, bytes)
    }

    /// Writes a string; its address and tagged length.
    ///
    /// # Errors
    ///
    /// As [`LowerCx::allocate`].
    pub fn lower_text(&mut self, text: &str) -> Result<(u64, u64)> {
        let options = self.options.canon;
        wattest_canon::lower_string(self, &options, StringSource::utf8(text.as_bytes()))
    }

    pub(crate) fn resource_type(&mut self, resource: ResourceId) -> Result<ResourceTypeId> {
        resource_type(self.store.components_mut(), self.tree, resource)
    }

    pub(crate) fn table(&self) -> TableId {
        if self.host.is_some() { TableId::Host } else { TableId::Component(self.options.component) }
    }
}

impl wattest_canon::Lower for LowerCx<'_> {
    type Error = Error;

    fn memory_mut(&mut self) -> &mut [u8] {
        match self.options.memory {
            // The handle is this store's: it was taken from an instance of the store.
            Some(memory) => self.store.memory_bytes_mut(memory).unwrap_or_default(),
            None => self.host.as_deref_mut().map_or(&mut [], Vec::as_mut_slice),
        }
    }

    fn realloc(&mut self, old: u64, old_bytes: u64, align: u32, new_bytes: u64) -> Result<u64> {
        let Some(realloc) = &self.options.realloc else {
            if let Some(memory) = self.host.as_deref_mut() {
                return super::direct::grow(memory, (old, old_bytes), align, new_bytes);
            }
            return Err(Error::Limit("a component function needs `realloc` and has none".to_owned()));
        };
        let mut slots = [0; FLAT_SLOTS];
        slots[..4].copy_from_slice(&[old, old_bytes, u64::from(align), new_bytes]);
        self.store.call_flat(realloc, &mut slots).map_err(crate::func::ended)?;
        Ok(slots[0])
    }

    /// The token is an index into the host's table.
    #[expect(clippy::cast_possible_truncation, reason = "a token is made of an index")]
    fn lower_handle(&mut self, handle: HandleKind, token: Token) -> Result<u32> {
        let (table, index) = (self.table(), token.0 as u32);
        match handle {
            HandleKind::Own(resource) => {
                let ty = self.resource_type(resource)?;
                let state = self.store.components_mut();
                let rep = state.lift_own(TableId::Host, index, ty)?;
                Ok(state.lower_own(table, ty, rep)?)
            }
            HandleKind::Borrow(resource) => {
                let ty = self.resource_type(resource)?;
                let state = self.store.components_mut();
                let rep = state.lift_borrow(TableId::Host, index, ty)?;
                Ok(state.lower_borrow(table, ty, rep)?)
            }
            _ => Err(crate::Trap::new(crate::TrapCode::AsyncUnsupported).into()),
        }
    }
}

pub(crate) fn wrong_store(_: wattest_vm::WrongStore) -> Error {
    crate::UsageError::WrongStore { what: "component instance" }.into()
}

/// The types that a function's parameters and result are checked with.
pub(crate) fn check_of<'a>(
    component: &'a ComponentInner,
    resource: &'a dyn Fn(ResourceId) -> Option<std::any::TypeId>,
) -> TypeCheck<'a> {
    TypeCheck { types: &component.plan.statics.types, resource }
}
