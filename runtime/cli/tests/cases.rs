//! The command, driven by files.
//!
//! Every file of `cases/` says in its comments how to run the command (`RUN: run {file} 1 2`) and on what (`STDIN: text`,
//! `FILE: name text`, for all runs after them); what came out is compared with the blessed output beside it.
//! `UPDATE=1 cargo test -p wattest-cli --test cases` blesses anew.
//!
//! Invariant: `{file}` stands for the case, `{cases}` for its folder, `{dir}` for a fresh folder per case, in commands and
//! in outputs, so that outputs are the same everywhere.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// The instructions of a case, in order: keyword and text.
fn instructions(text: &str) -> Vec<(String, String)> {
    let keywords = ["RUN", "STDIN", "FILE"];
    text.lines()
        .filter_map(|line| line.trim_start_matches([';', '#', ' ']).split_once(": "))
        .filter(|(keyword, _)| keywords.contains(keyword))
        .map(|(keyword, text)| (keyword.to_owned(), text.replace("\\n", "\n")))
        .collect()
}

/// Runs the command; a transcript of it.
fn transcript(case: &Path, dir: &Path, words: &str, stdin: &str) -> String {
    let place = |path: &Path| path.display().to_string();
    let fill = |word: &str| {
        word.replace("{file}", &place(case)).replace("{cases}", &place(&folder())).replace("{dir}", &place(dir))
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_wattest"))
        .args(words.split_whitespace().map(fill))
        .env_clear()
        .env("HOME", dir)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let blank = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .replace(&place(case), "{file}")
            .replace(&place(&folder()), "{cases}")
            .replace(&place(dir), "{dir}")
    };
    let mut text = format!("$ wattest {words}\n");
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        for line in blank(bytes).lines() {
            text.push_str(format!("{name}: {line}").trim_end());
            text.push('\n');
        }
    }
    text.push_str(&format!("status: {}\n", output.status.code().map_or("signal".to_owned(), |code| code.to_string())));
    text
}

/// Runs a case; what it printed.
fn outcome(case: &Path) -> String {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(case).unwrap();
    let mut stdin = String::new();
    let mut transcripts = Vec::new();
    for (keyword, text) in instructions(&text) {
        match keyword.as_str() {
            "RUN" => transcripts.push(transcript(case, dir.path(), &text, &stdin)),
            "STDIN" => stdin = text,
            _ => {
                let (name, contents) = text.split_once(' ').unwrap_or((&text, ""));
                std::fs::write(dir.path().join(name), contents).unwrap();
            }
        }
    }
    transcripts.join("\n")
}

#[test]
fn cases_print_what_was_blessed() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "expected"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    let mut differing = Vec::new();
    for case in &cases {
        let actual = outcome(case);
        assert!(!actual.is_empty(), "{} has no RUN line", case.display());
        let blessed = PathBuf::from(format!("{}.expected", case.display()));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&blessed, &actual).unwrap();
        } else if std::fs::read_to_string(&blessed).unwrap_or_default() != actual {
            differing.push(format!("{}:\n{actual}", case.display()));
        }
    }
    assert!(differing.is_empty(), "not as blessed (UPDATE=1 blesses anew):\n{}", differing.join("\n"));
}
