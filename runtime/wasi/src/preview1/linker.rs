//! The face as entries of a linker.
//!
//! Invariant: every function finds the caller's memory under the export name `memory`, anew in each call, since it may
//! have moved.
//!
//! Does not know: what a function does.

use super::{GuestMemory, MODULE, MODULE_UNSTABLE, args, clock, fd, path, poll, process, sock, with_functions};
use crate::{Errno, Exit, WasiCtx};
use wattest::{Caller, Error, Extern, HostFuture, LinkError, Linker, Memory};

macro_rules! define {
    ($linker:ident, $module:expr, $get:ident, $($name:ident = $subject:ident::$function:ident($($param:ident: $ty:ty),*);)*) => {
        $(
            $linker.func_wrap(
                $module,
                stringify!($name),
                move |mut caller: Caller<'_, T>, $($param: $ty),*| -> Result<u32, Error> {
                    let result = answer(&mut caller, $get, |ctx, memory| $subject::$function(ctx, memory, $($param),*));
                    if let Some(trace) = $get(caller.data_mut()).trace.clone() {
                        trace.call(stringify!($name), &format!("{:?}", ($($param,)*)), &outcome(&result));
                    }
                    result
                },
            )?;
        )*
    };
}

macro_rules! define_waiting {
    ($linker:ident, $module:expr, $get:ident, $($name:ident = $subject:ident::$function:ident($($param:ident: $ty:ty),*);)*) => {
        $(
            $linker.func_wrap_async(
                $module,
                stringify!($name),
                move |caller: Caller<'_, T>, ($($param,)*): ($($ty,)*)| -> HostFuture<'_, Result<u32, Error>> {
                    let (bytes, ctx) = match parts(caller, $get) {
                        Ok(parts) => parts,
                        Err(error) => return Box::pin(std::future::ready(Err(error))),
                    };
                    Box::pin(async move {
                        let memory = &mut GuestMemory::new(bytes);
                        let answer = $subject::$function(&mut *ctx, memory, $($param),*).await;
                        let result = Ok(answer.err().unwrap_or(Errno::Success) as u32);
                        if let Some(trace) = &ctx.trace {
                            trace.call(stringify!($name), &format!("{:?}", ($($param,)*)), &outcome(&result));
                        }
                        result
                    })
                },
            )?;
        )*
    };
}

macro_rules! linker_functions {
    ({ $($rows:tt)* } { $($unstable:tt)* } { $($waiting:tt)* } { $($unstable_waiting:tt)* }) => {
        fn define_functions<T: 'static>(
            linker: &mut Linker<T>,
            module: &str,
            get: fn(&mut T) -> &mut WasiCtx,
        ) -> Result<(), LinkError> {
            define!(linker, module, get, $($rows)*);
            define_waiting!(linker, module, get, $($waiting)*);
            Ok(())
        }

        /// Replaces the functions whose records the first edition lays out otherwise.
        fn define_unstable_variants<T: 'static>(
            linker: &mut Linker<T>,
            get: fn(&mut T) -> &mut WasiCtx,
        ) -> Result<(), LinkError> {
            define!(linker, MODULE_UNSTABLE, get, $($unstable)*);
            define_waiting!(linker, MODULE_UNSTABLE, get, $($unstable_waiting)*);
            Ok(())
        }
    };
}

with_functions!(linker_functions);

/// The result of a call, for a trace.
fn outcome(result: &Result<u32, Error>) -> String {
    match result {
        Ok(number) => Errno::ALL.get(*number as usize).map_or_else(String::new, |errno| format!("{errno:?}")),
        Err(error) => error.to_string(),
    }
}

/// The calling instance's memory.
fn memory_of<T: 'static>(caller: &mut Caller<'_, T>) -> Result<Memory, Error> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        Some(Extern::SharedMemory(_)) => {
            // Until the face can work on memory that other threads write, it takes only private ones.
            Err(Error::msg("WASI preview 1 does not support shared memories yet"))
        }
        _ => Err(Error::msg("a WASI preview 1 module has to export its memory under the name `memory`")),
    }
}

/// What a function works on, for as long as the call takes.
fn parts<'a, T: 'static>(
    mut caller: Caller<'a, T>,
    get: fn(&mut T) -> &mut WasiCtx,
) -> Result<(&'a mut [u8], &'a mut WasiCtx), Error> {
    let memory = memory_of(&mut caller)?;
    let (bytes, data) = memory.data_and_store_mut(caller);
    Ok((bytes, get(data)))
}

/// Runs one function on the calling instance's memory.
fn answer<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: fn(&mut T) -> &mut WasiCtx,
    function: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>) -> Result<(), Errno>,
) -> Result<u32, Error> {
    let memory = memory_of(caller)?;
    let (bytes, data) = memory.data_and_store_mut(caller);
    let result = function(get(data), &mut GuestMemory::new(bytes));
    Ok(result.err().unwrap_or(Errno::Success) as u32)
}

/// Defines the face, under both of its module names.
pub fn add_to_linker<T: 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> &mut WasiCtx) -> Result<(), LinkError> {
    for module in [MODULE, MODULE_UNSTABLE] {
        add_module_to_linker(linker, module, get)?;
    }
    Ok(())
}

/// Defines the face under one module name, [`MODULE`] or [`MODULE_UNSTABLE`].
pub fn add_module_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    module: &str,
    get: fn(&mut T) -> &mut WasiCtx,
) -> Result<(), LinkError> {
    define_functions(linker, module, get)?;
    linker.func_wrap(module, "proc_exit", |status: u32| -> Result<(), Error> { Err(Error::host(Exit(status))) })?;
    if module == MODULE_UNSTABLE {
        linker.allow_shadowing(true);
        define_unstable_variants(linker, get)?;
        linker.allow_shadowing(false);
    }
    Ok(())
}
