//! The benchmark programs: where they are and what they have to print.

use std::fs;
use std::path::{Path, PathBuf};

/// A program of the folder `bench`.
#[derive(Debug)]
pub struct Program {
    /// Its file's name without `.wasm`.
    pub name: String,
    /// The module.
    pub wasm: PathBuf,
    /// The folder it runs in, where its input lies.
    pub folder: PathBuf,
}

/// The folder that holds the programs.
pub fn folder() -> PathBuf {
    match std::env::var_os("WATTEST_SHARED") {
        Some(shared) => PathBuf::from(shared).join("bench"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bench"),
    }
}

/// Every program whose name contains the filter, by name.
pub fn find(filter: Option<&str>) -> Vec<Program> {
    let mut programs = Vec::new();
    for folder in listing(&folder()) {
        for wasm in listing(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "wasm")) {
            let name = wasm.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if filter.is_none_or(|filter| name.contains(filter)) {
                programs.push(Program { name, wasm, folder: folder.clone() });
            }
        }
    }
    programs
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

impl Program {
    /// What the program should have printed and did not, if a file says what it should.
    pub fn complaint(&self, stdout: &Path, stderr: &Path) -> Option<String> {
        [("stdout", stdout), ("stderr", stderr)].into_iter().find_map(|(stream, found)| {
            let expected = self.expected(stream)?;
            let found = fs::read(found).unwrap_or_default();
            (expected != found).then(|| format!("its {stream} is not the expected one ({} bytes)", found.len()))
        })
    }

    fn expected(&self, stream: &str) -> Option<Vec<u8>> {
        let own = self.folder.join(format!("{}.{stream}.expected", self.name));
        fs::read(own).or_else(|_| fs::read(self.folder.join(format!("benchmark.{stream}.expected")))).ok()
    }
}
