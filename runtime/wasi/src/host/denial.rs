//! What a guest asked for and was not given.
//!
//! Invariant: each denial is kept once, and only so many of them, however often a guest asks.
//!
//! Does not know: which option would grant it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Most denials that are kept.
const DENIALS_MAX: usize = 100;
/// Most bytes of a path that is kept.
const PATH_BYTES_MAX: usize = 256;

/// Something that was denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// A path leads out of its directory.
    Outside {
        /// The directory, as the guest knows it.
        dir: String,
        /// The path.
        path: String,
    },
    /// A change of a directory that can only be read.
    ReadOnly {
        /// The directory, as the guest knows it.
        dir: String,
        /// The path, empty where it is not known.
        path: String,
    },
    /// A directory, when there is none.
    NoDirectory,
    /// An address or a name of the network.
    Network {
        /// The rule that would permit it, as [`Rule`](super::net::Rule) prints it.
        rule: String,
    },
}

/// Keeps denials; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Denials {
    kept: Arc<Mutex<BTreeSet<Denial>>>,
}

impl Denials {
    /// What was denied, in order and each once.
    pub fn list(&self) -> Vec<Denial> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn note(&self, denial: Denial) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < DENIALS_MAX {
            kept.insert(denial);
        }
    }
}

/// The part of a path that is kept.
pub(crate) fn cut(path: &str) -> String {
    let end = (0..=path.len().min(PATH_BYTES_MAX)).rev().find(|at| path.is_char_boundary(*at)).unwrap_or(0);
    path[..end].to_owned()
}
