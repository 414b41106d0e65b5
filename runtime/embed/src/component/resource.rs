//! Resources as the host holds them
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#handle-types)).
//!
//! [`Resource`] is one of the host's own resources, known by a number that [`ResourceTable`] may give; [`ResourceAny`] is any,
//! those of components included; [`Borrow`] is a parameter that is only lent.
//!
//! Invariant: a handle that was given away, dropped, or lent for a call that has ended is refused, whatever was made since.
//!
//! Does not know: tables of component instances.

use super::abi::{Abi, Checked, ComponentType, Lift, LiftCx, Lower, LowerCx, Ty, TypeCheck, TypeMismatch};
use super::value::Handles;
use crate::context::AsContextMut;
use crate::error::{Error, Result, UsageError};
use std::any::Any;
use std::marker::PhantomData;
use wattest_canon::{ResourceId, Type};
use wattest_vm::StoreId;
use wattest_vm::component::{Ownership, ResourceTypeId, TableId};

/// A resource type that the host implements or a component defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceType(pub(crate) ResourceOrigin);

/// Where a resource type is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ResourceOrigin {
    Host(std::any::TypeId),
    Component(StoreId, ResourceTypeId),
}

impl ResourceType {
    /// The host's resource type that `T` stands for.
    pub fn host<T: 'static>() -> ResourceType {
        ResourceType(ResourceOrigin::Host(std::any::TypeId::of::<T>()))
    }
}

/// An owned resource of the host, known by a number.
pub struct Resource<T> {
    rep: u32,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static> Resource<T> {
    /// The resource with this number.
    pub const fn new(rep: u32) -> Resource<T> {
        Resource { rep, of: PhantomData }
    }

    /// Its number.
    pub const fn rep(&self) -> u32 {
        self.rep
    }
}

impl<T> std::fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resource({})", self.rep)
    }
}

/// A parameter that is lent for the call: `borrow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borrow<R>(pub R);

/// A resource of any type, held by the host. A copy is the same handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceAny {
    store: StoreId,
    index: u32,
    stamp: u64,
    ty: ResourceTypeId,
    owned: bool,
}

impl ResourceAny {
    pub(crate) fn at(handles: &Handles<'_>, index: u32) -> Option<ResourceAny> {
        let entry = handles.entry(index)?;
        let owned = entry.ownership == Ownership::Own;
        Some(ResourceAny { store: handles.store, index, stamp: entry.stamp, ty: entry.ty, owned })
    }

    /// The index in the host's table.
    pub(crate) fn index_in(&self, handles: &Handles<'_>) -> Result<u32> {
        if self.store != handles.store {
            return Err(UsageError::WrongStore { what: "resource" }.into());
        }
        match handles.entry(self.index) {
            Some(entry) if entry.stamp == self.stamp => Ok(self.index),
            _ => Err(gone()),
        }
    }

    /// Whether it is owned, not lent.
    pub fn owned(&self) -> bool {
        self.owned
    }

    /// Its type.
    pub fn ty(&self, mut store: impl AsContextMut) -> ResourceType {
        let mut store = store.as_context_mut();
        let kind = store.inner_mut().components().resource_kind(self.ty);
        ResourceType(match kind {
            Some(wattest_vm::component::ResourceKind::Host(ty)) => ResourceOrigin::Host(*ty),
            _ => ResourceOrigin::Component(self.store, self.ty),
        })
    }

    /// Makes a handle of a host's resource, to pass it where types are known only at run time.
    ///
    /// # Errors
    ///
    /// The host holds too many.
    pub fn from_host<T: 'static>(mut store: impl AsContextMut, resource: Resource<T>) -> Result<ResourceAny> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let id = inner.id();
        let state = inner.components_mut();
        let ty = state.host_resource_type(std::any::TypeId::of::<T>());
        let index = state.lower_own(TableId::Host, ty, resource.rep)?;
        ResourceAny::at(&Handles { store: id, state }, index).ok_or_else(gone)
    }

    /// The host's own resource behind the handle, which is used up unless it is lent.
    ///
    /// # Errors
    ///
    /// It is of another type, or was given away.
    pub fn into_host<T: 'static>(self, mut store: impl AsContextMut) -> Result<Resource<T>> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let id = inner.id();
        let state = inner.components_mut();
        let index = self.index_in(&Handles { store: id, state })?;
        let ty = state.host_resource_type(std::any::TypeId::of::<T>());
        let rep = if self.owned { state.lift_own(TableId::Host, index, ty)? } else { state.host.get(index, ty)?.rep };
        Ok(Resource::new(rep))
    }

    /// Drops the handle; a component's destructor runs if it was owned. Of a host's resource, only the handle goes.
    ///
    /// # Errors
    ///
    /// It was given away or is lent, or the destructor traps.
    pub fn drop(self, mut store: impl AsContextMut) -> Result<()> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let id = inner.id();
        let index = self.index_in(&Handles { store: id, state: inner.components() })?;
        let rep = inner.components_mut().drop_handle(TableId::Host, index, self.ty)?;
        match rep {
            Some(rep) => super::call::run_destructor(inner, self.ty, rep),
            None => Ok(()),
        }
    }
}

