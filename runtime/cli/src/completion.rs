//! `wattest completion` and `wattest man`: the command line for shells and for `man`, from its own tables.
//!
//! Invariant: what is printed is derived from the rows that parsing uses, so that it cannot lag behind.
//!
//! Does not know: what options do.

use crate::command_line::{Command, Flag, Parsed};
use crate::failure::Failure;
use crate::output;
use crate::suggest::hint;
use std::fmt::Write;

/// The command that prints completions.
pub static COMPLETION: Command = Command {
    name: "completion",
    operands: "bash|zsh|fish",
    help: "print a script that completes this command's words in a shell",
    flags: &[],
    passes_arguments: false,
    run: completion,
};

/// The command that prints a manual page.
pub static MAN: Command = Command {
    name: "man",
    operands: "[COMMAND]",
    help: "print a manual page: wattest man run | man -l -",
    flags: &[],
    passes_arguments: false,
    run: manual,
};

/// A shell and what prints its script.
type Shell = (&'static str, fn(&[&Command]) -> String);

const SHELLS: &[Shell] = &[("bash", bash), ("zsh", zsh), ("fish", fish)];

fn completion(parsed: &Parsed) -> Result<u8, Failure> {
    let word = parsed.operands.first().map(|word| word.to_string_lossy());
    let Some((_, script)) = word.as_ref().and_then(|word| SHELLS.iter().find(|(name, _)| name == word)) else {
        let near = word.map_or_else(String::new, |word| hint(&word, SHELLS.iter().map(|(name, _)| *name)));
        return Err(Failure::usage(format!("say for which shell: wattest completion bash|zsh|fish{near}")));
    };
    output::print(&script(crate::COMMANDS))?;
    Ok(0)
}

fn flags(command: &Command) -> impl Iterator<Item = &'static Flag> {
    command.flags.iter().copied().flatten()
}

fn words(command: &Command) -> String {
    flags(command).map(|flag| format!("--{}", flag.name)).collect::<Vec<_>>().join(" ")
}

fn names(commands: &[&Command]) -> String {
    commands.iter().map(|command| command.name).chain(["help"]).collect::<Vec<_>>().join(" ")
}

fn bash(commands: &[&Command]) -> String {
    let mut cases = String::new();
    for command in commands {
        let _ = writeln!(cases, "    {}) words=\"{}\" ;;", command.name, words(command));
    }
    format!(
        "_wattest() {{\n  local current=\"${{COMP_WORDS[COMP_CWORD]}}\" words\n  \
         if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W \"{}\" -- \"$current\") $(compgen -f -- \"$current\"))\n    \
         return\n  fi\n  case \"${{COMP_WORDS[1]}}\" in\n{cases}  esac\n  case \"$current\" in\n    \
         -*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n    \
         *) COMPREPLY=($(compgen -f -- \"$current\")) ;;\n  esac\n}}\ncomplete -o filenames -F _wattest wattest\n",
        names(commands)
    )
}

fn zsh(commands: &[&Command]) -> String {
    let mut cases = String::new();
    for command in commands {
        let rows = flags(command).map(|flag| {
            let value = flag.value.map_or("", |_| ":value:_files");
            let plain = |text: &str| text.replace(['\'', '[', ']', ':'], " ");
            format!("'--{}[{}]{value}'", flag.name, plain(flag.help))
        });
        let rows = rows.collect::<Vec<_>>().join(" ");
        let _ = writeln!(cases, "    {}) _arguments {rows} '*:file:_files' ;;", command.name);
    }
    format!(
        "#compdef wattest\n_wattest() {{\n  if (( CURRENT == 2 )); then\n    compadd {}\n    _files\n    return\n  fi\n  \
         local name=\"$words[2]\"\n  shift words\n  (( CURRENT-- ))\n  case \"$name\" in\n{cases}  esac\n}}\n_wattest \"$@\"\n",
        names(commands)
    )
}

