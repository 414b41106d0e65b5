//! From a file to a module or a component.
//!
//! Invariant: the file is read once, or, if its first bytes are a module's artifact, mapped; what it is follows from its
//! bytes, not from its name.
//!
//! Does not know: what it is for.

use crate::cache;
use crate::command_line::{Flag, Parsed};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{precompiled, window};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use wattest::component::Component;
use wattest::{CompileError, Engine, Module};

/// What a file holds.
#[derive(Debug)]
pub enum Loaded {
    /// A core module.
    Module(Module),
    /// A component.
    Component(Component),
}

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

/// As many bytes as it takes to know artifacts.
const HEAD_BYTES: u64 = 8;

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| cannot_read(path, &error))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read {}: {error}", path.display()))
}

/// Whether the bytes of a file are a component, binary or text.
fn is_component(bytes: &[u8]) -> bool {
    // In text, comments may come first.
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let first = text.lines().map(str::trim_start).find(|line| !line.is_empty() && !line.starts_with(";;"));
    Component::is_component(bytes) || first.is_some_and(|line| line.starts_with("(component"))
}

/// Compiles a binary or text module or component.
pub fn compile(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Loaded, Failure> {
    if Engine::detect_precompiled(bytes) || Component::detect_precompiled(bytes) {
        return Err(Failure::new(format!(
            "{} is a compiled artifact already; give the WebAssembly it was made from",
            path.display()
        )));
    }
    let compiled = match is_component(bytes) {
        true => Component::new(engine, bytes).map(Loaded::Component),
        false => Module::new(engine, bytes).map(Loaded::Module),
    };
    compiled.map_err(|error| Failure::new(format!("{}: {error}{}", path.display(), window(&error, bytes))))
}

/// Whether a file is valid; what it is.
pub fn validate(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<&'static str, Failure> {
    if is_component(bytes) {
        // Whether a component is one that can be run is known when its plan is made.
        return compile(engine, path, bytes).map(|_| "component");
    }
    let binary = match bytes.starts_with(b"\0asm") {
        true => bytes.into(),
        false => wat::parse_bytes(bytes).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
    };
    let valid = Module::validate(engine, &binary);
    valid.map_err(|error| Failure::new(format!("{}: {error}{}", path.display(), window(&error, bytes))))?;
    Ok("module")
}

/// The instructions around an error in a module.
fn window(error: &CompileError, bytes: &[u8]) -> String {
    let Some(offset) = error.offset().filter(|_| !is_component(bytes)) else { return String::new() };
    // Offsets of a text are those of its binary.
    let binary = if bytes.starts_with(b"\0asm") { Some(bytes.into()) } else { wat::parse_bytes(bytes).ok() };
    binary.and_then(|binary| window::around(&binary, offset)).unwrap_or_default()
}

/// What a binary, text or compiled file holds.
pub fn load(engine: &Engine, path: &Path, parsed: &Parsed) -> Result<Loaded, Failure> {
    let read =
        |file: &mut dyn Read, bytes: &mut Vec<u8>| file.read_to_end(bytes).map_err(|error| cannot_read(path, &error));
    let mut file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let mut bytes = Vec::new();
    read(&mut file.by_ref().take(HEAD_BYTES), &mut bytes)?;
    let of_module = Engine::detect_precompiled(&bytes);
    if of_module || Component::detect_precompiled(&bytes) {
        if !parsed.has("allow-precompiled") {
            return Err(Failure::new(format!(
                "{} is a compiled artifact, which can do anything that this process can; \
                 pass --allow-precompiled if you trust it",
                path.display()
            )));
        }
        if of_module {
            return precompiled::load_vouched(engine, path).map(Loaded::Module);
        }
        read(&mut file, &mut bytes)?;
        return precompiled::load_vouched_component(engine, path, &bytes).map(Loaded::Component);
    }
    read(&mut file, &mut bytes)?;
    let asked = Settings::new(parsed)?.cache();
    let (on, off) = (parsed.has("cache") || asked == Some(true), parsed.has("no-cache") || asked == Some(false));
    let cached = !off && (on || bytes.len() >= CACHED_BYTES_MIN);
    // The cache holds artifacts of modules.
    let entry = if cached && !is_component(&bytes) { cache::entry(engine, &bytes) } else { None };
    if let Some(module) = entry.as_ref().and_then(|entry| entry.load(engine)) {
        return Ok(Loaded::Module(module));
    }
    let loaded = compile(engine, path, &bytes)?;
    if let (Some(entry), Loaded::Module(module)) = (entry, &loaded) {
        entry.store(module);
    }
    Ok(loaded)
}
