//! `wattest compile`: compiles a module or a component ahead of time.
//!
//! Invariant: the output is complete or untouched.
//!
//! Does not know: the artifact's format.

use crate::cache::write_atomically;
use crate::command_line::{Command, Flag, Parsed};
use crate::engine;
use crate::failure::Failure;
use crate::load::{self, Loaded};
use std::path::Path;

/// The command.
pub static COMMAND: Command = Command {
    name: "compile",
    operands: "FILE -o OUT",
    help: "compile a module or component ahead of time; `wattest run --allow-precompiled OUT` runs the result",
    flags: &[FLAGS, engine::FLAGS],
    passes_arguments: false,
    run,
};

const FLAGS: &[Flag] =
    &[Flag { name: "output", short: Some('o'), value: Some("OUT"), help: "where to write the artifact" }];

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    let path = Path::new(parsed.operand(&COMMAND)?);
    let Some(output) = parsed.all("output").last().map(Path::new) else {
        return Err(Failure::usage("say where to write the artifact: -o OUT"));
    };
    let engine = engine::engine(parsed)?;
    let artifact = match load::compile(&engine, path, &load::read(path)?)? {
        Loaded::Module(module) => module.serialize(),
        Loaded::Component(component) => component.serialize(),
    };
    let artifact = artifact.map_err(Failure::new)?;
    write_atomically(output, &artifact)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", output.display())))?;
    Ok(0)
}
