//! The compile cache: compiled code by the content it was compiled from.
//!
//! An entry's name is the hash of the module's bytes and of what the engine's code depends on; its content is an
//! artifact as `wattest compile` writes it, used in place.
//!
//! Invariant: the folder is private to the user (mode 0700), an entry is complete or absent (it is written beside and
//! renamed), and the whole stays below [`BYTES_MAX`]. A cache that cannot be used is as if it were not there.
//!
//! Does not know: which modules are worth caching.

use crate::load::Loaded;
use crate::precompiled;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wattest::component::Component;
use wattest::{Engine, Module};

/// Most bytes the cache takes; beyond, the oldest entries go until half of it is free.
const BYTES_MAX: u64 = 1 << 30;

/// Where a module's compiled code is, or would be.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
}

/// The entry for a module compiled by an engine; `None` when there is no usable cache.
pub fn entry(engine: &Engine, wasm: &[u8]) -> Option<Entry> {
    let folder = the_folder()?;
    let mut hasher = blake3::Hasher::new();
    let compatibility = engine.compatibility();
    hasher.update(&(compatibility.len() as u64).to_le_bytes());
    hasher.update(&compatibility);
    hasher.update(wasm);
    Some(Entry { path: folder.join(hasher.finalize().to_hex().as_str()) })
}

/// The cache's folder, if there is one that can be used.
pub fn the_folder() -> Option<PathBuf> {
    folder(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
}

/// Entries with their sizes in bytes, by name.
pub fn entries() -> Vec<(PathBuf, u64)> {
    let listing = the_folder().and_then(|folder| fs::read_dir(folder).ok());
    // An entry's name is a hash.
    let is_entry = |name: &OsString| name.len() == 64 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
    let files = listing.into_iter().flatten().flatten().filter(|entry| is_entry(&entry.file_name()));
    let mut entries: Vec<_> = files.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len()))).collect();
    entries.sort();
    entries
}

/// The cache's folder, made if need be; `None` unless it is the user's own and nobody else's.
fn folder(cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |value: Option<OsString>| value.map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(cache_home).or_else(|| absolute(home).map(|home| home.join(".cache")))?;
    let folder = base.join("wattest");
    let metadata = match fs::symlink_metadata(&folder) {
        Ok(metadata) => metadata,
        Err(_) => {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
            fs::symlink_metadata(&folder).ok()?
        }
    };
    let own = metadata.is_dir() && metadata.mode() & 0o077 == 0 && metadata.uid() == user()?;
    own.then_some(folder)
}

/// The user that this process acts for.
fn user() -> Option<u32> {
    Some(fs::metadata("/proc/self").ok()?.uid())
}

impl Entry {
    /// The compiled module, if it is there and fits the engine.
    pub fn load(&self, engine: &Engine) -> Option<Module> {
        // Asked first, since a module that was never compiled is the common case and no error.
        if !self.path.exists() {
            return None;
        }
        let module = precompiled::load_cached(engine, &self.path).ok();
        if module.is_none() {
            let _ = fs::remove_file(&self.path);
        }
        module
    }

    /// The compiled component, if all of it is there and fits the engine.
    pub fn load_component(&self, engine: &Engine) -> Option<Component> {
        let description = fs::read(&self.path).ok()?;
        let component = precompiled::load_cached_component(engine, &description, |number| self.part(number)).ok();
        if component.is_none() {
            let _ = fs::remove_file(&self.path);
        }
        component
    }

    /// Where a component's module is kept.
    fn part(&self, number: usize) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.path.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.update(&(number as u64).to_le_bytes());
        self.path.with_file_name(hasher.finalize().to_hex().as_str())
    }

    /// Keeps what was compiled. Not being able to is nobody's concern.
    pub fn store(&self, loaded: &Loaded) {
        match loaded {
            Loaded::Module(module) => {
                let Ok(artifact) = module.serialize() else { return };
                self.write(artifact.len(), [(&self.path, artifact)]);
            }
            Loaded::Component(component) => {
                let Ok((description, modules)) = component.serialize_parts() else { return };
                let total = description.len() + modules.iter().map(Vec::len).sum::<usize>();
                let paths: Vec<_> = (0..modules.len()).map(|number| self.part(number)).collect();
                // The description last: whoever finds it finds the modules.
                self.write(total, paths.iter().zip(modules).chain([(&self.path, description)]));
            }
        }
    }

    fn write<'a>(&self, total: usize, files: impl IntoIterator<Item = (&'a PathBuf, Vec<u8>)>) {
        let Some(folder) = self.path.parent() else { return };
        make_room(folder, total as u64, BYTES_MAX);
        for (path, bytes) in files {
            if write_atomically(path, &bytes).is_err() {
                return;
            }
        }
    }
}

/// Writes a file beside its place, then puts it there.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// Removes the oldest entries when `incoming` bytes would not fit.
fn make_room(folder: &Path, incoming: u64, bytes_max: u64) {
    let Ok(listing) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = listing
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.mtime(), metadata.mtime_nsec(), entry.path(), metadata.len()))
        })
        .collect();
    let mut total = entries.iter().map(|entry| entry.3).sum::<u64>().saturating_add(incoming);
    if total <= bytes_max {
        return;
    }
    entries.sort();
    for (_, _, path, bytes) in entries {
        if total <= bytes_max / 2 {
            break;
        }
        if fs::remove_file(path).is_ok() {
            total -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_folder_is_private() {
        let temp = tempfile::tempdir().unwrap();
        let home = Some(temp.path().as_os_str().to_owned());
        let expected = temp.path().join(".cache/wattest");
        assert_eq!(folder(None, home.clone()), Some(expected.clone()));
        assert_eq!(folder(Some("relative".into()), home.clone()), Some(expected.clone()));
        assert_eq!(folder(home.clone(), None), Some(temp.path().join("wattest")));
        assert_eq!(folder(None, None), None);
        fs::set_permissions(&expected, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(folder(None, home), None);
    }

    #[test]
    fn the_oldest_entries_make_room() {
        let temp = tempfile::tempdir().unwrap();
        for (name, seconds) in [("old", 100), ("middle", 200), ("new", 300)] {
            let path = temp.path().join(name);
            write_atomically(&path, &[0; 10]).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        make_room(temp.path(), 5, 35);
        assert_eq!(names(), ["middle", "new", "old"]);
        make_room(temp.path(), 5, 34);
        assert_eq!(names(), ["new"]);
    }
}
