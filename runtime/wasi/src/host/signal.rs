//! A condition that another thread makes true.
//!
//! What waits may be a thread in `poll(2)`, for which there is an event descriptor as soon as it is needed
//! ([eventfd](https://man7.org/linux/man-pages/man2/eventfd.2.html)), or a task, which leaves its waker.
//!
//! Invariant: the descriptor is readable exactly while the signal is set; who waits for a signal that is set, or is set
//! later, is woken.
//!
//! Does not know: what the condition is.

use super::poll::{Interest, Watch};
use crate::Errno;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

/// Most tasks that one signal wakes: a guest is one task, and its host another.
const WAKERS_MAX: usize = 8;

/// A condition that is true or not. Clones are the same condition.
#[derive(Clone, Debug, Default)]
pub struct Signal {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    fd: OnceLock<OwnedFd>,
}

#[derive(Debug, Default)]
struct State {
    set: bool,
    wakers: Vec<Waker>,
}

impl Signal {
    /// A signal that is set if `set`.
    pub fn new(set: bool) -> Signal {
        let state = Mutex::new(State { set, wakers: Vec::new() });
        Signal { shared: Arc::new(Shared { state, fd: OnceLock::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.state().set
    }

    /// Sets or clears it.
    pub fn put(&self, set: bool) {
        let mut state = self.state();
        if state.set == set {
            return;
        }
        state.set = set;
        if let Some(fd) = self.shared.fd.get() {
            // The counter is 0 or 1, so that neither of the two can fail or wait.
            let _ = if set {
                rustix::io::write(fd, &1_u64.to_ne_bytes())
            } else {
                rustix::io::read(fd, &mut [0; 8]).map(|read: usize| read)
            };
        }
        let wakers = if set { std::mem::take(&mut state.wakers) } else { Vec::new() };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes the task when the signal is set; at once if it is.
    pub fn wake(&self, waker: &Waker) {
        let mut state = self.state();
        if state.set {
            return waker.wake_by_ref();
        }
        if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            if state.wakers.len() == WAKERS_MAX {
                // Waking it early makes it look again, and come back.
                state.wakers.remove(0).wake();
            }
            state.wakers.push(waker.clone());
        }
    }

    /// What a thread waits for.
    pub fn watch(&self) -> Result<Watch<'_>, Errno> {
        let state = self.state();
        if state.set {
            return Ok(Watch::Done(Ok(0)));
        }
        let fd = match self.shared.fd.get() {
            Some(fd) => fd,
            None => {
                let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
                self.shared.fd.get_or_init(|| fd)
            }
        };
        Ok(Watch::Host(Interest { fd: fd.as_fd(), write: false }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::Clocks;
    use crate::host::poll::settle;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[test]
    fn threads_wait_for_it() {
        let signal = Signal::default();
        let happened = |signal: &Signal| {
            let watches = [signal.watch().unwrap(), Watch::Done(Ok(0))];
            settle(&mut Clocks::Host, &watches).unwrap()[0].is_some()
        };
        assert!(!happened(&signal));
        signal.put(true);
        signal.put(true);
        assert!(signal.is_set() && happened(&signal));
        signal.put(false);
        assert!(!signal.is_set() && !happened(&signal));
        let (waiting, setting) = (signal.clone(), signal);
        let thread = std::thread::spawn(move || {
            let watch = waiting.watch().unwrap();
            settle(&mut Clocks::Host, &[watch]).unwrap()[0].is_some()
        });
        setting.put(true);
        assert!(thread.join().unwrap());
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn tasks_are_woken_once_and_are_bounded() {
        let signal = Signal::default();
        let counts: Vec<Arc<Count>> = (0..=WAKERS_MAX).map(|_| Arc::default()).collect();
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            signal.wake(&waker);
            signal.wake(&waker);
        }
        let woken = || counts.iter().map(|count| count.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
        assert_eq!((woken()[0], woken()[1..].iter().sum::<usize>()), (1, 0));
        signal.put(true);
        assert_eq!(woken(), [1; WAKERS_MAX + 1]);
        signal.put(false);
        signal.put(true);
        assert_eq!(woken(), [1; WAKERS_MAX + 1]);
    }
}
