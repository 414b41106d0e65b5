//! Names that say nothing.
//!
//! Invariant: a file, folder or module is named after its subject.
//!
//! Does not know: English; it knows a few words that are no subject.

use wattest_tidy::report::Report;
use wattest_tidy::source::whole_words;
use wattest_tidy::tree::tree;

/// Words that name no subject.
const EMPTY_WORDS: &[&str] =
    &["util", "utils", "utilities", "helper", "helpers", "common", "misc", "manager", "shared_stuff", "stuff"];

/// Endings of type names that say nothing of the type.
const EMPTY_ENDINGS: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils"];

#[test]
fn files_are_named_after_their_subject() {
    let mut report = Report::default();
    for path in tree().paths() {
        for part in path.split('/') {
            let stem = part.split('.').next().unwrap_or(part);
            let words = stem.split(['_', '-']);
            if words.into_iter().any(|word| EMPTY_WORDS.contains(&word.to_ascii_lowercase().as_str())) {
                report.at(path, 1, format!("`{part}` names no subject"));
            }
        }
    }
    report.finish("name it after what its functions share; if they share nothing, they belong elsewhere");
}

#[test]
fn modules_and_types_are_named_after_their_subject() {
    let mut report = Report::default();
    for source in &tree().sources {
        for keyword in ["mod", "struct", "enum", "trait", "type"] {
            for at in whole_words(&source.code, keyword) {
                let rest = source.code[at + keyword.len()..].trim_start();
                let name: &str = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                let empty = match keyword {
                    "mod" => EMPTY_WORDS.contains(&name),
                    _ => EMPTY_ENDINGS.iter().any(|ending| name.ends_with(ending)),
                };
                if empty {
                    report.at(&source.path, source.line_at(at), format!("`{keyword} {name}` names no subject"));
                }
            }
        }
    }
    report.finish("name it with a noun or verb of the specification");
}
