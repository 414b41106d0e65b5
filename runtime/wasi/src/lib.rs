//! WASI: what a guest may ask of its host.
//!
//! One capability core by subject ([`host`]: arguments, clocks, randomness, standard streams, files, polling, exit) and
//! faces over it. [`preview1`] is the `wasi_snapshot_preview1` face
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md)).
//!
//! Invariant: there is no global state and no ambient authority; a guest reaches exactly what its [`WasiCtx`] holds.
//!
//! Does not know: how guests are compiled, async runtimes.
#![forbid(unsafe_code)]

mod ctx;
mod errno;
pub mod host;
pub mod preview1;

pub use ctx::{WasiCtx, WasiCtxBuilder};
pub use errno::Errno;
pub use host::exit::Exit;
