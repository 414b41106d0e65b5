//! Functions of a face as entries of a linker, by how they fail.
//!
//! Invariant: every call of a guest is traced, when there is somebody to tell, before its result reaches the guest.
//!
//! Does not know: which functions there are.

use super::filesystem::ErrorCode;
use super::io::StreamError;
use super::sockets;
use crate::host::net::NetError;
use crate::host::stream::Ended;
use crate::{Errno, WasiCtx};
use std::fmt::Debug;
use wattest::component::{
    ComponentList, Lift, LinkError, Linker, LinkerInstance, Lower, Resource, ResourceTableError, ResourceType,
};
use wattest::{Error, HostFuture, Result};

/// Most resources that a guest can hold at once.
const RESOURCES_MAX: usize = 1 << 16;

/// Why a function does not return what it is asked for; `E` is what the core calls it.
#[derive(Debug)]
pub enum Stop<E = Ended> {
    /// The guest is told.
    Told(E),
    /// The guest ends.
    Trap(Error),
}

impl<E: From<Errno>> From<Errno> for Stop<E> {
    fn from(error: Errno) -> Stop<E> {
        Stop::Told(error.into())
    }
}

impl From<NetError> for Stop<NetError> {
    fn from(error: NetError) -> Stop<NetError> {
        Stop::Told(error)
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Stop {
        Stop::Told(ended)
    }
}

impl<E> From<ResourceTableError> for Stop<E> {
    fn from(error: ResourceTableError) -> Stop<E> {
        Stop::Trap(error.into())
    }
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Stop<E> {
        Stop::Trap(error)
    }
}

/// What a function that may fail returns.
pub type Answer<T, E = Ended> = std::result::Result<T, Stop<E>>;

/// The linker that functions are defined in.
pub struct Face<'a, T: 'static> {
    linker: &'a mut Linker<T>,
    get: fn(&mut T) -> &mut WasiCtx,
    interface: &'static str,
}

impl<'a, T: 'static> Face<'a, T> {
    pub fn new(linker: &'a mut Linker<T>, get: fn(&mut T) -> &mut WasiCtx) -> Face<'a, T> {
        Face { linker, get, interface: "" }
    }

    /// Goes on with the functions of an interface.
    pub fn enter(&mut self, interface: &'static str) -> Result<(), LinkError> {
        self.interface = interface;
        self.instance().map(drop)
    }

    fn instance(&mut self) -> Result<LinkerInstance<'_, T>, LinkError> {
        self.linker.instance(&format!("{}@{}", self.interface, super::VERSION))
    }

