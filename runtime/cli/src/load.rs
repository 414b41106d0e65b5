//! From a file to a module.
//!
//! Invariant: the file is read once; what it is follows from its bytes, not from its name.
//!
//! Does not know: what the module is for.

use crate::cache;
use crate::command_line::{Flag, Parsed};
use crate::failure::Failure;
use crate::precompiled;
use std::path::Path;
use wattest::{Engine, Module};

/// The options of a command that loads a module to run it.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "allow-precompiled",
        short: None,
        value: None,
        help: "accept a compiled artifact; only for files you trust",
    },
    Flag { name: "cache", short: None, value: None, help: "keep compiled code, also of small modules" },
    Flag { name: "no-cache", short: None, value: None, help: "neither use nor keep compiled code" },
];

/// Modules smaller than this compile faster than a cache answers, in bytes.
const CACHED_BYTES_MIN: usize = 16 << 10;

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

/// Compiles a binary or text module.
pub fn compile(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Module, Failure> {
    if Engine::detect_precompiled(bytes) {
        return Err(Failure::new(format!(
            "{} is a compiled artifact already; give the WebAssembly module it was made from",
            path.display()
        )));
    }
    Module::new(engine, bytes).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// A module from a binary, text or compiled file.
pub fn load(engine: &Engine, path: &Path, parsed: &Parsed) -> Result<Module, Failure> {
    let bytes = read(path)?;
    if Engine::detect_precompiled(&bytes) {
        if !parsed.has("allow-precompiled") {
            return Err(Failure::new(format!(
                "{} is a compiled artifact, which can do anything that this process can; \
                 pass --allow-precompiled if you trust it",
                path.display()
            )));
        }
        return precompiled::load_vouched(engine, path);
    }
    let cached = !parsed.has("no-cache") && (parsed.has("cache") || bytes.len() >= CACHED_BYTES_MIN);
    let entry = if cached { cache::entry(engine, &bytes) } else { None };
    if let Some(module) = entry.as_ref().and_then(|entry| entry.load(engine)) {
        return Ok(module);
    }
    let module = compile(engine, path, &bytes)?;
    if let Some(entry) = entry {
        entry.store(&module);
    }
    Ok(module)
}
