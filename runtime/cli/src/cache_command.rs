//! `wattest cache`: where compiled code is kept, what is there, and how to be rid of it.
//!
//! Invariant: only entries of the cache are removed, never what else somebody put into its folder.
//!
//! Does not know: how entries are found.

use crate::cache;
use crate::command_line::{Command, Parsed};
use crate::failure::Failure;
use crate::output;
use crate::suggest::hint;

/// The command.
pub static COMMAND: Command = Command {
    name: "cache",
    operands: "path|ls|clean",
    help: "say where compiled code is kept, list it, or remove it",
    flags: &[],
    passes_arguments: false,
    run,
};

/// A word and what it does; the text to print.
type Action = (&'static str, fn() -> Result<String, Failure>);

const ACTIONS: &[Action] = &[("path", path), ("ls", list), ("clean", clean)];

fn run(parsed: &Parsed) -> Result<u8, Failure> {
    let word = parsed.operands.first().map(|word| word.to_string_lossy());
    let Some((_, action)) = word.as_ref().and_then(|word| ACTIONS.iter().find(|(name, _)| name == word)) else {
        let near = word.map_or_else(String::new, |word| hint(&word, ACTIONS.iter().map(|(name, _)| *name)));
        return Err(Failure::usage(format!("say what to do: wattest cache path|ls|clean{near}")));
    };
    output::print(&action()?)?;
    Ok(0)
}

fn path() -> Result<String, Failure> {
    let folder = cache::the_folder().ok_or_else(|| Failure::new("there is no folder for a cache: HOME is not set"))?;
    Ok(format!("{}\n", folder.display()))
}

fn list() -> Result<String, Failure> {
    let entries = cache::entries();
    let total: u64 = entries.iter().map(|(_, bytes)| bytes).sum();
    let lines = entries
        .iter()
        .map(|(path, bytes)| format!("{bytes:>12}  {}\n", path.file_name().unwrap_or_default().display()));
    Ok(lines.collect::<String>() + &format!("{total:>12}  in {} entries\n", entries.len()))
}

fn clean() -> Result<String, Failure> {
    let entries = cache::entries();
    for (path, _) in &entries {
        std::fs::remove_file(path)
            .map_err(|error| Failure::new(format!("cannot remove {}: {error}", path.display())))?;
    }
    let total: u64 = entries.iter().map(|(_, bytes)| bytes).sum();
    Ok(format!("removed {} entries, {total} bytes\n", entries.len()))
}
