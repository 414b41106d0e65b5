//! Panics as text.
//!
//! Invariant: while [`record`] runs, a panic of this thread prints nothing and becomes its message and place.
//!
//! Does not know: aborts and signals; those end the process, and the campaign notices.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `body`; the text of its panic where there is one.
pub fn record<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if RECORDING.get() {
                LAST.with_borrow_mut(|last| *last = describe(info));
            } else {
                previous(info);
            }
        }));
    });
    RECORDING.set(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    RECORDING.set(false);
    result.map_err(|_| LAST.take())
}

fn describe(info: &std::panic::PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        // The end of the path names the file on every machine.
        Some(place) => {
            let file: Vec<&str> = place.file().rsplit('/').take(3).collect();
            let file: Vec<&str> = file.into_iter().rev().collect();
            format!("{message} ({}:{})", file.join("/"), place.line())
        }
        None => message.to_owned(),
    }
}
