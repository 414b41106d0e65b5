//! Documents that stay true: every package described, no dead link, no path that is gone.
//!
//! Invariant: a path in a document exists, unless it holds a placeholder.
//!
//! Does not know: links to the outside; it never asks the network.

use wattest_tidy::packages::packages;
use wattest_tidy::report::Report;
use wattest_tidy::tree::{TextFile, tree};

const ARCHITECTURE: &str = "runtime/ARCHITECTURE.md";

#[test]
fn the_architecture_names_every_package() {
    let mut report = Report::default();
    let text = tree().text(ARCHITECTURE).unwrap_or_default();
    let blocks: Vec<&str> = text.split("\n\n").flat_map(table_rows).collect();
    for package in packages() {
        let names = [format!("`{}`", package.folder), format!("`{}`", package.name)];
        let about: Vec<&&str> = blocks.iter().filter(|block| names.iter().any(|name| block.contains(name))).collect();
        if about.is_empty() {
            report.at(ARCHITECTURE, 1, format!("does not name {}", names[0]));
        } else if !about.iter().any(|block| says_what_it_does_not_know(block)) {
            report.at(ARCHITECTURE, 1, format!("does not say what {} does not know", names[0]));
        }
    }
    report.finish(
        "give each package a paragraph or a table row that names its folder in backticks and says `does not know …` or \
         `knows nothing of …`",
    );
}

fn table_rows(block: &str) -> Vec<&str> {
    let is_list = block.trim_start().starts_with(['|', '-', '*']);
    if is_list { block.split_inclusive('\n').collect() } else { vec![block] }
}

fn says_what_it_does_not_know(block: &str) -> bool {
    let block = block.to_lowercase();
    ["not know", "knows no", "know no"].iter().any(|phrase| block.contains(phrase))
}

#[test]
fn links_and_paths_exist() {
    let mut report = Report::default();
    for file in tree().others.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in file.text.lines().enumerate() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                check_link(&mut report, file, index + 1, link);
            }
            for path in line.split('`').skip(1).step_by(2) {
                check_path(&mut report, file, index + 1, path);
            }
        }
    }
    report.finish("correct the path, or remove the sentence with what it spoke of");
}

fn check_link(report: &mut Report, file: &TextFile, line: usize, link: &str) {
    let target = link.split('#').next().unwrap_or_default();
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return;
    }
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if !tree().root.join(folder).join(target).exists() {
        report.at(&file.path, line, format!("dead link `{link}`"));
    }
}

/// Checks text in backticks that looks like a path from the repository's root.
fn check_path(report: &mut Report, file: &TextFile, line: usize, path: &str) {
    let top = path.split('/').next().unwrap_or_default();
    let is_path =
        path.contains('/') && ["runtime", "differential", "spec-tests", "fuzz", "oss-fuzz", ".ci"].contains(&top);
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let ignored = ["spec-tests/suites", "fuzz/corpus", "fuzz/artifacts", "fuzz/coverage"];
    if is_path && plain && !ignored.iter().any(|row| path.starts_with(row)) && !tree().root.join(path).exists() {
        report.at(&file.path, line, format!("`{path}` does not exist"));
    }
}
