//! The imports of benchmark programs, and what is measured.
//!
//! A benchmark program calls `bench.start` and `bench.end` around the part that counts.
//!
//! Invariant: times are wall-clock nanoseconds; what was not measured is not printed.
//!
//! Does not know: what the program does.

use crate::failure::Failure;
use std::time::{Duration, Instant};
use wattest::Linker;

/// Module name of the imports.
pub const MODULE: &str = "bench";

/// Marks set by the guest.
#[derive(Debug, Default)]
pub struct Bench {
    started: Option<Instant>,
    elapsed: Option<Duration>,
}

impl Bench {
    fn start(&mut self) {
        self.started = Some(Instant::now());
    }

    fn end(&mut self) {
        self.elapsed = self.started.take().map(|started| started.elapsed());
    }
}

/// Defines `bench.start` and `bench.end`.
pub fn add_to_linker<T: 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> &mut Bench) -> Result<(), Failure> {
    linker
        .func_wrap(MODULE, "start", move |mut caller: wattest::Caller<'_, T>| get(caller.data_mut()).start())
        .map_err(Failure::new)?;
    linker
        .func_wrap(MODULE, "end", move |mut caller: wattest::Caller<'_, T>| get(caller.data_mut()).end())
        .map_err(Failure::new)?;
    Ok(())
}

/// How long the stages of a run took.
#[derive(Debug, Default)]
pub struct Stats {
    /// Reading, compiling or loading.
    pub compile: Duration,
    /// Linking, instantiating, running the start function.
    pub instantiate: Duration,
    /// The call.
    pub run: Duration,
}

impl Stats {
    /// Prints one line on standard error.
    pub fn print(&self, bench: &Bench) {
        let mut line = format!(
            "stats: compile_ns={} instantiate_ns={} run_ns={}",
            self.compile.as_nanos(),
            self.instantiate.as_nanos(),
            self.run.as_nanos()
        );
        if let Some(elapsed) = bench.elapsed {
            line.push_str(&format!(" bench_ns={}", elapsed.as_nanos()));
        }
        eprintln!("{line}");
    }
}