fn fish(commands: &[&Command]) -> String {
    let mut text = String::new();
    let plain = |text: &str| text.replace(['\'', '\\'], "");
    for command in commands {
        let (name, help) = (command.name, plain(command.help));
        let _ = writeln!(text, "complete -c wattest -n __fish_use_subcommand -a {name} -d '{help}'");
        for flag in flags(command) {
            let short = flag.short.map_or_else(String::new, |letter| format!(" -s {letter}"));
            let value = flag.value.map_or("", |_| " -r");
            let _ = writeln!(
                text,
                "complete -c wattest -n '__fish_seen_subcommand_from {name}' -l {}{short}{value} -d '{}'",
                flag.name,
                plain(flag.help)
            );
        }
    }
    text
}

/// The statuses that every command ends with; the table of the manual.
pub const STATUSES: &[(&str, &str)] = &[
    ("0", "success"),
    ("1", "a failure: a file that cannot be read or is not valid, missing imports, a component that failed"),
    ("2", "a wrong command line"),
    ("134", "the guest trapped, or threw an exception that nothing caught"),
    ("other", "the status that the guest itself ended with"),
];

fn manual(parsed: &Parsed) -> Result<u8, Failure> {
    let text = match parsed.operands.first().map(|word| word.to_string_lossy()) {
        None => overview(crate::COMMANDS),
        Some(word) => match crate::COMMANDS.iter().find(|command| command.name == word) {
            Some(command) => page(command),
            None => {
                let near = hint(&word, crate::COMMANDS.iter().map(|command| command.name));
                return Err(Failure::usage(format!("there is no command `{word}`{near}")));
            }
        },
    };
    output::print(&text)?;
    Ok(0)
}

/// Text as roff takes it.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn head(name: &str, help: &str) -> String {
    let (upper, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    format!(".TH {upper} 1 \"\" \"wattest {version}\"\n.SH NAME\n{} \\- {}\n", roff(name), roff(help))
}

fn statuses() -> String {
    let rows = STATUSES.iter().map(|(status, text)| format!(".TP\n{status}\n{}\n", roff(text)));
    format!(".SH EXIT STATUS\n{}", rows.collect::<String>())
}

fn overview(commands: &[&Command]) -> String {
    let mut text = head("wattest", "runs WebAssembly");
    text.push_str(".SH SYNOPSIS\n.B wattest\n.I COMMAND\n...\n.SH COMMANDS\n");
    for command in commands {
        let _ = write!(text, ".TP\n.B {}\n{}\n", command.name, roff(command.help));
    }
    text + &statuses()
}

fn page(command: &Command) -> String {
    let mut text = head(&format!("wattest-{}", command.name), command.help);
    let _ =
        write!(text, ".SH SYNOPSIS\n.B wattest {}\n[OPTIONS] {}\n.SH OPTIONS\n", command.name, roff(command.operands));
    for flag in flags(command) {
        let short = flag.short.map_or_else(String::new, |letter| format!("-{letter}, "));
        let value = flag.value.map_or_else(String::new, |value| format!(" {value}"));
        let _ = write!(text, ".TP\n{}\n{}\n", roff(&format!("{short}--{}{value}", flag.name)), roff(flag.help));
    }
    text + &statuses()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_every_script() {
        for (shell, script) in SHELLS {
            let text = script(crate::COMMANDS);
            for command in crate::COMMANDS {
                assert!(text.contains(command.name), "{shell}: {}", command.name);
                for flag in flags(command) {
                    assert!(text.contains(flag.name), "{shell}: --{}", flag.name);
                }
            }
        }
    }

    #[test]
    fn pages_name_every_option_and_status() {
        for command in crate::COMMANDS {
            let text = page(command);
            assert!(flags(command).all(|flag| text.contains(&roff(flag.name))), "{}", command.name);
            assert!(text.contains("\n134\n"));
            let requests = [".TH ", ".SH ", ".B ", ".I ", ".TP"];
            let known = |line: &str| !line.starts_with('.') || requests.iter().any(|request| line.starts_with(request));
            assert!(text.lines().all(known), "{text}");
        }
    }
}
