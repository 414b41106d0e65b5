//! The one place where a guest's call waits.
//!
//! A guest waits for a list of [`Watch`]es. Its thread either blocks in `poll(2)`, which is all that a command-line program
//! needs, or is free for other guests, while a [`Reactor`] watches: then [`settled`] is pending, and the guest, which runs on a
//! stack of its own (`call_async`, see [`wattest`]), is put aside by the host function that awaits it.
//!
//! Functions of the faces that wait are therefore functions that return a [`wattest::HostFuture`]. Under
//! [`Waiting::Block`] such a future is ready when it is polled for the first time, so that a guest on an ordinary stack can
//! call it too; under [`Waiting::Suspend`] such a guest fails with
//! [`UsageError::CannotSuspend`](wattest::UsageError::CannotSuspend).
//!
//! Invariant: what has happened already is never waited for; clocks that are not the host's are moved, never waited for.
//!
//! Does not know: async runtimes, which subscriptions a guest made.

use super::clock::{Clock, Clocks};
use super::poll::{Happened, Interest, Watch, settle};
use crate::Errno;
use std::fmt::Debug;
use std::sync::Arc;
use wattest::HostFuture;

/// Where guests wait that were put aside.
pub trait Reactor: Debug + Send + Sync {
    /// Ready when one of the interests is, or after `timeout` nanoseconds. It may be early; who waits looks again.
    fn wait<'a>(&'a self, interests: &'a [Interest<'a>], timeout: Option<u64>) -> HostFuture<'a, Result<(), Errno>>;
}

/// How a guest waits.
#[derive(Clone, Debug, Default)]
pub enum Waiting {
    /// Its thread does.
    #[default]
    Block,
    /// It is put aside, and watched for by this.
    Suspend(Arc<dyn Reactor>),
}

/// What has happened of `watches`, in their order; at least one thing, once this is ready. Nothing to wait for is nothing
/// that happened.
pub async fn settled(
    waiting: &Waiting,
    clocks: &mut Clocks,
    watches: &[Watch<'_>],
) -> Result<Vec<Option<Result<Happened, Errno>>>, Errno> {
    let Waiting::Suspend(reactor) = waiting else { return settle(clocks, watches) };
    let timed = watches.iter().any(|watch| matches!(watch, Watch::After(_)));
    if watches.is_empty() || (timed && *clocks != Clocks::Host) {
        return settle(clocks, watches);
    }
    let started = Clocks::Host.now(Clock::Monotonic)?;
    loop {
        let elapsed = Clocks::Host.now(Clock::Monotonic)?.saturating_sub(started);
        let left = watches.iter().map(|watch| match watch {
            Watch::After(ns) if *ns <= elapsed => Watch::Done(Ok(0)),
            Watch::After(ns) => Watch::After(ns - elapsed),
            other => *other,
        });
        // Something that has happened keeps this from blocking.
        let mut left: Vec<Watch<'_>> = left.collect();
        left.push(Watch::Done(Ok(0)));
        let mut happened = settle(clocks, &left)?;
        happened.truncate(watches.len());
        if happened.iter().any(Option::is_some) {
            return Ok(happened);
        }
        let timeout = left.iter().filter_map(|watch| if let Watch::After(ns) = watch { Some(*ns) } else { None }).min();
        let interests =
            left.iter().filter_map(|watch| if let Watch::Host(interest) = watch { Some(*interest) } else { None });
        let interests: Vec<Interest<'_>> = interests.collect();
        reactor.wait(&interests, timeout).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Future, poll_fn};
    use std::os::fd::AsFd;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Poll, Waker};

    /// Lets `turns` polls pass, then says that something may have happened.
    #[derive(Debug, Default)]
    struct Turns {
        asked: AtomicU32,
    }

    impl Reactor for Turns {
        fn wait<'a>(
            &'a self,
            interests: &'a [Interest<'a>],
            timeout: Option<u64>,
        ) -> HostFuture<'a, Result<(), Errno>> {
            assert!(!interests.is_empty() || timeout.is_some());
            self.asked.fetch_add(1, Ordering::Relaxed);
            let mut polls = 0;
            Box::pin(poll_fn(move |_| {
                polls += 1;
                if polls > 2 { Poll::Ready(Ok(())) } else { Poll::Pending }
            }))
        }
    }

    /// How often it was pending, and what happened.
    fn run(waiting: &Waiting, clocks: &mut Clocks, watches: &[Watch<'_>], polls_max: u32) -> Option<(u32, Vec<bool>)> {
        let mut future = pin!(settled(waiting, clocks, watches));
        for pending in 0..polls_max {
            if let Poll::Ready(happened) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some((pending, happened.unwrap().iter().map(Option::is_some).collect()));
            }
        }
        None
    }

    #[test]
    fn a_reactor_is_asked_only_when_nothing_has_happened() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let turns = Arc::new(Turns::default());
        let suspend = Waiting::Suspend(Arc::clone(&turns) as Arc<dyn Reactor>);
        let bytes = Watch::Host(Interest { fd: reader.as_fd(), write: false });
        let room = Watch::Host(Interest { fd: writer.as_fd(), write: true });
        let clocks = &mut Clocks::Host;
        assert_eq!(run(&suspend, clocks, &[], 1), Some((0, vec![])));
        assert_eq!(run(&suspend, clocks, &[bytes, room], 1), Some((0, vec![false, true])));
        assert_eq!(run(&suspend, clocks, &[bytes, Watch::Done(Ok(1))], 1), Some((0, vec![false, true])));
        assert_eq!(turns.asked.load(Ordering::Relaxed), 0);
        // Early answers of the reactor are not believed.
        assert_eq!(run(&suspend, clocks, &[bytes], 7), None);
        assert_eq!(turns.asked.load(Ordering::Relaxed), 4);
        // A moment: nanoseconds pass by themselves.
        assert_eq!(
            run(&suspend, clocks, &[bytes, Watch::After(1)], 9).map(|(_, happened)| happened),
            Some(vec![false, true])
        );
        std::io::Write::write_all(&mut writer, b"x").unwrap();
        assert_eq!(run(&suspend, clocks, &[bytes], 1), Some((0, vec![true])));
    }

    #[test]
    fn time_that_is_moved_is_not_waited_for() {
        let turns = Arc::new(Turns::default());
        let suspend = Waiting::Suspend(Arc::clone(&turns) as Arc<dyn Reactor>);
        let hour = 3_600_000_000_000;
        for waiting in [suspend, Waiting::Block] {
            let mut clocks = Clocks::Stepping { now: 0, step: 1 };
            assert_eq!(run(&waiting, &mut clocks, &[Watch::After(hour)], 1), Some((0, vec![true])));
            assert_eq!(clocks.now(Clock::Monotonic), Ok(hour));
        }
        assert_eq!(turns.asked.load(Ordering::Relaxed), 0);
    }
}
