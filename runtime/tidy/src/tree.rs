//! The repository's files, as the rules see them: everything that `.gitignore` does not name.
//!
//! Invariant: files come sorted by path, whatever order the directories are listed in.
//!
//! Does not know: git; a tree unpacked from an archive is judged the same way.

use crate::source::Source;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A text file.
#[derive(Debug)]
pub struct TextFile {
    /// Path from the root, with forward slashes.
    pub path: String,
    /// Its text; empty when it is not UTF-8.
    pub text: String,
}

/// All files of the repository.
#[derive(Debug)]
pub struct Tree {
    /// The folder the paths start from.
    pub root: PathBuf,
    /// Rust files.
    pub sources: Vec<Source>,
    /// All other files.
    pub others: Vec<TextFile>,
}

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's root");
    Tree::read(root)
});

/// The repository this crate lies in, read once.
#[must_use]
pub fn tree() -> &'static Tree {
    &TREE
}

impl Tree {
    /// Reads everything under `root`.
    ///
    /// # Panics
    /// When a directory or file cannot be read: the rules would be checked on half a tree.
    #[must_use]
    pub fn read(root: PathBuf) -> Tree {
        let ignored = Ignored::read(&root);
        let mut paths = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(root.join(&folder)).expect("a readable folder") {
                let entry = entry.expect("a readable entry");
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if ignored.has(&path) {
                    continue;
                }
                let kind = entry.file_type().expect("an entry's type");
                if kind.is_dir() { pending.push(path) } else { paths.push(path) }
            }
        }
        paths.sort();
        let mut tree = Tree { root, sources: Vec::new(), others: Vec::new() };
        for path in paths {
            let Ok(bytes) = fs::read(tree.root.join(&path)) else { continue }; // an editor's file that has just gone
            let text = String::from_utf8(bytes).unwrap_or_default();
            if path.ends_with(".rs") {
                tree.sources.push(Source::new(path, text));
            } else {
                tree.others.push(TextFile { path, text });
            }
        }
        tree
    }

    /// The text of a file that is not Rust.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.others.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// A Rust file.
    #[must_use]
    pub fn source(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == path)
    }

    /// The Rust files under a folder.
    pub fn sources_under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Source> + 'a {
        self.sources.iter().filter(move |source| source.path.starts_with(folder))
    }

    /// Every path, Rust or not.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let sources = self.sources.iter().map(|source| source.path.as_str());
        sources.chain(self.others.iter().map(|file| file.path.as_str()))
    }

    /// Every file's path and text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let sources = self.sources.iter().map(|source| (source.path.as_str(), source.text.as_str()));
        sources.chain(self.others.iter().map(|file| (file.path.as_str(), file.text.as_str())))
    }
}

/// The rows of `.gitignore`, which has only two forms: a name at any depth, and a path from the root.
struct Ignored {
    rows: Vec<String>,
}

impl Ignored {
    fn read(root: &Path) -> Ignored {
        let text = fs::read_to_string(root.join(".gitignore")).expect(".gitignore");
        let rows = text.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#'));
        let rows = rows.map(|row| row.trim_end_matches('/').to_owned());
        Ignored { rows: rows.chain([".git".to_owned()]).collect() }
    }

    fn has(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.rows.iter().any(|row| match row.strip_prefix('/') {
            Some(anchored) => anchored == path,
            None => row == name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[&str], path: &str, expected: bool) {
        let ignored = Ignored { rows: rows.iter().map(|row| (*row).to_owned()).collect() };
        assert_eq!(ignored.has(path), expected, "{path} under {rows:?}");
    }

    #[test]
    fn ignored_paths() {
        check(&["target"], "fuzz/target", true);
        check(&["target"], "fuzz/targets", false);
        check(&["/fuzz/corpus"], "fuzz/corpus", true);
        check(&["/fuzz/corpus"], "runtime/fuzz/corpus", false);
    }
}
