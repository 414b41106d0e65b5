//! The command line, from tables.
//!
//! A [`Command`] lists its [`Flag`]s; parsing, help and suggestions are derived from the rows. A table and a loop, rather
//! than a parser library, because the start of the process is part of what `wattest run` is measured by.
//!
//! Invariant: what follows the file of a command that passes arguments on is never looked at.
//!
//! Does not know: what flags mean.

use crate::failure::Failure;
use crate::output;
use crate::suggest::hint;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;

/// An option of a command.
#[derive(Debug)]
pub struct Flag {
    /// `--name`.
    pub name: &'static str,
    /// `-c`.
    pub short: Option<char>,
    /// What its value is called; none for a switch.
    pub value: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// A subcommand.
#[derive(Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What comes after the options.
    pub operands: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Its options, in groups.
    pub flags: &'static [&'static [Flag]],
    /// Whether everything after the first operand belongs to the guest.
    pub passes_arguments: bool,
    /// Runs it; the status to end with.
    pub run: fn(&Parsed) -> Result<u8, Failure>,
}

/// What was found on a command line.
#[derive(Debug, Default)]
pub struct Parsed {
    values: Vec<(&'static str, OsString)>,
    /// What is not an option.
    pub operands: Vec<OsString>,
}

impl Parsed {
    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(flag, _)| *flag == name)
    }

    /// The values of an option, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsStr> {
        self.values.iter().filter(move |(flag, _)| *flag == name).map(|(_, value)| value.as_os_str())
    }

    /// The values of an option as text.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, Failure> {
        let text = |value: &'_ OsStr| -> Result<(), Failure> {
            Err(Failure::usage(format!("the value of --{name} is not UTF-8: {}", value.display())))
        };
        let mut texts = Vec::new();
        for (_, value) in self.values.iter().filter(|(flag, _)| *flag == name) {
            match value.to_str() {
                Some(value) => texts.push(value),
                None => text(value)?,
            }
        }
        Ok(texts)
    }

    /// The last value of an option as text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        Ok(self.texts(name)?.pop())
    }

    /// The only operand.
    pub fn operand(&self, command: &Command) -> Result<&OsStr, Failure> {
        match self.operands.as_slice() {
            [operand] => Ok(operand),
            _ => Err(Failure::usage(format!("`wattest {}` takes one file{}", command.name, see_help(command)))),
        }
    }
}

fn see_help(command: &Command) -> String {
    format!(
        "\nusage: wattest {} [OPTIONS] {}\n(`wattest help {}` explains)",
        command.name, command.operands, command.name
    )
}

/// Finds the command and reads its options. Help is a command that prints and succeeds.
pub fn parse(
    commands: &'static [&'static Command],
    mut words: Vec<OsString>,
) -> Result<(&'static Command, Parsed), Failure> {
    let Some(first) = words.first().cloned() else {
        return Err(Failure::usage(format!("no command given\n{}", overview(commands))));
    };
    let first = first.to_string_lossy();
    match &*first {
        "help" | "--help" | "-h" => {
            let topic = words.get(1).map(|word| word.to_string_lossy().into_owned());
            let text = match topic.as_deref() {
                None | Some("help") => overview(commands),
                Some(topic) => match commands.iter().find(|command| command.name == topic) {
                    Some(command) => explain(command),
                    None => {
                        let near = hint(topic, commands.iter().map(|command| command.name));
                        let message = format!("there is no command `{topic}`{near}");
                        return Err(Failure::usage(format!("{message}\n(`wattest help` lists the commands)")));
                    }
                },
            };
            output::print(&text)?;
            return Ok((&PRINTED, Parsed::default()));
        }
        "--version" | "-V" => {
            output::print(&format!("wattest {}\n", env!("CARGO_PKG_VERSION")))?;
            return Ok((&PRINTED, Parsed::default()));
        }
        _ => {}
    }
    let command = match commands.iter().find(|command| command.name == first) {
        Some(command) => {
            words.remove(0);
            command
        }
        // `wattest FILE` and `wattest --dir . FILE` run the file.
        None if first.starts_with('-') || first.contains(['.', '/']) || std::path::Path::new(&words[0]).is_file() => {
            commands[0]
        }
        None => {
            let names = commands.iter().map(|command| command.name);
            let message = format!("no command and no file is called `{first}`{}", hint(&first, names));
            return Err(Failure::usage(format!("{message}\n(`wattest help` lists the commands)")));
        }
    };
    if words
        .iter()
        .take_while(|word| word.to_string_lossy().starts_with('-'))
        .any(|word| word == "--help" || word == "-h")
    {
        output::print(&explain(command))?;
        return Ok((&PRINTED, Parsed::default()));
    }
    Ok((command, read(command, words)?))
}

/// The command that stands for help already printed.
static PRINTED: Command =
    Command { name: "", operands: "", help: "", flags: &[], passes_arguments: false, run: |_| Ok(0) };

fn read(command: &'static Command, words: Vec<OsString>) -> Result<Parsed, Failure> {
    let mut parsed = Parsed::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            parsed.operands.extend(words);
            break;
        }
        if !text.starts_with('-') || text == "-" {
            parsed.operands.push(word);
            if command.passes_arguments {
                parsed.operands.extend(words);
                break;
            }
            continue;
        }
        let (flag, attached) = find(command, &text)?;
        let value = match (flag.value, attached) {
            (None, None) => OsString::new(),
            (None, Some(_)) => return Err(Failure::usage(format!("--{} takes no value", flag.name))),
            (Some(_), Some(value)) => value.into(),
            (Some(what), None) => words.next().ok_or_else(|| {
                Failure::usage(format!("--{} needs a value: {}{}", flag.name, what, see_help(command)))
            })?,
        };
        parsed.values.push((flag.name, value));
    }
    Ok(parsed)
}

