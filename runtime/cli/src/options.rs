//! `wattest options`: the engine's option table.
//!
//! Invariant: printed from the table itself.
//!
//! Does not know: what the options do.

use crate::command_line::{Command, Parsed};
use crate::failure::Failure;
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
    println!("options, with their defaults (--opt KEY=VALUE):");
    for row in Config::options() {
        println!("  {}={}", row.key, (row.default)());
        println!("      {} ({})", row.doc.split_whitespace().collect::<Vec<_>>().join(" "), row.values);
    }
    println!("\nproposals (--features NAME, -NAME):");
    for feature in Feature::ALL {
        let state = match (feature.is_default(), feature.is_implemented()) {
            (true, _) => "on",
            (false, true) => "off",
            (false, false) => "not implemented",
        };
        println!("  {:<28} {state}", feature.name());
    }
    Ok(0)
}
