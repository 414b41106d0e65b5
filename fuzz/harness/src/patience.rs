//! How long to wait for a process before it counts as hanging.
//!
//! On a busy machine a process may get a hundredth of a processor: what hangs is one that had processor time and said
//! nothing, or one that says nothing for so long that it waits for something that never comes.
//!
//! Invariant: waiting ends, whatever the process does.
//!
//! Does not know: what the process is for.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Without processor time, so many times as long counts as a hang.
const IDLE_TIMES: u32 = 15;

/// Who watches looks every second or more often: one that did not for so long was stopped itself, and what it watches with
/// it.
const STOPPED_MIN: Duration = Duration::from_secs(10);

/// Patience with one process.
#[derive(Debug)]
pub struct Patience {
    process: u32,
    heard: Instant,
    looked: Instant,
    cpu_ms: u64,
}

impl Patience {
    /// Begins to wait for the process of that id.
    pub fn new(process: u32) -> Patience {
        let now = Instant::now();
        Patience { process, heard: now, looked: now, cpu_ms: cpu_ms(&process.to_string()) }
    }

    /// Notes a sign of life.
    pub fn heard(&mut self) {
        *self = Patience::new(self.process);
    }

    /// Whether the process hangs: it used `limit` of processor time since the last sign of life, or idled for many times as
    /// long, the time in which nobody looked left out. To be asked every second or more often.
    pub fn is_over(&mut self, limit: Duration) -> bool {
        let now = Instant::now();
        let unseen = now - std::mem::replace(&mut self.looked, now);
        if unseen >= STOPPED_MIN {
            self.heard += unseen;
        }
        let waited = now.saturating_duration_since(self.heard);
        let used = cpu_ms(&self.process.to_string()).saturating_sub(self.cpu_ms);
        // A limit of processor time cannot be reached in less time by a process of one thread.
        waited > limit && (u128::from(used) >= limit.as_millis() * 9 / 10 || waited > limit * IDLE_TIMES)
    }
}

/// An amount of processor time for this process and the ones that work for it.
#[derive(Debug)]
pub struct Budget {
    limit: Duration,
    start: Instant,
    /// Of this process, and of those it started that have ended, when it began.
    own_ms: u64,
    /// Of those that have not, as far as was said.
    others_ms: Cell<u64>,
}

impl Budget {
    /// Begins.
    pub fn new(limit: Duration) -> Budget {
        Budget { limit, start: Instant::now(), own_ms: ms_of("self", 4), others_ms: Cell::new(0) }
    }

    /// Says how much processes used that have not ended, in milliseconds.
    pub fn note(&self, others_ms: u64) {
        self.others_ms.set(others_ms);
    }

    /// What was used. Where the system does not tell: what the clock says.
    pub fn used(&self) -> Duration {
        match ms_of("self", 4) {
            0 => self.start.elapsed(),
            own => Duration::from_millis(own - self.own_ms + self.others_ms.get()),
        }
    }

    /// Whether it is used up, or so much time passed that nothing more will come of it.
    pub fn is_over(&self) -> bool {
        self.used() >= self.limit || self.start.elapsed() >= self.limit * IDLE_TIMES
    }
}

/// User and system time so far of a process, by its id or `self`, in milliseconds; 0 where the system does not tell.
pub fn cpu_ms(process: &str) -> u64 {
    ms_of(process, 2)
}

/// The sum of the first of: user and system time, and both of the processes that it waited for.
fn ms_of(process: &str, count: usize) -> u64 {
    // Linux counts these fields in hundredths of a second on every architecture.
    const MS_PER_TICK: u64 = 10;
    let Ok(text) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return 0 };
    // The name of the process may hold blanks; it ends with the last parenthesis.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(count).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * MS_PER_TICK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_what_all_use_together() {
        let budget = Budget::new(Duration::from_secs(1000));
        assert!(!budget.is_over());
        budget.note(999_000);
        assert!(budget.used() >= Duration::from_secs(999));
        budget.note(1_000_000);
        assert!(budget.is_over());
    }

    #[test]
    fn who_had_no_time_does_not_hang_yet() {
        // A process that is not there uses no processor time.
        let mut patience = Patience { process: 0, heard: Instant::now(), looked: Instant::now(), cpu_ms: 0 };
        assert!(!patience.is_over(Duration::from_secs(1000)));
        patience.heard -= Duration::from_secs(60);
        assert!(!patience.is_over(Duration::from_secs(20)));
        patience.heard -= Duration::from_secs(3600);
        assert!(patience.is_over(Duration::from_secs(20)));
        patience.heard();
        assert!(!patience.is_over(Duration::from_secs(20)));
    }

    #[test]
    fn who_was_stopped_with_its_watcher_does_not_hang() {
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).expect("a clock that ran for an hour");
        let mut patience = Patience { process: 0, heard: ago(60), looked: ago(50), cpu_ms: 0 };
        assert!(!patience.is_over(Duration::from_secs(2)), "ten seconds were seen");
        patience.heard = ago(31);
        assert!(patience.is_over(Duration::from_secs(2)), "all of them were seen");
    }
}
