//! WIT as it is found: files and folders, resolved, and the world in them.
//!
//! A folder is a package; its folder `deps` has packages that it needs, as files and folders
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#wit-packages-and-use)).
//!
//! Invariant: folders are read in the order of names; every file that was read is listed.
//!
//! Does not know: what is generated.

use super::options::Options;
use proc_macro2::Span;
use std::path::{Path, PathBuf};
use syn::{Error, Result};
use wit_parser::{PackageId, Resolve, SourceMap, UnresolvedPackageGroup, WorldId};

/// A world and what it needs.
pub(super) struct Source {
    pub(super) resolve: Resolve,
    pub(super) world: WorldId,
    /// Files that were read, for the compiler to watch.
    pub(super) files: Vec<String>,
}

/// Where WIT is looked for when no place is given.
const PATH_DEFAULT: &str = "wit";

/// Reads what the options name.
///
/// # Errors
///
/// A file is not there or does not parse, or there is no such world.
pub(super) fn read(options: &Options, base: &Path) -> Result<Source> {
    let mut reader = Reader { resolve: Resolve::default(), files: Vec::new() };
    reader.resolve.features.extend(options.features.iter().map(syn::LitStr::value));
    let mut main = Vec::new();
    for path in &options.paths {
        main.push(reader.package(&base.join(path.value()), path.span())?);
    }
    let span = options.inline.as_ref().map_or_else(Span::call_site, syn::LitStr::span);
    if let Some(inline) = &options.inline {
        let mut map = SourceMap::new();
        map.push_str("inline", inline.value());
        main = vec![reader.push(parse(map, span)?, Vec::new(), span)?];
    } else if main.is_empty() {
        main.push(reader.package(&base.join(PATH_DEFAULT), span)?);
    }
    let Reader { mut resolve, files } = reader;
    let world = select(&resolve, &main, options)?;
    resolve.generate_nominal_type_ids(world);
    Ok(Source { resolve, world, files })
}

/// The world that the options name, or the only one.
fn select(resolve: &Resolve, main: &[PackageId], options: &Options) -> Result<WorldId> {
    let name = options.world.as_ref().map(syn::LitStr::value);
    resolve.select_world(main, name.as_deref()).map_err(|error| {
        let packages = main.iter().map(|package| &resolve.packages[*package]);
        let worlds = packages.flat_map(|package| {
            let name = &package.name;
            package.worlds.keys().map(move |world| format!("`{}`", name.interface_id(world)))
        });
        let worlds = worlds.collect::<Vec<_>>().join(", ");
        let text = match (&name, worlds.is_empty()) {
            (Some(name), false) => format!("there is no world `{name}`, but {worlds} ({error})"),
            (Some(name), true) => format!("there is no world `{name}`: the package has none"),
            (None, false) => format!("there are several worlds: choose one of {worlds} with `world`"),
            (None, true) => "the package has no world".to_owned(),
        };
        Error::new(options.world_span(), text)
    })
}

fn parse(map: SourceMap, span: Span) -> Result<UnresolvedPackageGroup> {
    map.parse().map_err(|(map, error)| Error::new(span, error.render(&map)))
}

struct Reader {
    resolve: Resolve,
    files: Vec<String>,
}

impl Reader {
    /// A package and those in its folder `deps`.
    fn package(&mut self, path: &Path, span: Span) -> Result<PackageId> {
        let main = match path.is_dir() {
            true => self.folder(path, span)?,
            false => self.file(path, span)?,
        };
        let mut deps = Vec::new();
        let folder = path.join("deps");
        if folder.is_dir() {
            for path in entries(&folder, span)? {
                if path.is_dir() {
                    deps.push(self.folder(&path, span)?);
                } else if is_wit(&path) {
                    deps.push(self.file(&path, span)?);
                } else if path.extension().is_some_and(|extension| extension == "wasm" || extension == "wat") {
                    let text = format!("{} is no text: packages in binary form are not supported", path.display());
                    return Err(Error::new(span, text));
                }
            }
        }
        // Several folders may each have a copy of a package that they need.
        deps.retain(|dep| !self.resolve.package_names.contains_key(&dep.main.name));
        self.push(main, deps, span)
    }

    fn push(
        &mut self,
        main: UnresolvedPackageGroup,
        deps: Vec<UnresolvedPackageGroup>,
        span: Span,
    ) -> Result<PackageId> {
        let pushed = self.resolve.push_groups(main, deps);
        pushed.map_err(|error| Error::new(span, error.render(&self.resolve.source_map)))
    }

    fn folder(&mut self, path: &Path, span: Span) -> Result<UnresolvedPackageGroup> {
        let files = entries(path, span)?.into_iter().filter(|path| is_wit(path) && !path.is_dir());
        let files = files.collect::<Vec<_>>();
        if files.is_empty() {
            return Err(Error::new(span, format!("there is no `.wit` file in {}", path.display())));
        }
        let mut map = SourceMap::new();
        for file in files {
            self.load(&file, &mut map, span)?;
        }
        parse(map, span)
    }

    fn file(&mut self, path: &Path, span: Span) -> Result<UnresolvedPackageGroup> {
        let mut map = SourceMap::new();
        self.load(path, &mut map, span)?;
        parse(map, span)
    }

    fn load(&mut self, path: &Path, map: &mut SourceMap, span: Span) -> Result<()> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Error::new(span, format!("cannot read {}: {error}", path.display())))?;
        let name = path.display().to_string();
        map.push_str(&name, text);
        self.files.push(name);
        Ok(())
    }
}

fn is_wit(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wit")
}

/// What is in a folder, by name.
fn entries(path: &Path, span: Span) -> Result<Vec<PathBuf>> {
    let read = || path.read_dir()?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut entries = read().map_err(|error| Error::new(span, format!("cannot read {}: {error}", path.display())))?;
    entries.sort();
    Ok(entries)
}
