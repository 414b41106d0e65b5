//! The preview 1 face: `wasi_snapshot_preview1`, and `wasi_unstable` before it.
//!
//! Decodes a guest's numbers and pointers, asks the core, encodes the answer
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md)). One table names every function; the
//! linker's entries, the engine-independent [`FUNCTIONS`] and the `wasi_unstable` variants are derived from it.
//!
//! Invariant: a pointer is checked before anything happens, so that a bad one has no other effect than [`Errno::Fault`].
//!
//! Does not know: compiled code; functions see a byte slice as the guest's memory.

mod args;
mod clock;
mod descriptors;
mod fd;
mod layout;
mod linker;
mod memory;
mod path;
mod poll;
mod process;
#[cfg(any(test, feature = "random"))]
pub mod random;
mod rights;
mod sock;

pub use descriptors::Descriptors;
pub use linker::{add_module_to_linker, add_to_linker};
pub use memory::GuestMemory;

use crate::{Errno, WasiCtx};
use std::task::{Context, Poll, Waker};
use wattest::HostFuture;

/// Module name of the imports.
pub const MODULE: &str = "wasi_snapshot_preview1";
/// Module name of the imports' first edition.
pub const MODULE_UNSTABLE: &str = "wasi_unstable";

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
}

trait ParamType {
    const PARAM: Param;
}

impl ParamType for u32 {
    const PARAM: Param = Param::I32;
}

impl ParamType for u64 {
    const PARAM: Param = Param::I64;
}

/// A function of the face, for callers that bring their own engine. Its wasm result is one `i32`: the error number.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Import name.
    pub name: &'static str,
    /// Parameter types.
    pub params: &'static [Param],
    /// Answers a call. Missing arguments count as 0; an `i32` takes the low half of its argument.
    pub call: fn(&mut WasiCtx, &mut GuestMemory<'_>, &[u64]) -> Result<(), Errno>,
}

/// The answer of a function that may wait, to a caller that does not let it.
fn at_once(mut future: HostFuture<'_, Result<(), Errno>>) -> Result<(), Errno> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(Errno::NotSup),
    }
}

