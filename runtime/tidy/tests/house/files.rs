//! How a file opens: with what it is, its invariant, and what it deliberately does not know.
//!
//! Invariant: every Rust file has a header; tests, benches and short lists of modules need only its first line.
//!
//! Does not know: whether the header is true; the reviewer does.

use wattest_tidy::report::Report;
use wattest_tidy::source::Source;
use wattest_tidy::tree::tree;

/// A file this short that declares modules needs only the noun phrase.
const MODULE_LIST_CODE_LINES_MAX: usize = 20;

#[test]
fn files_open_with_their_header() {
    let mut report = Report::default();
    for source in &tree().sources {
        let header: Vec<&str> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let Some(first) = header.first() else {
            report.at(&source.path, 1, "does not open with `//!`");
            continue;
        };
        if first.trim_start_matches("//!").trim().is_empty() {
            report.at(&source.path, 1, "the first line of its header says nothing");
        }
        if needs_only_a_phrase(source) {
            continue;
        }
        let header = header.join("\n");
        for part in ["Invariant", "Does not know"] {
            if !header.contains(part) {
                report.at(&source.path, 1, format!("its header has no `{part}: …`"));
            }
        }
    }
    report.finish(
        "open the file with `//! A noun phrase: what it is.`, what it promises (with a link to the section of the \
         specification), `//! Invariant: …` and `//! Does not know: …`",
    );
}

fn needs_only_a_phrase(source: &Source) -> bool {
    let is_test =
        ["/tests/", "/benches/", "/examples/", "/fuzz_targets/"].iter().any(|part| source.path.contains(part))
            || source.path.starts_with("fuzz/fuzz_targets/")
            || source.path.ends_with("/tests.rs");
    is_test || (source.code_lines() <= MODULE_LIST_CODE_LINES_MAX && source.functions().is_empty())
}
