//! WASI: what a guest may ask of its host.
//!
//! One capability core by subject ([`host`]: arguments, clocks, randomness, standard streams, files, polling, exit) and
//! faces over it: [`preview1`] is `wasi_snapshot_preview1`
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md)), [`p2`] the interfaces of WASI 0.2
//! ([spec](https://github.com/WebAssembly/WASI/tree/main/wasip2)).
//!
//! Invariant: there is no global state and no ambient authority; a guest reaches exactly what its [`WasiCtx`] holds.
//!
//! **Many guests on few threads.** A guest that waits blocks its thread, unless its context says otherwise
//! ([`WasiCtxBuilder::waiting`], [`host::waiting`]): then it has to be called with `call_async`, and is put aside while a
//! reactor watches. Files are read and written while the thread waits, all the same.
//!
//! Does not know: how guests are compiled, async runtimes (but for what serves and sends HTTP).
#![forbid(unsafe_code)]

mod ctx;
mod errno;
pub mod host;
pub mod p2;
pub mod preview1;

pub use ctx::{WasiCtx, WasiCtxBuilder};
pub use errno::Errno;
pub use host::exit::Exit;

/// The Rust of the book in `runtime/docs`, page by page, as documentation tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../docs/src/embed.md")]
    mod embed {}
    #[doc = include_str!("../../docs/src/components.md")]
    mod components {}
}