/// Expands `$expand` with the table of functions. A row is a name, the module and function that answers it, and its
/// parameters; the second group are the `wasi_unstable` functions whose records that edition lays out otherwise. The third and
/// the fourth are the same for functions that may wait, and return futures.
macro_rules! with_functions {
    ($expand:ident) => {
        $expand! {
            {
                args_get = args::args_get(argv: u32, argv_buf: u32);
                args_sizes_get = args::args_sizes_get(count: u32, bytes: u32);
                environ_get = args::environ_get(environ: u32, environ_buf: u32);
                environ_sizes_get = args::environ_sizes_get(count: u32, bytes: u32);
                clock_res_get = clock::clock_res_get(id: u32, resolution: u32);
                clock_time_get = clock::clock_time_get(id: u32, precision: u64, time: u32);
                fd_advise = fd::fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
                fd_allocate = fd::fd_allocate(fd: u32, offset: u64, len: u64);
                fd_close = fd::fd_close(fd: u32);
                fd_datasync = fd::fd_datasync(fd: u32);
                fd_fdstat_get = fd::fd_fdstat_get(fd: u32, stat: u32);
                fd_fdstat_set_flags = fd::fd_fdstat_set_flags(fd: u32, flags: u32);
                fd_fdstat_set_rights = fd::fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
                fd_filestat_get = fd::fd_filestat_get(fd: u32, stat: u32);
                fd_filestat_set_size = fd::fd_filestat_set_size(fd: u32, size: u64);
                fd_filestat_set_times = fd::fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
                fd_pread = fd::fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, read: u32);
                fd_prestat_get = fd::fd_prestat_get(fd: u32, prestat: u32);
                fd_prestat_dir_name = fd::fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
                fd_pwrite = fd::fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, written: u32);
                fd_readdir = fd::fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, used: u32);
                fd_renumber = fd::fd_renumber(from: u32, to: u32);
                fd_seek = fd::fd_seek(fd: u32, offset: u64, whence: u32, position: u32);
                fd_sync = fd::fd_sync(fd: u32);
                fd_tell = fd::fd_tell(fd: u32, position: u32);
                path_create_directory = path::path_create_directory(fd: u32, path: u32, path_len: u32);
                path_filestat_get = path::path_filestat_get(fd: u32, lookup: u32, path: u32, path_len: u32, stat: u32);
                path_filestat_set_times = path::path_filestat_set_times(
                    fd: u32, lookup: u32, path: u32, path_len: u32, accessed: u64, modified: u64, flags: u32
                );
                path_link = path::path_link(
                    fd: u32, lookup: u32, path: u32, path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32
                );
                path_open = path::path_open(
                    fd: u32, lookup: u32, path: u32, path_len: u32, open_flags: u32, base: u64, inheriting: u64, fd_flags: u32, opened: u32
                );
                path_readlink = path::path_readlink(
                    fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, used: u32
                );
                path_remove_directory = path::path_remove_directory(fd: u32, path: u32, path_len: u32);
                path_rename = path::path_rename(
                    fd: u32, path: u32, path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32
                );
                path_symlink = path::path_symlink(target: u32, target_len: u32, fd: u32, path: u32, path_len: u32);
                path_unlink_file = path::path_unlink_file(fd: u32, path: u32, path_len: u32);
                proc_raise = process::proc_raise(signal: u32);
                sched_yield = process::sched_yield();
                random_get = process::random_get(buf: u32, buf_len: u32);
                sock_shutdown = sock::sock_shutdown(fd: u32, how: u32);
            }
            {
                fd_filestat_get = fd::fd_filestat_get_unstable(fd: u32, stat: u32);
                fd_seek = fd::fd_seek_unstable(fd: u32, offset: u64, whence: u32, position: u32);
                path_filestat_get = path::path_filestat_get_unstable(
                    fd: u32, lookup: u32, path: u32, path_len: u32, stat: u32
                );
            }
            {
                fd_read = fd::fd_read(fd: u32, iovs: u32, iovs_len: u32, read: u32);
                fd_write = fd::fd_write(fd: u32, iovs: u32, iovs_len: u32, written: u32);
                poll_oneoff = poll::poll_oneoff(subscriptions: u32, events: u32, count: u32, stored: u32);
                sock_accept = sock::sock_accept(fd: u32, flags: u32, accepted: u32);
                sock_recv = sock::sock_recv(
                    fd: u32, iovs: u32, iovs_len: u32, flags: u32, received: u32, out_flags: u32
                );
                sock_send = sock::sock_send(fd: u32, iovs: u32, iovs_len: u32, flags: u32, sent: u32);
            }
            {
                poll_oneoff = poll::poll_oneoff_unstable(subscriptions: u32, events: u32, count: u32, stored: u32);
            }
        }
    };
}
use with_functions;

macro_rules! plain_functions {
    (
        { $($name:ident = $subject:ident::$function:ident($($param:ident: $ty:ty),*);)* } { $($unstable:tt)* }
        { $($late:ident = $place:ident::$waiting:ident($($given:ident: $kind:ty),*);)* } { $($unstable_late:tt)* }
    ) => {
        /// Every function but `proc_exit`, which does not return.
        pub const FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($name),
            params: &[$(<$ty as ParamType>::PARAM),*],
            call: |ctx, memory, raw| {
                let mut _raw = raw.iter().copied();
                $(let $param = _raw.next().unwrap_or(0) as $ty;)*
                $subject::$function(ctx, memory, $($param),*)
            },
        },)* $(Function {
            name: stringify!($late),
            params: &[$(<$kind as ParamType>::PARAM),*],
            call: |ctx, memory, raw| {
                let mut raw = raw.iter().copied();
                $(let $given = raw.next().unwrap_or(0) as $kind;)*
                at_once($place::$waiting(ctx, memory, $($given),*))
            },
        },)*];
    };
}

with_functions!(plain_functions);
