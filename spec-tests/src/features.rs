//! Feature sets of suite folders.
//!
//! A folder of the official suite presumes one set of proposals ([proposals](https://github.com/WebAssembly/proposals)):
//! its root is uniformly WebAssembly 3.0, a folder under `proposals/` may even need later features to be off. Features are
//! spelled as text so that every engine can map them to its own.
//!
//! Invariant: the first row of [`FOLDERS`] whose prefix a file's name has decides; the last row of each suite is the suite.
//!
//! Does not know: which proposals an engine implements.

use std::collections::BTreeSet;

/// WebAssembly 2.0.
const WASM2: &[&str] = &[
    "mutable-global",
    "saturating-float-to-int",
    "sign-extension",
    "multi-value",
    "reference-types",
    "bulk-memory",
    "simd",
];

/// What WebAssembly 3.0 added.
const WASM3: &[&str] = &[
    "relaxed-simd",
    "tail-call",
    "extended-const",
    "multi-memory",
    "memory64",
    "function-references",
    "gc",
    "exceptions",
];

/// A folder and its features.
struct Folder {
    prefix: &'static str,
    /// How a report groups the folder's files.
    group: &'static str,
    base: &'static [&'static [&'static str]],
    with: &'static [&'static str],
    without: &'static [&'static str],
}

const fn folder(prefix: &'static str, group: &'static str, with: &'static [&'static str]) -> Folder {
    Folder { prefix, group, base: &[WASM2, WASM3], with, without: &[] }
}

/// Longest prefixes first.
const FOLDERS: &[Folder] = &[
    Folder {
        prefix: "spec/proposals/threads/",
        group: "threads",
        base: &[WASM2],
        with: &["threads"],
        // memory.wast expects a second memory to be invalid, imports.wast a second table.
        without: &["reference-types"],
    },
    folder("spec/proposals/wide-arithmetic/", "wide-arithmetic", &["wide-arithmetic"]),
    folder("spec/proposals/custom-page-sizes/", "custom-page-sizes", &["custom-page-sizes"]),
    folder("spec/proposals/custom-descriptors/", "custom-descriptors", &["custom-descriptors"]),
    folder("spec/legacy/", "legacy", &["legacy-exceptions"]),
    folder("spec/custom/", "custom sections", &[]),
    folder("spec/", "WebAssembly 3.0", &[]),
    folder("spec-extra/", "WebAssembly 3.0", &[]),
    folder("own/components/", "component-model", &["component-model"]),
    folder(
        "own/",
        "own",
        &["threads", "wide-arithmetic", "custom-page-sizes", "legacy-exceptions", "custom-descriptors"],
    ),
    folder("component-model/", "component-model", &["component-model"]),
];

/// A set of features by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureSet(BTreeSet<String>);

impl FeatureSet {
    /// The features that the suite file `name` (`spec/proposals/threads/atomic.wast`) presumes.
    ///
    /// ```
    /// use wattest_spec_tests::FeatureSet;
    /// let set = FeatureSet::of_file("spec/proposals/threads/atomic.wast").unwrap();
    /// assert!(set.contains("threads") && !set.contains("reference-types"));
    /// assert_eq!(FeatureSet::of_file("elsewhere/x.wast"), None);
    /// ```
    pub fn of_file(name: &str) -> Option<FeatureSet> {
        let row = folder_of(name)?;
        let names = row.base.iter().copied().flatten().chain(row.with).filter(|name| !row.without.contains(name));
        Some(names.copied().collect())
    }

    /// Whether the set has `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for FeatureSet {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> FeatureSet {
        FeatureSet(names.into_iter().map(Into::into).collect())
    }
}

/// How a report groups the suite file `name`.
pub fn group_of_file(name: &str) -> &'static str {
    folder_of(name).map_or("other", |row| row.group)
}

fn folder_of(name: &str) -> Option<&'static Folder> {
    FOLDERS.iter().find(|row| name.starts_with(row.prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, on: &[&str], off: &[&str]) {
        let set = FeatureSet::of_file(name).unwrap();
        assert!(on.iter().all(|feature| set.contains(feature)), "{name}: {set:?}");
        assert!(!off.iter().any(|feature| set.contains(feature)), "{name}: {set:?}");
    }

    #[test]
    fn folders_have_their_features() {
        check("spec/i32.wast", &["gc", "simd", "exceptions"], &["threads", "stack-switching", "wide-arithmetic"]);
        check("spec/proposals/threads/memory.wast", &["threads", "simd"], &["multi-memory", "gc", "reference-types"]);
        check("spec/proposals/wide-arithmetic/x.wast", &["wide-arithmetic", "gc"], &["threads"]);
        check("spec-extra/memory_grow.wast", &["memory64"], &["threads"]);
    }
}
