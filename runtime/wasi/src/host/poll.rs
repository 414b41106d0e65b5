//! Waiting for streams and for time.
//!
//! Invariant: a wait ends no later than its timeout says (plus the host's scheduling), whatever signals arrive.
//!
//! Does not know: which subscriptions a guest made.

use super::clock::{Clock, Clocks, timespec};
use crate::Errno;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;

/// What is waited for.
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
    fn nothing_to_wait_for_is_a_sleep() {
        let started = Clocks::Host.now(Clock::Monotonic).unwrap();
        assert_eq!(wait(&[], Some(2_000_000)), Ok(vec![]));
        assert!(Clocks::Host.now(Clock::Monotonic).unwrap() - started >= 2_000_000);
    }
}