    /// A resource type, kept in the context's table.
    pub fn resource<R: Send + Sync + 'static>(&mut self, name: &str) -> Result<(), LinkError> {
        let get = self.get;
        let drop = move |mut store: wattest::StoreContextMut<'_, T>, rep| {
            get(store.data_mut()).table.delete(Resource::<R>::new_own(rep))?;
            Ok(())
        };
        self.instance()?.resource(name, ResourceType::host::<R>(), drop).map(std::mem::drop)
    }

    fn define<P, R>(
        &mut self,
        name: &'static str,
        function: impl Fn(&mut WasiCtx, P) -> Result<R> + Send + Sync + 'static,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
        R: ComponentList + Lower + Debug + 'static,
    {
        let (get, interface) = (self.get, self.interface);
        let call = move |mut store: wattest::StoreContextMut<'_, T>, params: P| {
            let ctx = get(store.data_mut());
            let Some(trace) = ctx.trace.clone() else { return function(ctx, params) };
            let shown = format!("{params:?}");
            let result = function(ctx, params);
            trace.call(&format!("{interface}#{name}"), &shown, &format!("{result:?}"));
            result
        };
        self.instance()?.func_wrap(name, call).map(drop)
    }

    /// A function that may wait.
    fn define_waiting<P, R>(
        &mut self,
        name: &'static str,
        function: impl for<'b> Fn(&'b mut WasiCtx, P) -> HostFuture<'b, Result<R>> + Send + Sync + 'static,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
        R: ComponentList + Lower + Debug + Send + 'static,
    {
        let (get, interface) = (self.get, self.interface);
        self.instance()?
            .func_wrap_async(name, move |store: wattest::StoreContextMut<'_, T>, params: P| {
                let ctx = get(store.into_data_mut());
                let Some(trace) = ctx.trace.clone() else { return function(ctx, params) };
                let shown = format!("{params:?}");
                let future = function(ctx, params);
                Box::pin(async move {
                    let result = future.await;
                    trace.call(&format!("{interface}#{name}"), &shown, &format!("{result:?}"));
                    result
                })
            })
            .map(drop)
    }

    /// As [`Face::unit`], for a function that may wait.
    pub fn waiting_unit<P>(
        &mut self,
        name: &'static str,
        function: for<'b> fn(&'b mut WasiCtx, P) -> HostFuture<'b, Result<()>>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
    {
        self.define_waiting(name, function)
    }

    /// As [`Face::value`], for a function that may wait.
    pub fn waiting_value<P, R>(
        &mut self,
        name: &'static str,
        function: for<'b> fn(&'b mut WasiCtx, P) -> HostFuture<'b, Result<R>>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + Send + 'static,
        R: Lower + Debug + Send + 'static,
        (R,): ComponentList + Lower,
    {
        self.define_waiting(name, move |ctx: &mut WasiCtx, params: P| {
            let future = function(ctx, params);
            Box::pin(async move { Ok((future.await?,)) })
        })
    }

    /// As [`Face::stream`], for a function that may wait.
    pub fn waiting_stream<P, R>(
        &mut self,
        name: &'static str,
        function: for<'b> fn(&'b mut WasiCtx, P) -> HostFuture<'b, Answer<R>>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + Send + 'static,
        R: Lower + Debug + Send + 'static,
    {
        self.define_waiting(name, move |ctx: &mut WasiCtx, params: P| {
            Box::pin(async move {
                let answer = function(&mut *ctx, params).await;
                match answer {
                    Ok(value) => Ok((Ok(value),)),
                    Err(Stop::Told(ended)) => Ok((Err(StreamError::new(ctx, ended)?),)),
                    Err(Stop::Trap(error)) => Err(error),
                }
            })
        })
    }

    /// A function without a result.
    pub fn unit<P>(&mut self, name: &'static str, function: fn(&mut WasiCtx, P) -> Result<()>) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
    {
        self.define(name, function)
    }

    /// A function that always has its result.
    pub fn value<P, R>(
        &mut self,
        name: &'static str,
        function: fn(&mut WasiCtx, P) -> Result<R>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
        R: Lower + Debug + 'static,
        (R,): ComponentList + Lower,
    {
        self.define(name, move |ctx, params| Ok((function(ctx, params)?,)))
    }

    /// A function that fails, for a reason `C` of the core, with what `convert` makes of it.
    fn fallible<P, R, C: 'static, E>(
        &mut self,
        name: &'static str,
        function: fn(&mut WasiCtx, P) -> Answer<R, C>,
        convert: fn(&mut WasiCtx, C) -> Result<E>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
        R: Lower + Debug + 'static,
        E: Lower + Debug + 'static,
    {
        self.define(name, move |ctx, params| match function(ctx, params) {
            Ok(value) => Ok((Ok(value),)),
            Err(Stop::Told(reason)) => Ok((Err(convert(ctx, reason)?),)),
            Err(Stop::Trap(error)) => Err(error),
        })
    }

    /// A function that fails with a `stream-error`.
    pub fn stream<P, R>(
        &mut self,
        name: &'static str,
        function: fn(&mut WasiCtx, P) -> Answer<R>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
        R: Lower + Debug + 'static,
    {
        self.fallible(name, function, StreamError::new)
    }

    /// A function that fails with the `error-code` of files.
    pub fn file<P, R>(
        &mut self,
        name: &'static str,
        function: fn(&mut WasiCtx, P) -> Answer<R>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
        R: Lower + Debug + 'static,
    {
        self.fallible(name, function, |_, ended| Ok(ErrorCode::new(ended)))
    }

    /// A function that fails with the `error-code` of sockets.
    pub fn socket<P, R>(
        &mut self,
        name: &'static str,
        function: fn(&mut WasiCtx, P) -> Answer<R, NetError>,
    ) -> Result<(), LinkError>
    where
        P: ComponentList + Lift + Debug + 'static,
        R: Lower + Debug + 'static,
    {
        self.fallible(name, function, |_, error| Ok(sockets::ErrorCode::from(error)))
    }
}

impl WasiCtx {
    /// Hands out a resource.
    pub(crate) fn push<R: Send + Sync + 'static>(&mut self, resource: R) -> Result<Resource<R>> {
        self.count_resource()?;
        Ok(self.table.push(resource)?)
    }

    /// Hands out a resource that is to be dropped before `parent` is.
    #[cfg(feature = "http")]
    pub(crate) fn push_child<R: Send + Sync + 'static, P: 'static>(
        &mut self,
        resource: R,
        parent: &Resource<P>,
    ) -> Result<Resource<R>> {
        self.count_resource()?;
        Ok(self.table.push_child(resource, parent)?)
    }

    fn count_resource(&self) -> Result<()> {
        if self.table.len() < RESOURCES_MAX {
            return Ok(());
        }
        Err(Error::msg(format!("the guest holds more than {RESOURCES_MAX} WASI resources")))
    }
}
