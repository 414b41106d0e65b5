//! A seam that makes the n-th mapping operation, or allocation of a size that a guest chose, of a thread fail.
//!
//! Tests and fuzz targets use it to walk through every failure path of memory creation and growth.
//!
//! Invariant: the countdown belongs to one thread; other threads are not disturbed.
//!
//! Does not know: which operation it fails.

use std::cell::Cell;
use std::io;

thread_local! {
    static COUNTDOWN: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Lets `successes` such operations of this thread succeed and makes every later one fail with "out of memory",
/// until [`heal`] is called.
pub fn fail_after(successes: u64) {
    COUNTDOWN.with(|countdown| countdown.set(Some(successes)));
}

/// Ends what [`fail_after`] began. Returns whether all the successes it allowed were used up.
pub fn heal() -> bool {
    COUNTDOWN.with(|countdown| countdown.replace(None)) == Some(0)
}

/// Counts one operation down.
pub(crate) fn check() -> io::Result<()> {
    COUNTDOWN.with(|countdown| match countdown.get() {
        None => Ok(()),
        Some(0) => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
        Some(left) => {
            countdown.set(Some(left - 1));
            Ok(())
        }
    })
}
