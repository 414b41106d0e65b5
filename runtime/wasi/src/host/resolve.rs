//! Path resolution confined to a directory.
//!
//! Every path a guest names is resolved here. Where the kernel offers `openat2`, it confines the resolution itself
//! (`RESOLVE_BENEATH`); elsewhere – older kernels, system call filters – the path is walked component by component, never
//! letting the kernel follow a link. Tests ask for either by [`Resolver`], and both pass the same ones.
//!
//! Invariant: what is opened lies beneath the directory at the time it is opened; absolute paths, `..` above the
//! directory and links out of it are refused with [`Errno::Perm`], also when somebody renames files meanwhile.
//!
//! Does not know: what is done with the opened file.

use crate::Errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno as Sys;
use std::sync::atomic::{AtomicBool, Ordering};

/// Links followed in one resolution, as many as Linux does.
const LINKS_MAX: u32 = 40;
/// Bytes of a path, after links are expanded.
const PATH_BYTES_MAX: usize = 4096;
/// How often a resolution that raced with a rename is tried again.
const RACES_MAX: u32 = 16;

/// Who resolves paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// The kernel, where it can; else as [`Resolver::Walk`].
    #[default]
    Kernel,
    /// This process, component by component.
    Walk,
}

/// Whether the kernel has said that it has no `openat2`.
static OPENAT2_ABSENT: AtomicBool = AtomicBool::new(false);

/// Opens `path` beneath `dir`.
///
/// With [`OFlags::NOFOLLOW`] a link in the last place is not followed.
pub fn open_beneath(
    resolver: Resolver,
    dir: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    if path.starts_with('/') {
        return Err(Errno::Perm);
    }
    let flags = flags | OFlags::CLOEXEC;
    if resolver == Resolver::Walk || OPENAT2_ABSENT.load(Ordering::Relaxed) {
        return walk(dir, path, flags, mode);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    #[cfg(wattest_mutants)]
    let resolve =
        if wattest_abi::mutant!(wasi_path_escapes) { resolve.difference(ResolveFlags::BENEATH) } else { resolve };
    for _ in 0..RACES_MAX {
        match openat2(dir, path, flags, mode, resolve) {
            Err(Sys::AGAIN) => {}
            Err(Sys::XDEV) => return Err(Errno::Perm),
            Err(Sys::NOSYS) => {
                OPENAT2_ABSENT.store(true, Ordering::Relaxed);
                break;
            }
            // Forbidden by a system call filter, or the file itself may not be opened so, which the walk finds out.
            Err(Sys::PERM) => break,
            result => return Ok(result?),
        }
    }
    walk(dir, path, flags, mode)
}

/// The directory that holds the last component of a path, and that component.
pub struct Parent<'a> {
    /// The directory, when it is not the one the path started from.
    opened: Option<OwnedFd>,
    dir: BorrowedFd<'a>,
    /// The last component, with its trailing slash when it had any.
    pub name: &'a str,
}

impl Parent<'_> {
    /// Whether the path ended in a slash, and so names a directory.
    pub fn has_trailing_slash(&self) -> bool {
        self.name.ends_with('/')
    }
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opened.as_ref().map_or(self.dir, AsFd::as_fd)
    }
}

/// Resolves all but the last component of `path` beneath `dir`.
pub fn open_parent<'a>(resolver: Resolver, dir: BorrowedFd<'a>, path: &'a str) -> Result<Parent<'a>, Errno> {
    if path.starts_with('/') {
        return Err(Errno::Perm);
    }
    if path.is_empty() {
        return Err(Errno::NoEnt);
    }
    let trimmed = path.trim_end_matches('/');
    let start = trimmed.rfind('/').map_or(0, |slash| slash + 1);
    // One trailing slash says as much as many.
    let end = path.len().min(trimmed.len() + 1);
    #[cfg(wattest_mutants)]
    let end = if wattest_abi::mutant!(wasi_trailing_slash_lost) { trimmed.len() } else { end };
    let name = &path[start..end];
    let opened = match start {
        0 => None,
        _ => Some(open_beneath(resolver, dir, &path[..start], OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?),
    };
    Ok(Parent { opened, dir, name })
}

/// The state of a walk: directories entered so far, components still to come.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    entered: Vec<OwnedFd>,
    /// Last component first.
    pending: Vec<String>,
    links: u32,
}

