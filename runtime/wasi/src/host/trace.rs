//! Somebody who is told of every call.
//!
//! Invariant: what a guest passes is shown cut and escaped, so that it can neither flood nor steer a terminal.
//!
//! Does not know: what is done with the lines.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;

/// Most characters of what is shown of parameters and of results.
const SHOWN_MAX: usize = 160;

/// Receives a line for every call that a guest makes.
#[derive(Clone)]
pub struct Trace {
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Trace {
    /// A trace whose lines go to `sink`.
    pub fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> Trace {
        Trace { sink: Arc::new(sink) }
    }

    /// Tells of a call.
    pub(crate) fn call(&self, name: &str, params: &str, result: &str) {
        (self.sink)(&format!("{name}{} -> {}", shown(params), shown(result)));
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    // Debug output has its quotes and backslashes escaped already.
    shown = shown.replace("\\\"", "\"").replace("\\\\", "\\").replace("\\'", "'");
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

impl Debug for Trace {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trace")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_values_are_tamed() {
        fn check(text: &str, expected: &str) {
            assert_eq!(shown(text), expected);
        }
        check("(1, \"a\\n\")", "(1, \"a\\n\")");
        check("\u{1b}[2J", "\\u{1b}[2J");
        check(&"x".repeat(200), &("x".repeat(160) + "…"));
    }
}
