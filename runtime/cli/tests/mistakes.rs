//! Fifteen common mistakes, and what `wattest` and Wasmtime say of each: the table `mistakes.md` of the book.
//!
//! `UPDATE=1 cargo test -p wattest-cli --test mistakes` writes it anew from runs of both; the command that
//! `WATTEST_WASMTIME` names stands for Wasmtime, else one in `PATH`.
//!
//! Invariant: what the page quotes of `wattest` is what it says now. Wasmtime's half is compared when there is one of the
//! version that the page names.
//!
//! Does not know: which text is better.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// A mistake: what it is, the file that it is made with, and the words after the command.
struct Mistake {
    title: &'static str,
    text: &'static str,
    words: &'static [&'static str],
}

const fn mistake(title: &'static str, text: &'static str, words: &'static [&'static str]) -> Mistake {
    Mistake { title, text, words }
}

const HELLO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
"#;
const LIBRARY: &str = r#"(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
"#;
const COMPONENT: &str = r#"(component
  (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
"#;

const MISTAKES: &[Mistake] = &[
    mistake("a file that is not there", HELLO, &["run", "porgram.wat"]),
    mistake("an option that does not exist", HELLO, &["run", "--dri", ".", "program.wat"]),
    mistake("a library is run as a program", LIBRARY, &["run", "program.wat"]),
    mistake("an export that does not exist", LIBRARY, &["run", "--invoke", "addd", "program.wat", "1", "2"]),
    mistake("an argument too few", LIBRARY, &["run", "--invoke", "add", "program.wat", "1"]),
    mistake("an argument that is no number", LIBRARY, &["run", "--invoke", "add", "program.wat", "1", "two"]),
    mistake(
        "a component's function with arguments of other types",
        COMPONENT,
        &["run", "--invoke", "add(1, \"two\")", "program.wat"],
    ),
    mistake("a component's function that does not exist", COMPONENT, &["run", "--invoke", "ad(1, 2)", "program.wat"]),
    mistake(
        "imports that nothing provides",
        "(module\n  (import \"env\" \"emscripten_date_now\" (func (result f64)))\n  (import \"env\" \"log\" (func (param i32)))\n  (func (export \"_start\")))\n",
        &["run", "program.wat"],
    ),
    mistake(
        "a misspelt function of WASI",
        "(module\n  (import \"wasi_snapshot_preview1\" \"fd_wirte\" (func (param i32 i32 i32 i32) (result i32)))\n  (func (export \"_start\")))\n",
        &["run", "program.wat"],
    ),
    mistake(
        "a function body that is not valid",
        "(module\n  (func $sum (export \"sum\") (param i32) (result i32)\n    local.get 0\n    f32.const 1\n    i32.add))\n",
        &["run", "program.wat"],
    ),
    mistake("text that does not parse", "(module\n  (func (i32.cosnt 1)))\n", &["run", "program.wat"]),
    mistake("a file that is not WebAssembly", "hello\n", &["run", "program.wat"]),
    mistake(
        "a trap: an access out of bounds",
        "(module\n  (memory 1)\n  (func $read (param i32) (result i32) (i32.load (local.get 0)))\n  (func (export \"_start\") (drop (call $read (i32.const 65534)))))\n",
        &["run", "program.wat"],
    ),
    mistake(
        "a recursion without end",
        "(module\n  (func $forever (export \"_start\") (call $forever) (call $forever)))\n",
        &["run", "program.wat"],
    ),
];

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/mistakes.md")
}

fn wasmtime() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("WATTEST_WASMTIME") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("wasmtime")).find(|path| path.is_file())
}

/// `wasmtime 48.0.8`, without the hash of the commit.
fn version(wasmtime: &Path) -> Option<String> {
    let output = Command::new(wasmtime).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// What a command says of a mistake, and its status.
fn said(command: &Path, mistake: &Mistake) -> Result<String, Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("program.wat"), mistake.text)?;
    let output = Command::new(command)
        .args(mistake.words)
        .env_clear()
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace(&folder.path().display().to_string(), ".");
    let text: Vec<_> = text.lines().map(str::trim_end).collect();
    let status = output.status.code().map_or("a signal".to_owned(), |code| code.to_string());
    Ok(format!("{}\n(status {status})", text.join("\n").trim_end()))
}

