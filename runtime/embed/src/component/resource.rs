//! Resources as the host holds them
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#handle-types)).
//!
//! [`Resource`] is one of the host's own resources, known by a number that [`ResourceTable`](super::ResourceTable) may give;
//! [`ResourceAny`] is any, those of components included. Both stand for `own` and for `borrow`, and know which they are.
//!
//! Invariant: a handle that was given away, dropped, or lent for a call that has ended is refused, whatever was made since.
//!
//! Does not know: tables of component instances, nor what is behind a number.

use super::abi::{Abi, Checked, ComponentType, Lift, LiftCx, Lower, LowerCx, Ty, TypeCheck, TypeMismatch};
use super::value::Handles;
use crate::context::AsContextMut;
use crate::error::{Error, Result, UsageError};
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

    /// The type that stands for it, if it is the host's.
    pub(crate) fn host_type(self) -> Option<std::any::TypeId> {
        match self.0 {
            ResourceOrigin::Host(ty) => Some(ty),
            ResourceOrigin::Component(..) => None,
        }
    }
}

/// A resource of the host, known by a number: the interface types `own` and `borrow`.
///
/// As a parameter of a host function it says whether the guest gave it away or only lends it for the call. As an argument for
/// a guest, what is passed as `own` must be owned; what is passed as `borrow` may be either.
pub struct Resource<T> {
    rep: u32,
    owned: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static> Resource<T> {
    /// The resource with this number, owned by whoever gets it.
    pub const fn new_own(rep: u32) -> Resource<T> {
        Resource { rep, owned: true, of: PhantomData }
    }

    /// The resource with this number, to lend it.
    pub const fn new_borrow(rep: u32) -> Resource<T> {
        Resource { rep, owned: false, of: PhantomData }
    }

    /// Its number.
    pub const fn rep(&self) -> u32 {
        self.rep
    }

    /// Whether it is owned, not lent.
    pub const fn owned(&self) -> bool {
        self.owned
    }
}

impl<T> std::fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resource").field("rep", &self.rep).field("owned", &self.owned).finish()
    }
}

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
        match self.owned {
            true => Ok(Resource::new_own(state.lift_own(TableId::Host, index, ty)?)),
            false => Ok(Resource::new_borrow(state.host.get(index, ty)?.rep)),
        }
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

/// The resource that a handle's type names, and whether the handle owns it.
fn handle_of(statics: &wattest_component::Statics, ty: Ty) -> Result<(ResourceId, bool)> {
    let found = match ty.0 {
        super::abi::At::Type(ty) => match statics.types.get(ty) {
            Type::Own(resource) => Some((*resource, true)),
            Type::Borrow(resource) => Some((*resource, false)),
            _ => None,
        },
        _ => None,
    };
    found.ok_or_else(|| UsageError::Invalid("a handle is not of its type".to_owned()).into())
}

/// Checks that a type is a handle whose resource `fits`.
fn check_handle(
    ty: &Checked,
    types: &TypeCheck<'_>,
    expected: impl FnOnce() -> String,
    fits: impl Fn(ResourceId) -> bool,
) -> Result<(), TypeMismatch> {
    match types.get(ty.0) {
        Type::Own(resource) | Type::Borrow(resource) if fits(*resource) => Ok(()),
        _ => types.mismatch(expected(), ty.0),
    }
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
                    let lower: fn(&$ty, &mut LowerCx<'_>, ResourceTypeId, bool) -> Result<u32> = $lower;
                    let (resource, owned) = handle_of(cx.statics, ty)?;
                    let ty = cx.resource_type(resource)?;
                    slots[0] = u64::from(lower(self, cx, ty, owned)?);
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
                    let lift: fn(&mut LiftCx<'_>, ResourceTypeId, bool, u32) -> Result<$ty> = $lift;
                    let (resource, owned) = handle_of(cx.statics, ty)?;
                    let ty = cx.resource_type(resource)?;
                    lift(cx, ty, owned, slots[0] as u32)
                }
                fn lift_at(cx: &mut LiftCx<'_>, ty: Ty, address: u64) -> Result<$ty> {
                    let index = u32::from_le_bytes(cx.read(address)?);
                    Self::lift_flat(cx, ty, &[u64::from(index)])
                }
            }
        )*
    };
}

handles! {
    [T: 'static] Resource<T>,
        |ty, types| {
            let host = std::any::TypeId::of::<T>();
            let expected = || format!("a handle of the host's `{}`", std::any::type_name::<T>());
            check_handle(ty, types, expected, |resource| (types.resource)(resource) == Some(host))
        },
        |this, cx, ty, owned| {
            let (table, state) = (cx.table(), cx.store.components_mut());
            match (owned, this.owned) {
                (true, true) => Ok(state.lower_own(table, ty, this.rep)?),
                (true, false) => {
                    Err(UsageError::Invalid("a resource that is only lent was given away".to_owned()).into())
                }
                (false, _) => Ok(state.lower_borrow(table, ty, this.rep)?),
            }
        },
        |cx, ty, owned, index| {
            let table = cx.table();
            match owned {
                true => Ok(Resource::new_own(cx.state.lift_own(table, index, ty)?)),
                false => Ok(Resource::new_borrow(cx.state.lift_borrow(table, index, ty)?)),
            }
        };
    [] ResourceAny,
        |ty, types| check_handle(ty, types, || "a handle".to_owned(), |_| true),
        |this, cx, ty, owned| {
            let table = cx.table();
            let index = this.index_in(&Handles { store: cx.store.id(), state: cx.store.components() })?;
            let state = cx.store.components_mut();
            match owned {
                true => {
                    let rep = state.lift_own(TableId::Host, index, ty)?;
                    Ok(state.lower_own(table, ty, rep)?)
                }
                false => {
                    let rep = state.lift_borrow(TableId::Host, index, ty)?;
                    Ok(state.lower_borrow(table, ty, rep)?)
                }
            }
        },
        |cx, ty, owned, index| {
            let table = cx.table();
            let index = match owned {
                true => {
                    let rep = cx.state.lift_own(table, index, ty)?;
                    cx.state.lower_own(TableId::Host, ty, rep)?
                }
                false => {
                    let rep = cx.state.lift_borrow(table, index, ty)?;
                    cx.state.lower_borrow(TableId::Host, ty, rep)?
                }
            };
            ResourceAny::at(&Handles { store: cx.store, state: cx.state }, index).ok_or_else(gone)
        };
}
