//! `wattest validate`: whether files are valid.
//!
//! Invariant: nothing is compiled; every file is looked at, also after one that is not valid.
//!
//! Does not know: what is valid.

use crate::command_line::{Command, Parsed};
use crate::failure::Failure;
use crate::{engine, load, output, settings};
use std::path::Path;

/// The command.
pub static COMMAND: Command = Command {
    name: "validate",
    operands: "FILE…",
    help: "say whether modules and components are valid",
    flags: &[&[engine::FEATURES], settings::FLAGS],
    passes_arguments: false,
    run,
};

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    if parsed.operands.is_empty() {
        return Err(Failure::usage("no file to validate\nusage: wattest validate [OPTIONS] FILE…"));
    }
    let engine = engine::engine(parsed)?;
    let mut wrong = Vec::new();
    for file in &parsed.operands {
        let path = Path::new(file);
        match load::read(path).and_then(|bytes| load::validate(&engine, path, &bytes)) {
            Ok(what) => output::print(&format!("{}: valid {what}\n", path.display()))?,
            Err(failure) => wrong.push(failure),
        }
    }
    match wrong.is_empty() {
        true => Ok(0),
        false => Err(Failure::all(&wrong)),
    }
}
