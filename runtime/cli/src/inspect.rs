//! `wattest inspect`: what a module consists of.
//!
//! Imports and exports with their types, the proposals it cannot do without, and the sizes of its sections.
//!
//! Invariant: nothing of the module runs; it is validated as often as there are proposals.
//!
//! Does not know: the contents of sections.

use crate::command_line::{Command, Flag, Parsed};
use crate::failure::Failure;
use crate::load;
use serde_json::json;
use std::path::Path;
use wattest::{Config, Engine, Feature, Features, Module};

/// The command.
pub static COMMAND: Command = Command {
    name: "inspect",
    operands: "FILE",
    help: "show a module's imports, exports, proposals and section sizes",
    flags: &[FLAGS],
    passes_arguments: false,
    run,
};

const FLAGS: &[Flag] = &[Flag { name: "json", short: None, value: None, help: "print JSON" }];

/// Section names by number ([spec](https://webassembly.github.io/spec/core/binary/modules.html#sections)).
const SECTIONS: &[&str] = &[
    "custom",
    "type",
    "import",
    "function",
    "table",
    "memory",
    "global",
    "export",
    "start",
    "element",
    "code",
    "data",
    "data count",
    "tag",
];

/// A section of a binary.
#[derive(Debug, PartialEq, Eq)]
struct Section {
    name: String,
    bytes: u64,
}

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    let path = Path::new(parsed.operand(&COMMAND)?);
    let bytes = load::read(path)?;
    let engine = engine_with(Features::all_implemented())?;
    let module = load::compile(&engine, path, &bytes)?;
    let proposals = proposals(&bytes)?;
    let sections = sections(&bytes);
    let imports: Vec<_> = module
        .imports()
        .map(|import| json!({ "module": import.module(), "name": import.name(), "type": import.ty().to_string() }))
        .collect();
    let exports: Vec<_> =
        module.exports().map(|export| json!({ "name": export.name(), "type": export.ty().to_string() })).collect();
    if parsed.has("json") {
        let sections: Vec<_> =
            sections.iter().map(|section| json!({ "name": section.name, "bytes": section.bytes })).collect();
        let value = json!({
            "file": path.display().to_string(),
            "bytes": bytes.len(),
            "name": module.name(),
            "imports": imports,
            "exports": exports,
            "proposals": proposals,
            "sections": sections,
        });
        println!("{value:#}");
        return Ok(0);
    }
    println!("{}: {} bytes", path.display(), bytes.len());
    println!("imports ({}):", imports.len());
    for import in module.imports() {
        println!("  {:?} {:?}: {}", import.module(), import.name(), import.ty());
    }
    println!("exports ({}):", exports.len());
    for export in module.exports() {
        println!("  {:?}: {}", export.name(), export.ty());
    }
    println!("proposals: {}", if proposals.is_empty() { "none".to_owned() } else { proposals.join(", ") });
    match bytes.starts_with(b"\0asm") {
        true => println!("sections ({}):", sections.len()),
        false => println!("sections: none, the module is text"),
    }
    for section in &sections {
        println!("  {:<24} {:>10} bytes", section.name, section.bytes);
    }
    Ok(0)
}

fn engine_with(features: Features) -> Result<Engine, Failure> {
    let mut config = Config::new();
    config.features(features);
    Engine::new(&config).map_err(Failure::new)
}

/// The proposals without which the module is invalid.
fn proposals(bytes: &[u8]) -> Result<Vec<&'static str>, Failure> {
    let mut needed = Vec::new();
    for feature in Features::all_implemented().iter() {
        let engine = engine_with(Features::all_implemented().without(feature))?;
        let valid = match bytes.starts_with(b"\0asm") {
            true => Module::validate(&engine, bytes).is_ok(),
            false => Module::new(&engine, bytes).is_ok(),
        };
        if !valid {
            needed.push(Feature::name(feature));
        }
    }
    Ok(needed)
}

/// The sections of a binary, in order; none for a text module.
fn sections(bytes: &[u8]) -> Vec<Section> {
    let mut sections = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(b"\0asm\x01\0\0\0") else { return sections };
    while let Some((id, after)) = rest.split_first() {
        let Some((size, after)) = leb128(after) else { break };
        let Some((content, next)) = after.split_at_checked(size as usize) else { break };
        let known = SECTIONS.get(usize::from(*id)).copied().unwrap_or("unknown");
        let custom = leb128(content).and_then(|(bytes, text)| text.get(..bytes as usize));
        let name = match (id, custom) {
            (0, Some(name)) => format!("custom {}", String::from_utf8_lossy(name).escape_debug()),
            _ => known.to_owned(),
        };
        sections.push(Section { name, bytes: u64::from(size) });
        rest = next;
    }
    sections
}

/// An unsigned 32-bit number in LEB128, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &bytes[position + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_listed_as_far_as_they_go() {
        fn check(body: &[u8], expected: &[(&str, u64)]) {
            let bytes = [b"\0asm\x01\0\0\0", body].concat();
            let actual = sections(&bytes);
            let actual: Vec<_> = actual.iter().map(|section| (section.name.as_str(), section.bytes)).collect();
            assert_eq!(actual, expected);
        }
        check(&[], &[]);
        check(&[1, 1, 0, 0, 5, 1, b'x', 1, 2, 3], &[("type", 1), ("custom x", 5)]);
        check(&[0, 1, 9], &[("custom", 1)]);
        check(&[10, 0x81, 0], &[]);
        check(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0], &[]);
        check(&[77, 0], &[("unknown", 0)]);
    }
}
