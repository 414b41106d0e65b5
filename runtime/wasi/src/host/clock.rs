//! Clocks.
//!
//! Times are nanoseconds in a `u64`
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-timestamp-u64)).
//!
//! Invariant: the monotonic clock never goes back, whichever source it has.
//!
//! Does not know: sleeping (`poll`).

use crate::Errno;
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

/// Which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time since 1970-01-01T00:00:00Z.
    Realtime,
    /// Time since an unspecified moment.
    Monotonic,
    /// Processor time of the process.
    ProcessCpu,
    /// Processor time of the thread.
    ThreadCpu,
}

/// Where times come from.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Clocks {
    /// The host's clocks.
    #[default]
    Host,
    /// Clocks that move by a fixed step whenever one is read, and by as much as is slept: the same program sees the same
    /// times in every run.
    Stepping {
        /// What the next reading of any clock returns, in nanoseconds.
        now: u64,
        /// By how much a reading moves the clocks, in nanoseconds.
        step: u64,
    },
}

/// Nanoseconds of a host time; `None` before 1970 and after 2554.
pub(crate) fn nanoseconds(time: Timespec) -> Option<u64> {
    u64::try_from(time.tv_sec).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(time.tv_nsec).ok()?)
}

/// A host time of so many nanoseconds.
pub(crate) fn timespec(nanoseconds: u64) -> Timespec {
    Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as _ }
}

fn host_clock(clock: Clock) -> ClockId {
    match clock {
        Clock::Realtime => ClockId::Realtime,
        Clock::Monotonic => ClockId::Monotonic,
        Clock::ProcessCpu => ClockId::ProcessCPUTime,
        Clock::ThreadCpu => ClockId::ThreadCPUTime,
    }
}

impl Clocks {
    /// The time of a clock, in nanoseconds.
    pub fn now(&mut self, clock: Clock) -> Result<u64, Errno> {
        match self {
            Clocks::Host => nanoseconds(clock_gettime(host_clock(clock))).ok_or(Errno::Overflow),
            Clocks::Stepping { now, step } => {
                let time = *now;
                *now = now.saturating_add(*step);
                Ok(time)
            }
        }
    }

    /// Lets time pass that nobody waited for; the host's own clocks have gone on meanwhile.
    pub(crate) fn advance(&mut self, nanoseconds: u64) {
        if let Clocks::Stepping { now, .. } = self {
            *now = now.saturating_add(nanoseconds);
        }
    }

    /// The smallest difference a clock can show, in nanoseconds; at least 1.
    pub fn resolution(&self, clock: Clock) -> Result<u64, Errno> {
        match self {
            Clocks::Host => {
                nanoseconds(clock_getres(host_clock(clock))).map(|resolution| resolution.max(1)).ok_or(Errno::Overflow)
            }
            Clocks::Stepping { step, .. } => Ok((*step).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_clocks_tick() {
        let mut clocks = Clocks::default();
        let first = clocks.now(Clock::Monotonic).unwrap();
        assert!(clocks.now(Clock::Monotonic).unwrap() >= first);
        // 2020-01-01 in nanoseconds: the host's clock is not before it.
        assert!(clocks.now(Clock::Realtime).unwrap() > 1_577_836_800_000_000_000);
        assert!(clocks.resolution(Clock::ThreadCpu).unwrap() >= 1);
    }

    #[test]
    fn stepping_clocks_are_deterministic() {
        let mut clocks = Clocks::Stepping { now: 10, step: 5 };
        assert_eq!(clocks.now(Clock::Realtime), Ok(10));
        assert_eq!(clocks.now(Clock::Monotonic), Ok(15));
        assert_eq!(clocks.resolution(Clock::Realtime), Ok(5));
    }

    #[test]
    fn times_convert() {
        assert_eq!(nanoseconds(timespec(1_500_000_001)), Some(1_500_000_001));
        assert_eq!(nanoseconds(Timespec { tv_sec: -1, tv_nsec: 0 }), None);
        assert_eq!(nanoseconds(Timespec { tv_sec: i64::MAX, tv_nsec: 0 }), None);
    }
}
