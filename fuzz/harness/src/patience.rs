//! How long to wait for a process before it counts as hanging.
//!
//! On a busy machine a process may get a hundredth of a processor: what hangs is one that had processor time and said
//! nothing, or one that says nothing for so long that it waits for something that never comes.
//!
//! Invariant: waiting ends, whatever the process does.
//!
//! Does not know: what the process is for.

use std::time::{Duration, Instant};

/// Without processor time, so many times as long counts as a hang.
const IDLE_TIMES: u32 = 15;

/// Patience with one process.
#[derive(Debug)]
pub struct Patience {
    process: u32,
    heard: Instant,
    cpu_ms: u64,
}

impl Patience {
    /// Begins to wait for the process of that id.
    pub fn new(process: u32) -> Patience {
        Patience { process, heard: Instant::now(), cpu_ms: cpu_ms(&process.to_string()) }
    }

    /// Notes a sign of life.
    pub fn heard(&mut self) {
        *self = Patience::new(self.process);
    }

    /// Whether the process hangs: it used `limit` of processor time since the last sign of life, or idled for many times as
    /// long.
    pub fn is_over(&self, limit: Duration) -> bool {
        let waited = self.heard.elapsed();
        let used = cpu_ms(&self.process.to_string()).saturating_sub(self.cpu_ms);
        // A limit of processor time cannot be reached in less time by a process of one thread.
        waited > limit && (u128::from(used) >= limit.as_millis() * 9 / 10 || waited > limit * IDLE_TIMES)
    }
}

/// User and system time so far of a process, by its id or `self`, in milliseconds; 0 where the system does not tell.
pub fn cpu_ms(process: &str) -> u64 {
    // Linux counts these fields in hundredths of a second on every architecture.
    const MS_PER_TICK: u64 = 10;
    let Ok(text) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return 0 };
    // The name of the process may hold blanks; it ends with the last parenthesis.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * MS_PER_TICK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_had_no_time_does_not_hang_yet() {
        // A process that is not there uses no processor time.
        let mut patience = Patience { process: 0, heard: Instant::now(), cpu_ms: 0 };
        assert!(!patience.is_over(Duration::from_secs(1000)));
        patience.heard -= Duration::from_secs(60);
        assert!(!patience.is_over(Duration::from_secs(20)));
        patience.heard -= Duration::from_secs(3600);
        assert!(patience.is_over(Duration::from_secs(20)));
        patience.heard();
        assert!(!patience.is_over(Duration::from_secs(20)));
    }
}
