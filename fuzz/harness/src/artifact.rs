//! Loading of artifacts from bytes: the one place of the harness that may be unsafe.
//!
//! Invariant: what is loaded was serialized by this process, or differs from it so that loading must refuse it or may
//! still be run; nothing loaded here is called unless it is undamaged.
//!
//! Does not know: which bytes are flipped.
#![expect(unsafe_code, reason = "loading machine code is unsafe by nature")]

use wattest::{DeserializeError, Engine, Module};

/// Loads an artifact.
///
/// # Errors
///
/// It is refused.
pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Module, DeserializeError> {
    // SAFETY: by the invariant of this module, damaged code is never called.
    unsafe { Module::deserialize(engine, bytes) }
}