/// [`open_beneath`] without the kernel's help. What is wrong in several ways is refused for the reason that the kernel gives.
fn walk(dir: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    if flags.contains(OFlags::CREATE | OFlags::DIRECTORY) {
        return Err(Errno::Inval);
    }
    if path.is_empty() {
        return Err(Errno::NoEnt);
    }
    let mut walk = Walk { root: dir, entered: Vec::new(), pending: Vec::new(), links: 0 };
    walk.push_path(path)?;
    while let Some(component) = walk.pending.pop() {
        if walk.pending.is_empty() && !walk.names_directory(&component, flags)? {
            match walk.open_last(&component, flags, mode)? {
                Some(file) => return Ok(file),
                None => continue,
            }
        }
        walk.enter(component.trim_end_matches('/'))?;
    }
    // A path always has a last component, and expanding a link leaves at least one.
    Err(Errno::NoEnt)
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().map_or(self.root, AsFd::as_fd)
    }

    /// Whether the last component has a trailing slash, and so is entered before `.` is opened there.
    fn names_directory(&mut self, component: &str, flags: OFlags) -> Result<bool, Errno> {
        let Some(name) = component.strip_suffix('/') else { return Ok(false) };
        if flags.contains(OFlags::CREATE) && !matches!(name, "." | "..") {
            return Err(Errno::IsDir);
        }
        self.pending.push(".".to_string());
        Ok(true)
    }

    /// Puts a path in front of the pending components. The last of all keeps a trailing slash.
    fn push_path(&mut self, path: &str) -> Result<(), Errno> {
        if path.starts_with('/') {
            return Err(Errno::Perm);
        }
        let bytes = self.pending.iter().map(|component| component.len() + 1).sum::<usize>() + path.len();
        if bytes > PATH_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        let is_last = self.pending.is_empty();
        let end = self.pending.len();
        self.pending.extend(path.split('/').rev().filter(|part| !part.is_empty()).map(str::to_string));
        if let Some(last) = self.pending.get_mut(end).filter(|_| is_last && path.ends_with('/')) {
            last.push('/');
        }
        Ok(())
    }

    /// Goes into a directory, or expands a link.
    fn enter(&mut self, component: &str) -> Result<(), Errno> {
        match component {
            "." => return Ok(()),
            ".." => return self.entered.pop().map(drop).ok_or(Errno::Perm),
            _ => {}
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = openat(self.here(), component, flags, Mode::empty())?;
        match FileType::from_raw_mode(fstat(&next)?.st_mode) {
            FileType::Directory => self.entered.push(next),
            FileType::Symlink => self.expand(&next)?,
            _ => return Err(Errno::NotDir),
        }
        Ok(())
    }

    fn expand(&mut self, link: &OwnedFd) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::Loop);
        }
        let target = readlinkat(link, "", Vec::new())?;
        let target = target.to_str().map_err(|_| Errno::IlSeq)?;
        if target.is_empty() { Err(Errno::NoEnt) } else { self.push_path(target) }
    }

    /// Opens the last component; `None` when it was a link that is now pending.
    fn open_last(&mut self, component: &str, flags: OFlags, mode: Mode) -> Result<Option<OwnedFd>, Errno> {
        if component == ".." {
            self.enter(component)?;
            return Ok(Some(openat(self.here(), ".", flags, mode)?));
        }
        let exclusive = flags.contains(OFlags::CREATE | OFlags::EXCL);
        if component != "." && !flags.contains(OFlags::NOFOLLOW) && !exclusive {
            let probe = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(self.here(), component, probe, Mode::empty()) {
                Ok(found) if FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Symlink => {
                    self.expand(&found)?;
                    return Ok(None);
                }
                Ok(_) => {}
                Err(Sys::NOENT) if flags.contains(OFlags::CREATE) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(openat(self.here(), component, flags | OFlags::NOFOLLOW, mode)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn fixture() -> (tempfile::TempDir, OwnedFd) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(temp.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("a/b/file"), "inside").unwrap();
        symlink("a/b/file", root.join("inward")).unwrap();
        symlink("../secret", root.join("outward")).unwrap();
        symlink(temp.path().join("secret"), root.join("absolute")).unwrap();
        symlink("..", root.join("a/up")).unwrap();
        symlink("..", root.join("out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("missing", root.join("dangling")).unwrap();
        symlink("a/b/file/", root.join("slash")).unwrap();
        let fd = openat(rustix::fs::CWD, &root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        (temp, fd)
    }

    /// Both resolvers agree on every path.
    fn check(path: &str, flags: OFlags, expected: Result<&str, Errno>) {
        let (_temp, root) = fixture();
        for resolver in [Resolver::Kernel, Resolver::Walk] {
            let opened = open_beneath(resolver, root.as_fd(), path, flags, Mode::empty());
            let actual = opened.map(|fd| {
                let mut bytes = vec![0; 16];
                let count = rustix::io::read(&fd, bytes.as_mut_slice()).unwrap_or(0);
                String::from_utf8(bytes[..count].to_vec()).unwrap()
            });
            assert_eq!(actual.as_deref().map_err(|errno| *errno), expected, "{resolver:?} of {path}");
        }
    }

    #[test]
    fn paths_inside_are_opened() {
        for path in ["a/b/file", "./a//b/./file", "inward", "a/b/../b/file", "a/up/a/b/file", "a/../inward"] {
            check(path, OFlags::empty(), Ok("inside"));
        }
        for path in [".", "a/..", "a/", "a/b/.", "a/up/", "a/up"] {
            check(path, OFlags::PATH, Ok(""));
        }
        check("outward", OFlags::PATH | OFlags::NOFOLLOW, Ok(""));
    }

    #[test]
    fn paths_outside_are_refused() {
        for path in ["..", "../secret", "/etc/passwd", "outward", "absolute", "out/secret", "a/../../secret", "a/up/.."]
        {
            check(path, OFlags::empty(), Err(Errno::Perm));
        }
    }

    #[test]
    fn wrong_paths_say_why() {
        check("", OFlags::empty(), Err(Errno::NoEnt));
        check("missing", OFlags::empty(), Err(Errno::NoEnt));
        check("dangling", OFlags::empty(), Err(Errno::NoEnt));
        check("a/b/file/x", OFlags::empty(), Err(Errno::NotDir));
        check("a/b/file/", OFlags::empty(), Err(Errno::NotDir));
        check("loop", OFlags::empty(), Err(Errno::Loop));
        check("inward", OFlags::NOFOLLOW, Err(Errno::Loop));
    }

    #[test]
    fn what_is_wrong_twice_has_one_reason() {
        let create = OFlags::CREATE | OFlags::WRONLY;
        check("a/", create, Err(Errno::IsDir));
        check("missing/", create, Err(Errno::IsDir));
        check("inward/", create | OFlags::EXCL, Err(Errno::IsDir));
        check("missing/x/", create, Err(Errno::NoEnt));
        check("a/b/file/x/", create, Err(Errno::NotDir));
        check("../x/", create, Err(Errno::Perm));
        check(".", create, Err(Errno::IsDir));
        check("a/..", create | OFlags::EXCL, Err(Errno::Exist));
        check("a/../", create | OFlags::EXCL, Err(Errno::Exist));
        check("slash", create, Err(Errno::IsDir));
        check("slash", OFlags::empty(), Err(Errno::NotDir));
        check("inward", create | OFlags::EXCL, Err(Errno::Exist));
        check("", create | OFlags::DIRECTORY, Err(Errno::Inval));
        check("missing/x", create | OFlags::DIRECTORY, Err(Errno::Inval));
    }

    #[test]
    fn parents_keep_the_last_component() {
        let (_temp, root) = fixture();
        let check = |path: &str, expected: Result<&str, Errno>| {
            for resolver in [Resolver::Kernel, Resolver::Walk] {
                let parent = open_parent(resolver, root.as_fd(), path);
                assert_eq!(parent.as_ref().map(|parent| parent.name).map_err(|errno| *errno), expected, "{path}");
            }
        };
        check("x", Ok("x"));
        check("a/b//", Ok("b/"));
        check("a//b", Ok("b"));
        check("a/..", Ok(".."));
        check("out/x", Err(Errno::Perm));
        check("../x", Err(Errno::Perm));
        check("/x", Err(Errno::Perm));
        check("", Err(Errno::NoEnt));
    }
}
