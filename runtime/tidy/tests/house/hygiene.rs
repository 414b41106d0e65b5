//! What no line may contain: tests that do not run, code that is not there, order that comes from a hash, one machine's
//! paths.
//!
//! Invariant: code is searched without its comments and literals, comments without the code.
//!
//! Does not know: types; a hash map behind an alias of its own is found only by its name.

use wattest_tidy::report::{Exempt, Report};
use wattest_tidy::source::whole_words;
use wattest_tidy::tree::tree;

const LIST: &str = "runtime/tidy/tests/house/hygiene.rs";

/// Code, and why not.
const FORBIDDEN_CODE: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run proves nothing: make it pass, or list it as an expected failure"),
    ("should_panic", "assert on the error instead: a panic for another reason would pass too"),
    ("todo!", "write it, or return a typed error that says what is missing"),
    ("unimplemented!", "write it, or return a typed error that says what is missing"),
    ("dbg!", "remove it"),
    ("thread::sleep", "wait for the event, not for time"),
];

/// Files that may contain one of them.
const FORBIDDEN_CODE_EXEMPT: &[Exempt] = &[];

#[test]
fn no_forbidden_code() {
    let mut report = Report::default();
    for source in &tree().sources {
        for (code, why) in FORBIDDEN_CODE {
            for line in source.lines_with(code) {
                report.at(&source.path, line, format!("`{code}`: {why}"));
            }
        }
    }
    report.exempt(LIST, FORBIDDEN_CODE_EXEMPT);
    report.finish("see each line");
}

#[test]
fn what_is_missing_is_explained() {
    let mut report = Report::default();
    for source in &tree().sources {
        for word in ["FIXME", "XXX", "HACK"] {
            for at in whole_words(&source.comments, word) {
                report.at(&source.path, source.line_at(at), format!("{word}: mend it, or explain it as a TODO"));
            }
        }
        let lines: Vec<&str> = source.comments.lines().collect();
        for at in whole_words(&source.comments, "TODO") {
            let line = source.line_at(at);
            let paragraph = lines[line - 1..].iter().take(4).take_while(|text| !text.trim().is_empty());
            if !paragraph.into_iter().any(|text| text.to_lowercase().contains("until ")) {
                report.at(&source.path, line, "TODO without `until then …`");
            }
        }
    }
    report.finish("write `TODO: what is missing. Until then: what happens`, or write what is missing");
}

#[test]
fn lints_are_silenced_with_a_reason() {
    let mut report = Report::default();
    for source in &tree().sources {
        for attribute in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in source.code.match_indices(attribute) {
                let text = source.code[at..].split(']').next().unwrap_or_default();
                if !text.contains("reason") {
                    report.at(&source.path, source.line_at(at), format!("`{attribute}…` without a reason"));
                }
            }
        }
    }
    report.finish("mend what the lint found, or write `#[expect(lint, reason = \"…\")]`");
}

#[test]
fn hash_order_reaches_no_output() {
    let mut report = Report::default();
    for source in tree().sources.iter().filter(|source| !is_test(&source.path)) {
        let hash = |text: &str| text.contains("HashMap") || text.contains("HashSet");
        if let Some(line) = source.code.lines().position(hash)
            && !source.comments.contains("ORDER:")
        {
            report.at(&source.path, line + 1, "a hash map or set without an `// ORDER:` comment");
        }
    }
    report.finish(
        "use BTreeMap, BTreeSet or an index-keyed Vec; if it must hash, say in one `// ORDER: …` comment of the file why \
         no iteration order can be seen",
    );
}

/// Where target-dependent code may stand.
const TARGET_PLACES: &[&str] = &["runtime/vm/src/sys/", "runtime/vm/src/sys.rs", "runtime/compile/src/unwind.rs"];

#[test]
fn the_target_is_known_in_one_place() {
    let mut report = Report::default();
    for source in tree().sources.iter().filter(|source| !is_test(&source.path)) {
        if TARGET_PLACES.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for word in ["target_os", "target_arch", "target_vendor", "target_env"] {
            for at in source.words(word) {
                let line = source.line_at(at);
                let text = source.code.lines().nth(line - 1).unwrap_or_default();
                if !text.contains("cfg(all(test") {
                    report.at(&source.path, line, format!("`{word}` outside {}", TARGET_PLACES.join(", ")));
                }
            }
        }
    }
    report.finish("ask runtime/vm/src/sys for what differs between targets");
}

/// Words that speak of one desk instead of Wattest.
const DESK_WORDS: &[&str] = &[
    "/work/",
    "/root/",
    "/home/",
    "this session",
    "last session",
    "previous session",
    "next session",
    "work session",
    "helper agent",
    "subagent",
    "crates.io",
    "pypi.org",
    "npmjs.com",
    "npmjs.org",
];

/// Files that may say one of them.
const DESK_WORDS_EXEMPT: &[Exempt] = &[Exempt { place: LIST, reason: "the list itself" }];

#[test]
fn the_repository_speaks_of_wattest_alone() {
    let mut report = Report::default();
    for (path, text) in tree().texts().filter(|(path, _)| !path.ends_with("Cargo.lock")) {
        let lowercase = text.to_ascii_lowercase();
        for word in DESK_WORDS {
            for at in whole_words(&lowercase, word) {
                let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                report.at(path, line, format!("says `{word}`"));
            }
        }
    }
    report.exempt(LIST, DESK_WORDS_EXEMPT);
    report.finish(
        "say it so that it is true on every machine; where the word is the subject's own, add a row with a reason",
    );
}

fn is_test(path: &str) -> bool {
    ["/tests/", "/benches/", "/examples/"].iter().any(|part| path.contains(part)) || path.ends_with("/tests.rs")
}
