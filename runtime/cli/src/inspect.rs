//! `wattest inspect`: what a module or a component consists of.
//!
//! Of a module: imports and exports with their types, the proposals it cannot do without, and the sizes of its sections.
//!
//! Invariant: nothing of the module runs; it is validated as often as there are proposals.
//!
//! Does not know: the contents of sections; components (`contents`).

use crate::command_line::{Command, Flag, Parsed};
use crate::failure::Failure;
use crate::load::{self, Loaded};
use crate::{binary, contents, output};
use serde_json::json;
use std::path::Path;
use wattest::{Config, Engine, Feature, Features, Module};

/// The command.
pub static COMMAND: Command = Command {
    name: "inspect",
    operands: "FILE",
    help: "show a module's or component's imports, exports and sizes, and a module's proposals",
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
    let module = match load::compile(&engine, path, &bytes)? {
        Loaded::Module(module) => module,
        Loaded::Component(component) => {
            output::print(&contents::show(path, bytes.len(), &component, parsed.has("json")))?;
            return Ok(0);
        }
    };
    let proposals = proposals(&bytes)?;
    let text = match parsed.has("json") {
        true => format!("{:#}\n", to_json(path, &bytes, &module, &proposals)),
        false => to_text(path, &bytes, &module, &proposals),
    };
    output::print(&text)?;
    Ok(0)
}

fn to_json(path: &Path, bytes: &[u8], module: &Module, proposals: &[&str]) -> serde_json::Value {
    let imports: Vec<_> = module
        .imports()
        .map(|import| json!({ "module": import.module(), "name": import.name(), "type": import.ty().to_string() }))
        .collect();
    let exports: Vec<_> =
        module.exports().map(|export| json!({ "name": export.name(), "type": export.ty().to_string() })).collect();
    let sections: Vec<_> =
        sections(bytes).iter().map(|section| json!({ "name": section.name, "bytes": section.bytes })).collect();
    json!({
        "file": path.display().to_string(),
        "bytes": bytes.len(),
        "name": module.name(),
        "imports": imports,
        "exports": exports,
        "proposals": proposals,
        "sections": sections,
    })
}

fn to_text(path: &Path, bytes: &[u8], module: &Module, proposals: &[&str]) -> String {
    let mut lines = vec![format!("{}: {} bytes", path.display(), bytes.len())];
    lines.push(format!("imports ({}):", module.imports().len()));
    lines.extend(module.imports().map(|it| format!("  {:?} {:?}: {}", it.module(), it.name(), it.ty())));
    lines.push(format!("exports ({}):", module.exports().len()));
    lines.extend(module.exports().map(|export| format!("  {:?}: {}", export.name(), export.ty())));
    lines.push(format!("proposals: {}", if proposals.is_empty() { "none".to_owned() } else { proposals.join(", ") }));
    let sections = sections(bytes);
    lines.push(match bytes.starts_with(b"\0asm") {
        true => format!("sections ({}):", sections.len()),
        false => "sections: none, the module is text".to_owned(),
    });
    lines.extend(sections.iter().map(|section| format!("  {:<24} {:>10} bytes", section.name, section.bytes)));
    lines.join("\n") + "\n"
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
    let row = |section: binary::Section<'_>| Section {
        name: match section.name {
            Some(name) => format!("custom {}", String::from_utf8_lossy(name).escape_debug()),
            None => SECTIONS.get(usize::from(section.id)).copied().unwrap_or("unknown").to_owned(),
        },
        bytes: section.range.len() as u64,
    };
    binary::sections(bytes).into_iter().map(row).collect()
}