fn escape(text: &str) -> String {
    // Lines of a table in Markdown must not be empty.
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace("\n\n", "\n&#8203;\n")
        .replace("\n\n", "\n&#8203;\n")
}

fn cell(text: &str) -> String {
    format!("<td><pre>{}</pre></td>", escape(text))
}

/// The rows of the page: title, and both cells.
fn rows(page: &str) -> Vec<(String, String, String)> {
    let between = |text: &str, start: &str, end: &str| -> Option<String> {
        Some(text.split_once(start)?.1.split_once(end)?.0.to_owned())
    };
    let rows = page.split("<tr>").skip(2);
    rows.filter_map(|row| {
        let title = between(row, "<th>", "</th>")?;
        let mut cells = row.split("<td>").skip(1).filter_map(|cell| between(cell, "<pre>", "</pre>"));
        Some((title, cells.next()?, cells.next()?))
    })
    .collect()
}

fn write(wattest: &Path, wasmtime: &Path) -> Result<(), Failed> {
    let version = version(wasmtime).ok_or("Wasmtime does not say its version")?;
    let mut text = format!(
        "# Fifteen mistakes\n\nWhat `wattest` says of a mistake, and what `{version}` says of the same one. The words after \
         the command, and the file where it matters, are the same for both. `runtime/cli/tests/mistakes.rs` makes this page \
         from runs and holds it against them.\n\n<table>\n<tr><th>The mistake</th><th>wattest</th><th>{version}</th></tr>\n"
    );
    for mistake in MISTAKES {
        let words = mistake.words.join(" ");
        let (ours, theirs) = (said(wattest, mistake)?, said(wasmtime, mistake)?);
        text.push_str(&format!(
            "<tr>\n<th>{}</th>\n{}\n{}\n</tr>\n",
            escape(&format!("{}: {words}", mistake.title)),
            cell(&ours),
            cell(&theirs)
        ));
    }
    text.push_str("</table>\n");
    Ok(std::fs::write(page(), text)?)
}

/// The page's rows are what the commands say.
fn check(command: &Path, ours: bool) -> Result<(), Failed> {
    let text = std::fs::read_to_string(page())?;
    let rows = rows(&text);
    if rows.len() != MISTAKES.len() {
        return Err(format!("{} rows for {} mistakes", rows.len(), MISTAKES.len()).into());
    }
    for (mistake, (title, wattest, wasmtime)) in MISTAKES.iter().zip(rows) {
        let expected = escape(&format!("{}: {}", mistake.title, mistake.words.join(" ")));
        let said = escape(&said(command, mistake)?);
        if (title, if ours { wattest } else { wasmtime }) != (expected, said.clone()) {
            return Err(format!("{}: not what the page says (UPDATE=1 writes it anew):\n{said}", mistake.title).into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let wattest = PathBuf::from(env!("CARGO_BIN_EXE_wattest"));
    let found = wasmtime().and_then(|path| Some((version(&path)?, path)));
    let mut trials = Vec::new();
    match found {
        Some((_, path)) if std::env::var_os("UPDATE").is_some() => {
            trials.push(Trial::test("the page is written", move || write(&wattest, &path)));
        }
        found => {
            trials.push(Trial::test("wattest", move || check(&wattest, true)));
            let named = |version: &str| std::fs::read_to_string(page()).is_ok_and(|text| text.contains(version));
            trials.push(match found {
                Some((version, path)) if named(&version) => Trial::test("wasmtime", move || check(&path, false)),
                Some((version, _)) => skipped(&format!("wasmtime (skipped: the page is not about {version})")),
                None => skipped("wasmtime (skipped: there is none)"),
            });
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn skipped(name: &str) -> Trial {
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
