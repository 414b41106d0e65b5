//! `wattest options`: the engine's option table.
//!
//! Invariant: printed from the table itself.
//!
//! Does not know: what the options do.

use crate::command_line::{Command, Parsed};
use crate::failure::Failure;
use crate::output;
use std::fmt::Write;
use wattest::{Config, Feature};

/// The command.
pub static COMMAND: Command = Command {
    name: "options",
    operands: "",
    help: "list the engine's options (for --opt KEY=VALUE) and the proposals (for --features)",
    flags: &[],
    passes_arguments: false,
    run,
};

fn run(_: &Parsed) -> Result<u8, Failure> {
    let mut text = "options, with their defaults (--opt KEY=VALUE):\n".to_owned();
    // Writing to a string cannot fail.
    for row in Config::options() {
        let _ = writeln!(text, "  {}={}", row.key, (row.default)());
        let _ = writeln!(text, "      {} ({})", row.doc.split_whitespace().collect::<Vec<_>>().join(" "), row.values);
    }
    text.push_str("\nproposals (--features NAME, -NAME):\n");
    for feature in Feature::ALL {
        let state = match (feature.is_default(), feature.is_implemented()) {
            (true, _) => "on",
            (false, true) => "off",
            (false, false) => "not implemented",
        };
        let _ = writeln!(text, "  {:<28} {state}", feature.name());
    }
    output::print(&text)?;
    Ok(0)
}
