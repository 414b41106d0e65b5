//! The book in `runtime/docs`, held against the command: what a page shows was run, and prints what the page says.
//!
//! A block `console` is a transcript: lines that begin with `$ ` are run by `sh` in a folder that the page's blocks share,
//! the lines after them are what was printed (standard output and error); a line `…` stands for any number of lines. A
//! comment `<!-- file: NAME -->` before a block makes it a file of that folder, `<!-- from: PATH -->` puts a file of `runtime`
//! there, `<!-- needs: TOOL -->` names what the transcript needs besides `wattest`: if it is not in `PATH`, the block is listed as ignored. Blocks `rust` are compiled and
//! run as documentation tests of `wattest-wasi`. `UPDATE=1 cargo test -p wattest-cli --test book` writes what was printed. `WATTEST_CLI` names another build
//! of the command, for large programs. Where a page says `127.0.0.1:8080`, a port is used that is free.
//!
//! Invariant: there is no other language than those of [`LANGUAGES`], so that no snippet goes unchecked.
//!
//! Does not know: what the pages are about, but for the table of exit codes.

use libtest_mimic::{Arguments, Failed, Trial};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src")
}

/// Languages of blocks, and whether a block has to be a file of its page.
const LANGUAGES: &[(&str, bool)] = &[
    ("console", false),
    ("rust", false),
    ("text", false),
    ("wat", true),
    ("c", true),
    ("py", true),
    ("js", true),
    ("wit", true),
];

/// Where servers of the pages listen.
const ADDRESS: &str = "127.0.0.1:8080";

/// A block between fences.
#[derive(Debug)]
struct Block {
    /// Line of its first line in the page, from 0.
    line: usize,
    language: String,
    text: String,
    file: Option<String>,
    /// Files of `runtime` that it uses.
    from: Vec<String>,
    needs: Vec<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut file, mut from, mut needs) = (None, Vec::new(), Vec::new());
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let comment = |key: &str| line.strip_prefix(&format!("<!-- {key}: "))?.strip_suffix(" -->").map(str::to_owned);
        if let Some(name) = comment("file") {
            file = Some(name);
        } else if let Some(path) = comment("from") {
            from.push(path);
        } else if let Some(tools) = comment("needs") {
            needs = tools.split_whitespace().map(str::to_owned).collect();
        } else if let Some(language) = line.strip_prefix("```") {
            let inner: Vec<_> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let text = inner.iter().map(|line| format!("{line}\n")).collect();
            let language = language.to_owned();
            blocks.push(Block {
                line: number + 1,
                language,
                text,
                file: file.take(),
                from: std::mem::take(&mut from),
                needs: std::mem::take(&mut needs),
            });
        }
    }
    blocks
}

/// The commands of a transcript, each with what it is said to print.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            // A command goes on after a backslash.
            (None, Some((command, output))) if command.ends_with('\\') && output.is_empty() => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, output))) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => {}
        }
    }
    commands
}

/// Whether what was printed is what a page says.
fn fits(said: &str, printed: &str) -> bool {
    let said: Vec<_> = said.lines().collect();
    let mut rest: Vec<_> = printed.lines().collect();
    let mut parts = said.split(|line| *line == "…").peekable();
    let Some(first) = parts.next() else { return rest.is_empty() };
    if !rest.starts_with(first) {
        return false;
    }
    rest.drain(..first.len());
    while let Some(part) = parts.next() {
        let found = match parts.peek() {
            Some(_) => rest.windows(part.len().max(1)).position(|lines| part.is_empty() || lines == part),
            None => rest.ends_with(part).then(|| rest.len() - part.len()),
        };
        let Some(at) = found.or_else(|| part.is_empty().then_some(0)) else { return false };
        rest.drain(..(at + part.len()).min(rest.len()));
    }
    said.contains(&"…") || rest.is_empty()
}

fn in_path(tool: &str) -> bool {
    let mut folders =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    folders.any(|folder| folder.join(tool).is_file())
}

/// Runs a command in `folder`; what it printed.
fn run(folder: &Path, command: &str) -> Result<String, Failed> {
    let wattest = std::env::var_os("WATTEST_CLI").map_or_else(|| env!("CARGO_BIN_EXE_wattest").into(), PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = wattest.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{}", command.replace(ADDRESS, &free))])
        .env("PATH", std::env::join_paths(folders)?)
        .env("HOME", folder)
        .env_remove("XDG_CACHE_HOME")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).replace(&folder.display().to_string(), "/disk/ada");
    let text = text.replace(&free, ADDRESS);
    // A page does not show where nothing is.
    Ok(text.lines().map(|line| format!("{}\n", line.trim_end())).collect())
}

