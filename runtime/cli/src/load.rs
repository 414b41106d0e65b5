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
use crate::sources::Source;
use crate::suggest::hint;
use crate::{precompiled, window};
use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use wattest::component::Component;
use wattest::{CompileError, Engine, Module};

/// What was loaded, and the file that it came from unless it was compiled ahead of time.
#[derive(Debug)]
pub struct Program {
    /// What runs.
    pub loaded: Loaded,
    /// For lines in backtraces.
    pub source: Option<Source>,
}

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

/// Modules smaller than this are not worth a file, in bytes: a process that compiles anything at all pays for the first use
/// of the code generator, so that the cache answers faster even for much smaller ones.
const CACHED_BYTES_MIN: usize = 1 << 10;

/// As many bytes as it takes to know artifacts.
const HEAD_BYTES: u64 = 8;

/// Most files of a folder among which a wrong name is looked for.
const SIBLINGS_MAX: usize = 1_000;

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| cannot_read(path, &error))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let mut text = format!("cannot read {}: {error}", path.display());
    if error.kind() == ErrorKind::NotFound {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let siblings = std::fs::read_dir(folder).into_iter().flatten().flatten().take(SIBLINGS_MAX);
        let mut siblings: Vec<_> = siblings.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        siblings.sort();
        text.push_str(&hint(&name, siblings.iter().map(String::as_str)));
    }
    Failure::new(text)
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
    let binary = binary(path, bytes)?;
    let compiled = match Component::is_component(&binary) {
        true => Component::new(engine, &binary).map(Loaded::Component),
        false => Module::new(engine, &binary).map(Loaded::Module),
    };
    compiled.map_err(|error| Failure::new(format!("{}: {error}{}", path.display(), window(&error, &binary))))
}

/// How files begin that are often mistaken for WebAssembly, and what they are.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x7fELF", "a program or library of Linux (ELF)"),
    (b"MZ", "a program of Windows"),
    (b"\xcf\xfa\xed\xfe", "a program of macOS"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"!<arch>", "a library of object files"),
    (b"BC\xc0\xde", "bitcode of LLVM"),
    (b"#!", "a script"),
    (b"<", "HTML or XML: perhaps a page that was saved instead of the file"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself"),
];

/// A module or component in binary form.
fn binary<'a>(path: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Failure> {
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes.into());
    }
    if bytes.is_empty() {
        return Err(Failure::new(format!("{} is empty", path.display())));
    }
    let other = OTHERS.iter().find(|(start, _)| bytes.starts_with(start));
    // In text, blanks and comments may come first.
    let text = std::str::from_utf8(bytes).ok().map(str::trim_start);
    if other.is_some() || !text.is_some_and(|text| text.starts_with(['(', ';'])) {
        let what = other.map_or_else(
            || "it begins neither with the bytes of a binary (`\\0asm`) nor with `(`, as text would".to_owned(),
            |(_, what)| format!("it is {what}"),
        );
        return Err(Failure::new(format!("{} is not WebAssembly: {what}", path.display())));
    }
    wat::parse_bytes(bytes).map_err(|mut error| {
        error.set_path(path);
        Failure::new(error)
    })
}

/// Whether a file is valid; what it is.
pub fn validate(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<&'static str, Failure> {
    if is_component(bytes) {
        // Whether a component is one that can be run is known when its plan is made.
        return compile(engine, path, bytes).map(|_| "component");
    }
    let binary = binary(path, bytes)?;
    let valid = Module::validate(engine, &binary);
    valid.map_err(|error| Failure::new(format!("{}: {error}{}", path.display(), window(&error, &binary))))?;
    Ok("module")
}

/// The instructions around an error in a module or component.
fn window(error: &CompileError, binary: &[u8]) -> String {
    error.offset().and_then(|offset| window::around(binary, offset)).unwrap_or_default()
}

/// What a binary, text or compiled file holds.
pub fn load(engine: &Engine, path: &Path, parsed: &Parsed) -> Result<Program, Failure> {
    let vouched = |loaded| Program { loaded, source: None };
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
            return precompiled::load_vouched(engine, path).map(Loaded::Module).map(vouched);
        }
        read(&mut file, &mut bytes)?;
        return precompiled::load_vouched_component(engine, path, &bytes).map(Loaded::Component).map(vouched);
    }
    read(&mut file, &mut bytes)?;
    let asked = Settings::new(parsed)?.cache();
    let (on, off) = (parsed.has("cache") || asked == Some(true), parsed.has("no-cache") || asked == Some(false));
    let cached = !off && (on || bytes.len() >= CACHED_BYTES_MIN);
    let entry = if cached { cache::entry(engine, &bytes) } else { None };
    let kept = entry.as_ref().and_then(|entry| match is_component(&bytes) {
        true => entry.load_component(engine).map(Loaded::Component),
        false => entry.load(engine).map(Loaded::Module),
    });
    let loaded = match kept {
        Some(loaded) => loaded,
        None => {
            let loaded = compile(engine, path, &bytes)?;
            entry.iter().for_each(|entry| entry.store(&loaded));
            loaded
        }
    };
    let source = Some(Source::new(bytes, &loaded));
    Ok(Program { loaded, source })
}
