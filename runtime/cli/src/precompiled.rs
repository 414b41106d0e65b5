//! Compiled artifacts: the only place where the command trusts bytes to be machine code.
//!
//! A forged artifact can do whatever the process can. It is loaded on the user's word (`--allow-precompiled`), or from the
//! private cache that only this user's processes write.
//!
//! Invariant: nothing else in the command is unsafe.
//!
//! Does not know: the artifact's format, nor where the cache is.
#![expect(unsafe_code, reason = "loading machine code is a matter of trust, which only the caller can give")]

use crate::failure::Failure;
use std::path::{Path, PathBuf};
use wattest::component::Component;
use wattest::{DeserializeError, Engine, Module};

/// Loads an artifact that the user vouches for; its checksum is verified.
pub fn load_vouched(engine: &Engine, path: &Path) -> Result<Module, Failure> {
    // SAFETY: the user passed `--allow-precompiled` and so vouches that the file comes from `wattest compile`.
    let loaded = unsafe { Module::deserialize_file(engine, path) };
    loaded.map_err(|error| refused(path, &error))
}

/// Loads the artifact of a component that the user vouches for; its checksum is verified.
pub fn load_vouched_component(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Component, Failure> {
    // SAFETY: the user passed `--allow-precompiled` and so vouches that the file comes from `wattest compile`.
    let loaded = unsafe { Component::deserialize(engine, bytes) };
    loaded.map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &DeserializeError) -> Failure {
    let path = path.display();
    Failure::new(format!("{path}: {error}\ncompile it again: wattest compile FILE -o {path}"))
}

/// Loads a component from entries of the private cache; `module` is the path of the module with a number.
pub fn load_cached_component(
    engine: &Engine,
    description: &[u8],
    module: impl Fn(usize) -> PathBuf,
) -> Result<Component, DeserializeError> {
    // SAFETY: as in `load_cached`: the entries were written together, under names that follow from one hash.
    unsafe { Component::deserialize_parts(engine, description, |number| load_cached(engine, &module(number))) }
}

/// Loads an entry of the private cache, without verifying its checksum.
pub fn load_cached(engine: &Engine, path: &Path) -> Result<Module, DeserializeError> {
    // SAFETY: the cache folder belongs to this user and nobody else may enter it (`cache::folder` has checked); entries
    // appear there complete, by renaming, and are named by the hash of what they were compiled from.
    unsafe { Module::deserialize_file_trusted(engine, path) }
}