/// Runs the transcripts of a page that can be run here; where they differ, and the page as it should be.
fn check_page(path: &Path, skipped: &dyn Fn(&Block) -> bool) -> Result<(), Failed> {
    let page = std::fs::read_to_string(path)?;
    let folder = tempfile::tempdir()?;
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let (mut wrong, mut moved) = (Vec::new(), 0_isize);
    for block in blocks(&page) {
        if let Some(file) = &block.file {
            std::fs::write(folder.path().join(file), &block.text)?;
        }
        for path in &block.from {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap_or_default()))?;
        }
        if block.language != "console" || skipped(&block) {
            continue;
        }
        let mut transcript = String::new();
        for (command, said) in commands(&block.text) {
            let printed = run(folder.path(), &command)?;
            let good = fits(&said, &printed);
            if !good {
                wrong.push(format!("{}: $ {command}\n{printed}", path.display()));
            }
            transcript.push_str(&format!("$ {command}\n{}", if good { &said } else { &printed }));
        }
        let at = block.line.saturating_add_signed(moved);
        let new: Vec<_> = transcript.lines().map(str::to_owned).collect();
        let old = block.text.lines().count();
        moved += new.len() as isize - old as isize;
        lines.splice(at..at + old, new);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, lines.join("\n") + "\n")?;
        return Ok(());
    }
    Err(format!("not what the page says (UPDATE=1 writes it anew):\n{}", wrong.join("\n")).into())
}

/// Every block has a language that is checked, and every file a page makes has one.
fn check_languages(pages: &[PathBuf]) -> Result<(), Failed> {
    for page in pages {
        for block in blocks(&std::fs::read_to_string(page)?) {
            let row = LANGUAGES.iter().find(|(language, _)| *language == block.language);
            let place = format!("{}:{}", page.display(), block.line);
            let Some((_, is_file)) = row else {
                return Err(format!("{place}: nothing checks {:?}", block.language).into());
            };
            if *is_file && block.file.is_none() {
                return Err(
                    format!("{place}: a block of {} has to be a file that a command uses", block.language).into()
                );
            }
        }
    }
    Ok(())
}

/// Pages with Rust are documentation tests.
fn check_rust(pages: &[PathBuf]) -> Result<(), Failed> {
    let tests = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasi/src/lib.rs"))?;
    for page in pages {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let has_rust = blocks(&std::fs::read_to_string(page)?).iter().any(|block| block.language == "rust");
        if has_rust != tests.contains(&format!("docs/src/{name}")) {
            return Err(format!("{name}: pages with Rust, and only they, are listed in runtime/wasi/src/lib.rs").into());
        }
    }
    Ok(())
}

/// Every page is in the summary, and the summary names no other.
fn check_summary(pages: &[PathBuf]) -> Result<(), Failed> {
    let summary = std::fs::read_to_string(source().join("SUMMARY.md"))?;
    let linked: Vec<_> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for page in pages {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "SUMMARY.md" && !linked.contains(&name.as_str()) {
            return Err(format!("{name} is not in SUMMARY.md").into());
        }
    }
    match linked.iter().find(|name| !source().join(name).is_file()) {
        Some(name) => Err(format!("SUMMARY.md names {name}, which is not there").into()),
        None => Ok(()),
    }
}

/// The table of exit codes is that of the manual pages.
fn check_statuses() -> Result<(), Failed> {
    let manual = run(tempfile::tempdir()?.path(), "wattest man")?;
    let page = std::fs::read_to_string(source().join("exit-codes.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let rows: Vec<_> = rows.skip(1).map(|(status, text)| format!(".TP\n{status}\n{text}\n")).collect();
    let statuses = manual.split(".SH EXIT STATUS\n").nth(1).unwrap_or_default().replace("\\-", "-");
    if rows.concat() == statuses { Ok(()) } else { Err(format!("the manual says:\n{statuses}").into()) }
}

/// The book builds.
fn check_build() -> Result<(), Failed> {
    let (folder, book) = (tempfile::tempdir()?, source().join(".."));
    let output = Command::new("mdbook").arg("build").arg(book).arg("-d").arg(folder.path()).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() && folder.path().join("index.html").is_file() {
        true => Ok(()),
        false => Err(text.into()),
    }
}

fn main() -> ExitCode {
    let mut pages: Vec<PathBuf> = std::fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    let mut trials = Vec::new();
    for page in &pages {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let missing = |block: &Block| block.needs.iter().any(|tool| !in_path(tool));
        for block in blocks(&std::fs::read_to_string(page).unwrap()).iter().filter(|block| missing(block)) {
            let tools = block.needs.join(", ");
            let title = format!("{name}:{} (skipped: needs {tools})", block.line);
            trials.push(Trial::test(title, || Ok(())).with_ignored_flag(true));
        }
        let page = page.clone();
        trials.push(Trial::test(name, move || check_page(&page, &missing)));
    }
    trials.push(match in_path("mdbook") {
        true => Trial::test("the book builds", check_build),
        false => Trial::test("the book builds (skipped: needs mdbook)", || Ok(())).with_ignored_flag(true),
    });
    for (name, check) in [
        ("every block is checked", check_languages as fn(&[PathBuf]) -> Result<(), Failed>),
        ("every page with Rust is tested", check_rust),
        ("every page is in the summary", check_summary),
        ("exit codes", |_| check_statuses()),
    ] {
        let pages = pages.clone();
        trials.push(Trial::test(name, move || check(&pages)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