fn gone() -> Error {
    UsageError::Invalid("the resource was given away, dropped, or lent for a call that has ended".to_owned()).into()
}

fn check_host<T: 'static>(
    resource: ResourceId,
    word: &str,
    ty: &Checked,
    types: &TypeCheck<'_>,
) -> Result<(), TypeMismatch> {
    if (types.resource)(resource) == Some(std::any::TypeId::of::<T>()) {
        return Ok(());
    }
    types.mismatch(format!("{word} of the host's `{}`", std::any::type_name::<T>()), ty.0)
}

/// The resource that a handle's type names.
fn resource_of(statics: &wattest_component::Statics, ty: Ty) -> Result<ResourceId> {
    let found = match ty.0 {
        super::abi::At::Type(ty) => match statics.types.get(ty) {
            Type::Own(resource) | Type::Borrow(resource) => Some(*resource),
            _ => None,
        },
        _ => None,
    };
    found.ok_or_else(|| UsageError::Invalid("a handle is not of its type".to_owned()).into())
}

/// One core value, an index.
macro_rules! handles {
    ($([$($params:tt)*] $ty:ty, $check:expr, $lower:expr, $lift:expr;)*) => {
        $(
            impl<$($params)*> ComponentType for $ty {
                const ABI: [Abi; 2] = [Abi::scalar(4); 2];
                const TYPED: bool = true;
                fn check(ty: &Checked, types: &TypeCheck<'_>) -> Result<(), TypeMismatch> {
                    let check: fn(&Checked, &TypeCheck<'_>) -> Result<(), TypeMismatch> = $check;
                    check(ty, types)
                }
            }
            impl<$($params)*> Lower for $ty {
                fn lower_flat(&self, cx: &mut LowerCx<'_>, ty: Ty, slots: &mut [u64]) -> Result<()> {
                    let lower: fn(&$ty, &mut LowerCx<'_>, ResourceTypeId) -> Result<u32> = $lower;
                    let ty = cx.resource_type(resource_of(cx.statics, ty)?)?;
                    slots[0] = u64::from(lower(self, cx, ty)?);
                    Ok(())
                }
                fn lower_at(&self, cx: &mut LowerCx<'_>, ty: Ty, address: u64) -> Result<()> {
                    let mut slots = [0];
                    self.lower_flat(cx, ty, &mut slots)?;
                    cx.write(address, &slots[0].to_le_bytes()[..4])
                }
            }
            impl<$($params)*> Lift for $ty {
                #[expect(clippy::cast_possible_truncation, reason = "an index is an `i32`")]
                fn lift_flat(cx: &mut LiftCx<'_>, ty: Ty, slots: &[u64]) -> Result<$ty> {
                    let lift: fn(&mut LiftCx<'_>, ResourceTypeId, u32) -> Result<$ty> = $lift;
                    let ty = cx.resource_type(resource_of(cx.statics, ty)?)?;
                    lift(cx, ty, slots[0] as u32)
                }
                fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<$ty> {
                    let index = u32::from_le_bytes(cx.read(address)?);
                    Self::lift_flat(cx, ty, &[u64::from(index)])
                }
            }
        )*
    };
}

fn own(
    ty: &Checked,
    types: &TypeCheck<'_>,
    check: impl FnOnce(ResourceId) -> Result<(), TypeMismatch>,
) -> Result<(), TypeMismatch> {
    match types.get(ty.0) {
        Type::Own(resource) => check(*resource),
        _ => types.mismatch("own", ty.0),
    }
}

fn borrow(
    ty: &Checked,
    types: &TypeCheck<'_>,
    check: impl FnOnce(ResourceId) -> Result<(), TypeMismatch>,
) -> Result<(), TypeMismatch> {
    match types.get(ty.0) {
        Type::Borrow(resource) => check(*resource),
        _ => types.mismatch("borrow", ty.0),
    }
}

handles! {
    [T: 'static] Resource<T>,
        |ty, types| own(ty, types, |resource| check_host::<T>(resource, "own", ty, types)),
        |this, cx, ty| {
            let table = cx.table();
            Ok(cx.store.components_mut().lower_own(table, ty, this.rep)?)
        },
        |cx, ty, index| {
            let table = cx.table();
            Ok(Resource::new(cx.state.lift_own(table, index, ty)?))
        };
    [T: 'static] Borrow<Resource<T>>,
        |ty, types| borrow(ty, types, |resource| check_host::<T>(resource, "borrow", ty, types)),
        |this, cx, ty| {
            let table = cx.table();
            Ok(cx.store.components_mut().lower_borrow(table, ty, this.0.rep)?)
        },
        |cx, ty, index| {
            let table = cx.table();
            Ok(Borrow(Resource::new(cx.state.lift_borrow(table, index, ty)?)))
        };
    [] ResourceAny,
        |ty, types| own(ty, types, |_| Ok(())),
        |this, cx, ty| {
            let table = cx.table();
            let index = this.index_in(&Handles { store: cx.store.id(), state: cx.store.components() })?;
            let state = cx.store.components_mut();
            let rep = state.lift_own(TableId::Host, index, ty)?;
            Ok(state.lower_own(table, ty, rep)?)
        },
        |cx, ty, index| {
            let table = cx.table();
            let rep = cx.state.lift_own(table, index, ty)?;
            let index = cx.state.lower_own(TableId::Host, ty, rep)?;
            ResourceAny::at(&Handles { store: cx.store, state: cx.state }, index).ok_or_else(gone)
        };
    [] Borrow<ResourceAny>,
        |ty, types| borrow(ty, types, |_| Ok(())),
        |this, cx, ty| {
            let table = cx.table();
            let index = this.0.index_in(&Handles { store: cx.store.id(), state: cx.store.components() })?;
            let state = cx.store.components_mut();
            let rep = state.lift_borrow(TableId::Host, index, ty)?;
            Ok(state.lower_borrow(table, ty, rep)?)
        },
        |cx, ty, index| {
            let table = cx.table();
            let rep = cx.state.lift_borrow(table, index, ty)?;
            let index = cx.state.lower_borrow(TableId::Host, ty, rep)?;
            ResourceAny::at(&Handles { store: cx.store, state: cx.state }, index).map(Borrow).ok_or_else(gone)
        };
}

/// The host's resources by number.
///
/// ```
/// use wattest::component::ResourceTable;
/// let mut table = ResourceTable::new();
/// let resource = table.push("a file".to_owned());
/// assert_eq!(table.get(&resource)?, "a file");
/// assert_eq!(table.delete(resource)?, "a file");
/// # Ok::<(), wattest::Error>(())
/// ```
#[derive(Default)]
pub struct ResourceTable {
    entries: Vec<Option<Box<dyn Any + Send + Sync>>>,
    free: Vec<u32>,
}

impl ResourceTable {
    /// An empty table.
    pub fn new() -> ResourceTable {
        ResourceTable::default()
    }

    /// Adds a resource.
    ///
    /// # Panics
    ///
    /// Beyond 2³² resources.
    pub fn push<T: Any + Send + Sync>(&mut self, resource: T) -> Resource<T> {
        let entry: Option<Box<dyn Any + Send + Sync>> = Some(Box::new(resource));
        if let Some(at) = self.free.pop() {
            self.entries[at as usize] = entry;
            return Resource::new(at);
        }
        let at = u32::try_from(self.entries.len()).expect("memory ends before 2^32 resources");
        self.entries.push(entry);
        Resource::new(at)
    }

    /// A resource.
    ///
    /// # Errors
    ///
    /// It is not there, or of another type.
    pub fn get<T: Any>(&self, resource: &Resource<T>) -> Result<&T> {
        let entry = self.entries.get(resource.rep as usize).and_then(Option::as_ref);
        entry.and_then(|entry| (**entry).downcast_ref()).ok_or_else(gone)
    }

    /// A resource, to change.
    ///
    /// # Errors
    ///
    /// As [`ResourceTable::get`].
    pub fn get_mut<T: Any>(&mut self, resource: &Resource<T>) -> Result<&mut T> {
        let entry = self.entries.get_mut(resource.rep as usize).and_then(Option::as_mut);
        entry.and_then(|entry| (**entry).downcast_mut()).ok_or_else(gone)
    }

    /// Takes a resource out.
    ///
    /// # Errors
    ///
    /// As [`ResourceTable::get`].
    pub fn delete<T: Any + Send + Sync>(&mut self, resource: Resource<T>) -> Result<T> {
        self.get(&resource)?;
        let entry = self.entries.get_mut(resource.rep as usize).and_then(Option::take);
        let entry: Box<dyn Any> = entry.ok_or_else(gone)?;
        self.free.push(resource.rep);
        entry.downcast().map(|entry| *entry).map_err(|_| gone())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for ResourceTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceTable").field("len", &self.len()).finish()
    }
}
