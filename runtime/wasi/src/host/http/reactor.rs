//! Where guests of a server wait: on the server's own runtime.
//!
//! Invariant: what is waited for is a descriptor of this wait alone, so that any number of guests can wait for the same thing;
//! what the system cannot watch (files) is ready.
//!
//! Does not know: what guests wait for.

use crate::Errno;
use crate::host::poll::Interest;
use crate::host::waiting::Reactor;
use rustix::fd::OwnedFd;
use std::future::{Future, poll_fn};
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::Interest as Wanted;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;
use wattest::HostFuture;

/// Longest sleep of the runtime; who waits looks again.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Watches on the runtime that the wait is polled on.
#[derive(Debug)]
pub struct OnRuntime;

fn errno(error: &Error) -> Errno {
    rustix::io::Errno::from_io_error(error).map_or(Errno::Io, Errno::from)
}

/// A descriptor to watch; none for what is always ready.
fn watched(interest: &Interest<'_>) -> Result<Option<AsyncFd<OwnedFd>>, Errno> {
    let fd = rustix::io::fcntl_dupfd_cloexec(interest.fd, 0)?;
    let wanted = if interest.write { Wanted::WRITABLE } else { Wanted::READABLE };
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor may change; that of `OwnedFd` does not"
    )]
    let fd = AsyncFd::with_interest(fd, wanted);
    match fd {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(errno(&error)),
    }
}

impl Reactor for OnRuntime {
    fn wait<'a>(&'a self, interests: &'a [Interest<'a>], timeout: Option<u64>) -> HostFuture<'a, Result<(), Errno>> {
        Box::pin(async move {
            let mut fds = Vec::with_capacity(interests.len());
            for interest in interests {
                let Some(fd) = watched(interest)? else { return Ok(()) };
                fds.push((fd, interest.write));
            }
            let mut timer = pin!(timeout.map(|ns| sleep(Duration::from_nanos(ns).min(SLEEP_MAX))));
            poll_fn(|cx| {
                for (fd, write) in &fds {
                    let ready = if *write { fd.poll_write_ready(cx) } else { fd.poll_read_ready(cx) };
                    if let Poll::Ready(result) = ready {
                        return Poll::Ready(result.map(drop).map_err(|error| errno(&error)));
                    }
                }
                match timer.as_mut().as_pin_mut() {
                    Some(timer) => timer.poll(cx).map(Ok),
                    None => Poll::Pending,
                }
            })
            .await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn many_wait_for_one_thing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let file = tempfile::tempfile().unwrap();
        runtime.block_on(async {
            let bytes = Interest { fd: reader.as_fd(), write: false };
            let room = Interest { fd: writer.as_fd(), write: true };
            assert_eq!(OnRuntime.wait(&[bytes, bytes, room], None).await, Ok(()));
            assert_eq!(OnRuntime.wait(&[bytes], Some(1)).await, Ok(()));
            let always = Interest { fd: file.as_fd(), write: false };
            assert_eq!(OnRuntime.wait(&[bytes, always], None).await, Ok(()));
        });
        runtime.block_on(async {
            let bytes = [Interest { fd: reader.as_fd(), write: false }];
            let (first, second) = (OnRuntime.wait(&bytes, None), OnRuntime.wait(&bytes, None));
            let (mut first, mut second) = (pin!(first), pin!(second));
            let mut written = false;
            poll_fn(|cx| {
                let pending = first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending();
                if pending && !written {
                    written = true;
                    std::io::Write::write_all(&mut writer, b"x").unwrap();
                }
                if pending { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            assert!(written);
        });
    }
}