/// The flag that a word names, and the value attached to it (`--name=value`, `-cvalue`).
fn find(command: &Command, word: &str) -> Result<(&'static Flag, Option<String>), Failure> {
    let mut flags = command.flags.iter().copied().flatten();
    let found = if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        flags.find(|flag| flag.name == name).map(|flag| (flag, value))
    } else {
        let mut letters = word.chars();
        let letter = letters.nth(1);
        let rest = letters.as_str();
        let value = (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest).to_owned());
        flags.find(|flag| flag.short.is_some() && flag.short == letter).map(|flag| (flag, value))
    };
    found.ok_or_else(|| {
        let name = word.split('=').next().unwrap_or(word);
        let names = command.flags.iter().copied().flatten().map(|flag| flag.name);
        let suggestion = crate::suggest::nearest(name.trim_start_matches('-'), names);
        let hint = suggestion.map_or_else(String::new, |name| format!("; did you mean `--{name}`?"));
        Failure::usage(format!("`wattest {}` has no option `{name}`{hint}{}", command.name, see_help(command)))
    })
}

fn overview(commands: &[&Command]) -> String {
    let mut text =
        "usage: wattest COMMAND …, or wattest [OPTIONS] FILE [ARGS…] to run a file\n\ncommands:\n".to_owned();
    for command in commands {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<11} {}", command.name, command.help);
    }
    text.push_str("  help        explain a command: wattest help COMMAND\n");
    text
}

fn explain(command: &Command) -> String {
    let mut text = format!("{}\n\nusage: wattest {} [OPTIONS] {}\n", command.help, command.name, command.operands);
    if !command.flags.is_empty() {
        text.push_str("\noptions:\n");
    }
    for flag in command.flags.iter().copied().flatten() {
        let short = flag.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
        let value = flag.value.map_or_else(String::new, |value| format!(" {value}"));
        let _ = writeln!(text, "  {short}{:<28} {}", format!("--{}{value}", flag.name), flag.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    static FLAGS: &[Flag] = &[
        Flag { name: "dir", short: None, value: Some("H[::G]"), help: "" },
        Flag { name: "opt-level", short: Some('O'), value: Some("LEVEL"), help: "" },
        Flag { name: "stats", short: None, value: None, help: "" },
    ];
    static RUN: Command =
        Command { name: "run", operands: "FILE", help: "", flags: &[FLAGS], passes_arguments: true, run: |_| Ok(0) };

    /// Options with their values, and operands.
    type Expected<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

    fn check(words: &[&str], expected: Result<Expected<'_>, &str>) {
        static COMMANDS: &[&Command] = &[&RUN];
        let parsed = parse(COMMANDS, words.iter().map(Into::into).collect());
        let actual = parsed.map(|(_, parsed)| parsed).map_err(|failure| format!("{failure:?}"));
        match (actual, expected) {
            (Ok(parsed), Ok((values, operands))) => {
                let actual: Vec<_> =
                    parsed.values.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
                assert_eq!(actual, values);
                assert_eq!(parsed.operands, operands);
            }
            (Err(actual), Err(expected)) => assert!(actual.contains(expected), "{actual}"),
            (actual, expected) => panic!("{actual:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn options_end_at_the_file() {
        check(
            &["run", "--dir", ".", "--stats", "x.wasm", "--dir", "y"],
            Ok((&[("dir", "."), ("stats", "")], &["x.wasm", "--dir", "y"])),
        );
        check(
            &["--dir=a", "-Onone", "-O", "speed", "--", "-x"],
            Ok((&[("dir", "a"), ("opt-level", "none"), ("opt-level", "speed")], &["-x"])),
        );
        check(&["x.wasm"], Ok((&[], &["x.wasm"])));
    }

    /// Every line that the harness prints for a failing case is one that this command takes.
    #[test]
    fn lines_of_the_harness_are_read() {
        let text = include_str!("../../../fuzz/harness/tests/command_lines.txt");
        let mut lines = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = shell_words(line).into_iter();
            assert_eq!(words.next().as_deref(), Some("wattest"), "{line}");
            let (command, parsed) = parse(crate::COMMANDS, words.map(Into::into).collect())
                .unwrap_or_else(|failure| panic!("{line}: {failure:?}"));
            crate::engine::config(&parsed).unwrap_or_else(|failure| panic!("{line}: {failure:?}"));
            assert_eq!(command.name == "compile", parsed.has("output"), "{line}");
            let file = parsed.operands.first().and_then(|file| file.to_str()).unwrap_or_default();
            assert!(file.starts_with("case/"), "{line}: {:?}", parsed.operands);
            lines += 1;
        }
        assert!(lines > 40, "{lines} lines");
    }

    /// Words as a shell splits them, of lines with nothing but single quotes and `\'`.
    fn shell_words(line: &str) -> Vec<String> {
        let (mut words, mut is_quoted) = (vec![String::new()], false);
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => is_quoted = !is_quoted,
                '\\' if !is_quoted => words.last_mut().unwrap().extend(chars.next()),
                ' ' if !is_quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    #[test]
    fn mistakes_are_explained() {
        check(&["run", "--dri", "."], Err("did you mean `--dir`?"));
        check(&["rnu"], Err("did you mean `run`?"));
        check(&["run", "--dir"], Err("--dir needs a value"));
        check(&["run", "--stats=1", "x"], Err("--stats takes no value"));
        check(&[], Err("no command given"));
    }
}
