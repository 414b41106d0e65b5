//! A guest's wish to end.

/// Exit status of a guest that ended itself; travels through the engine as a host error.
///
/// ```
/// assert_eq!(wattest_wasi::Exit(3).to_string(), "the program exited with status 3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the program exited with status {0}")]
pub struct Exit(pub u32);
