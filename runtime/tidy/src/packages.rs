//! The workspace's packages and their direct dependencies, as `cargo metadata --no-deps` tells them.
//!
//! Invariant: packages come sorted by name; the libFuzzer workspace, which is one of its own, is included when it exists.
//!
//! Does not know: which arrows are allowed.

use crate::tree::tree;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// A package of the house.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder from the repository's root.
    pub folder: String,
    /// The licence field.
    pub license: String,
    /// Sorted by name.
    pub dependencies: Vec<Dependency>,
    /// Files that are roots of a crate: library, binaries, examples, tests, benches.
    pub roots: Vec<Root>,
}

/// A direct dependency.
#[derive(Debug)]
pub struct Dependency {
    /// The package depended on.
    pub name: String,
    /// Whether only tests and benches see it.
    pub dev: bool,
}

/// A crate root.
#[derive(Debug)]
pub struct Root {
    /// Its file from the repository's root.
    pub path: String,
    /// `lib`, `bin`, `test`, `bench`, `proc-macro`, `custom-build`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

static PACKAGES: LazyLock<Vec<Package>> = LazyLock::new(|| {
    let root = &tree().root;
    let mut packages = read(root, "Cargo.toml");
    if root.join("fuzz/Cargo.toml").exists() {
        packages.extend(read(root, "fuzz/Cargo.toml"));
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages
});

/// The packages, asked for once.
#[must_use]
pub fn packages() -> &'static [Package] {
    &PACKAGES
}

fn read(root: &Path, manifest: &str) -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root.join(manifest))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata of {manifest}: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    rows(&metadata["packages"]).map(|package| read_package(root, package)).collect()
}

fn read_package(root: &Path, package: &Value) -> Package {
    let manifest = relative(root, &package["manifest_path"]);
    // Planted faults, and what a fuzzer is told, exist only in builds under their own flags; anything may ask there.
    let switch = |dependency: &&Value| {
        ["cfg(wattest_mutants)", "cfg(fuzzing)"].contains(&text(&dependency["target"]).as_str())
            && text(&dependency["name"]) == "wattest-abi"
    };
    let mut dependencies: Vec<Dependency> = rows(&package["dependencies"])
        .filter(|dependency| !switch(dependency))
        .map(|dependency| Dependency { name: text(&dependency["name"]), dev: text(&dependency["kind"]) == "dev" })
        .collect();
    dependencies.sort_by(|a, b| a.name.cmp(&b.name));
    let roots = rows(&package["targets"]).map(|target| Root {
        path: relative(root, &target["src_path"]),
        kind: rows(&target["kind"]).next().map(text).unwrap_or_default(),
        name: text(&target["name"]),
    });
    Package {
        name: text(&package["name"]),
        folder: manifest.trim_end_matches("Cargo.toml").trim_end_matches('/').to_owned(),
        license: text(&package["license"]),
        dependencies,
        roots: roots.collect(),
    }
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn relative(root: &Path, path: &Value) -> String {
    let path = Path::new(path.as_str().unwrap_or_default());
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
