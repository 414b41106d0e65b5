//! The capability core: one module per subject.
//!
//! What a guest holds is a value of this module: a directory, a stream, a clock. Requests are answered with
//! [`crate::Errno`]; encoding them for a guest is the business of a face.
//!
//! Invariant: nothing here looks at the process's own arguments, environment or working directory.
//!
//! Does not know: linear memory, descriptors' numbers, WASI versions.

pub mod args;
pub mod clock;
pub mod denial;
pub mod exit;
pub mod fs;
#[cfg(feature = "http")]
pub mod http;
pub mod net;
pub mod poll;
pub mod random;
pub mod resolve;
pub mod signal;
pub mod stdio;
pub mod stream;
pub mod trace;
pub mod waiting;
