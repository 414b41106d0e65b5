//! Waiting for streams and for time.
//!
//! Invariant: a wait ends no later than its timeout says (plus the host's scheduling), whatever signals arrive.
//!
//! Does not know: which subscriptions a guest made.

use super::clock::{Clock, Clocks, timespec};
use crate::Errno;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;

/// A descriptor of the host that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    /// Where.
    pub fd: BorrowedFd<'a>,
    /// Room to write, rather than bytes to read.
    pub write: bool,
}

/// What came of an interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing yet.
    Waiting,
    /// The operation would not block.
    Ready {
        /// The other side is gone.
        hangup: bool,
    },
    /// The stream is broken.
    Failed(Errno),
}

/// What may happen, as far as it is known before waiting.
#[derive(Clone, Copy, Debug)]
pub enum Watch<'a> {
    /// It has happened: so many bytes can be read, or it failed.
    Done(Result<u64, Errno>),
    /// It happens in so many nanoseconds.
    After(u64),
    /// The host knows.
    Host(Interest<'a>),
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// How many bytes can be read.
    pub bytes: u64,
    /// The other side is gone.
    pub hangup: bool,
}

/// Waits until at least one thing has happened; what did, in the order of `watches`. Nothing to wait for is nothing that
/// happened. With clocks that are not the host's, time is not waited for but moved.
pub fn settle(clocks: &mut Clocks, watches: &[Watch<'_>]) -> Result<Vec<Option<Result<Happened, Errno>>>, Errno> {
    let earliest = watches.iter().filter_map(|watch| if let Watch::After(ns) = watch { Some(*ns) } else { None }).min();
    let known = watches.iter().any(|watch| matches!(watch, Watch::Done(_)));
    let interests: Vec<Interest<'_>> = watches
        .iter()
        .filter_map(|watch| if let Watch::Host(interest) = watch { Some(*interest) } else { None })
        .collect();
    let moves = *clocks != Clocks::Host;
    let timeout = if known { Some(0) } else { earliest.map(|ns| if moves { 0 } else { ns }) };
    let readiness = if interests.is_empty() && (timeout.is_none() || timeout == Some(0)) {
        Vec::new()
    } else {
        wait(&interests, timeout)?
    };
    // A stream that is ready ends the wait before the clock is due.
    let elapsed =
        if known || readiness.iter().any(|ready| *ready != Readiness::Waiting) { 0 } else { earliest.unwrap_or(0) };
    if elapsed > 0 {
        clocks.advance(elapsed);
    }
    let mut readiness = interests.iter().zip(readiness);
    let happened = watches.iter().map(|watch| match watch {
        Watch::Done(result) => Some(result.map(|bytes| Happened { bytes, hangup: false })),
        Watch::After(ns) => (*ns <= elapsed).then_some(Ok(Happened { bytes: 0, hangup: false })),
        Watch::Host(_) => match readiness.next()? {
            (interest, Readiness::Ready { hangup }) => {
                let bytes = if interest.write { 0 } else { readable_bytes(interest.fd) };
                Some(Ok(Happened { bytes, hangup }))
            }
            (_, Readiness::Failed(error)) => Some(Err(error)),
            (_, Readiness::Waiting) => None,
        },
    });
    Ok(happened.collect())
}

/// Waits until an interest is ready or `timeout` nanoseconds have passed; without a timeout, for as long as it takes.
pub fn wait(interests: &[Interest<'_>], timeout: Option<u64>) -> Result<Vec<Readiness>, Errno> {
    let mut fds: Vec<PollFd<'_>> = interests
        .iter()
        .map(|interest| {
            PollFd::from_borrowed_fd(interest.fd, if interest.write { PollFlags::OUT } else { PollFlags::IN })
        })
        .collect();
    let started = Clocks::Host.now(Clock::Monotonic)?;
    loop {
        let elapsed = Clocks::Host.now(Clock::Monotonic)?.saturating_sub(started);
        let remaining = timeout.map(|timeout| timespec(timeout.saturating_sub(elapsed)));
        match poll(&mut fds, remaining.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(fds.iter().map(|fd| readiness(fd.revents())).collect()),
        }
    }
}

fn readiness(events: PollFlags) -> Readiness {
    if events.contains(PollFlags::NVAL) {
        Readiness::Failed(Errno::BadF)
    } else if events.contains(PollFlags::ERR) {
        Readiness::Failed(Errno::Io)
    } else if events.is_empty() {
        Readiness::Waiting
    } else {
        Readiness::Ready { hangup: events.contains(PollFlags::HUP) }
    }
}

/// Bytes that can be read without waiting, as far as the host tells.
pub fn readable_bytes(fd: BorrowedFd<'_>) -> u64 {
    rustix::io::ioctl_fionread(fd).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn pipes_become_ready() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let interests = [Interest { fd: reader.as_fd(), write: false }, Interest { fd: writer.as_fd(), write: true }];
        let ready = Readiness::Ready { hangup: false };
        assert_eq!(wait(&interests[..1], Some(0)), Ok(vec![Readiness::Waiting]));
        assert_eq!(wait(&interests, Some(0)), Ok(vec![Readiness::Waiting, ready]));
        writer.write_all(b"abc").unwrap();
        assert_eq!(wait(&[Interest { fd: reader.as_fd(), write: false }], None), Ok(vec![ready]));
        assert_eq!(readable_bytes(reader.as_fd()), 3);
        drop(writer);
        let hangup = wait(&[Interest { fd: reader.as_fd(), write: false }], None);
        assert_eq!(hangup, Ok(vec![Readiness::Ready { hangup: true }]));
    }

    #[test]
    fn what_happened_is_told_in_order() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let never = Watch::Host(Interest { fd: reader.as_fd(), write: false });
        let check = |clocks: &mut Clocks, watches: &[Watch<'_>], expected: &[bool]| {
            let happened = settle(clocks, watches).unwrap();
            assert_eq!(happened.iter().map(Option::is_some).collect::<Vec<_>>(), expected);
        };
        let host = &mut Clocks::Host;
        check(host, &[never, Watch::Done(Ok(3)), Watch::After(1 << 60)], &[false, true, false]);
        check(host, &[never, Watch::After(1000), Watch::After(1 << 60)], &[false, true, false]);
        check(host, &[Watch::After(0)], &[true]);
        check(host, &[], &[]);
        // An hour passes at once where time is not the host's.
        let clocks = &mut Clocks::Stepping { now: 0, step: 1 };
        let hour = 3_600_000_000_000;
        check(clocks, &[never, Watch::After(hour)], &[false, true]);
        assert_eq!(clocks.now(Clock::Monotonic), Ok(hour));
    }

    #[test]
    fn nothing_to_wait_for_is_a_sleep() {
        let started = Clocks::Host.now(Clock::Monotonic).unwrap();
        assert_eq!(wait(&[], Some(2_000_000)), Ok(vec![]));
        assert!(Clocks::Host.now(Clock::Monotonic).unwrap() - started >= 2_000_000);
    }
}
