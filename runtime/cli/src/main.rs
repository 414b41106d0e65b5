//! The `wattest` command.
//!
//! Reads the command line by the tables of [`command_line`] and hands it to one file per subcommand.
//!
//! Invariant: the process starts no thread and opens no file before the subcommand asks for it.
//!
//! Does not know: what a subcommand does.
#![deny(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![forbid(unsafe_op_in_unsafe_fn)]

mod bench;
mod binary;
mod cache;
mod cache_command;
mod command_line;
mod compile;
mod completion;
mod component;
mod contents;
mod coredump;
mod dwarf;
mod engine;
mod explain;
mod failure;
mod firefox;
mod guest;
mod imports;
mod inspect;
mod invoke;
mod load;
mod net;
mod options;
mod output;
mod precompiled;
mod profile;
mod run;
#[cfg(feature = "http")]
mod serve;
mod settings;
mod sources;
mod suggest;
mod validate;
mod values;
mod wast;
mod window;

use command_line::Command;
use std::process::ExitCode;

/// Every subcommand, in the order of the help.
const COMMANDS: &[&Command] = &[
    &run::COMMAND,
    #[cfg(feature = "http")]
    &serve::COMMAND,
    &compile::COMMAND,
    &validate::COMMAND,
    &wast::COMMAND,
    &inspect::COMMAND,
    &explain::COMMAND,
    &options::COMMAND,
    &cache_command::COMMAND,
    &completion::COMPLETION,
    &completion::MAN,
];

fn main() -> ExitCode {
    let result = command_line::parse(COMMANDS, std::env::args_os().skip(1).collect())
        .and_then(|(command, parsed)| (command.run)(&parsed));
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => failure.report(),
    }
}
