//! Waiting for sockets and for the clock, as the kernel does it: level-triggered epoll and a timer.
//!
//! A runtime would cost the load generator more than its work does.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};

/// Events that one call takes at most.
const EVENTS_MAX: usize = 64;

/// What is waited for; each under a number of the caller's.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl std::fmt::Debug for Poll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.epoll.fmt(f)
    }
}

impl Poll {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Waits also for something to be read from `source`.
    pub(crate) fn add(&self, source: impl AsFd, number: u64) -> anyhow::Result<()> {
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?)
    }

    /// Closing a socket does this as well.
    pub(crate) fn remove(&self, source: impl AsFd) -> anyhow::Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Waits until something can be read, or for `at_most`; puts the numbers into `ready`.
    pub(crate) fn wait(&mut self, at_most: Duration, ready: &mut Vec<u64>) -> anyhow::Result<()> {
        let at_most =
            Timespec { tv_sec: i64::try_from(at_most.as_secs())?, tv_nsec: at_most.subsec_nanos().into() };
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&at_most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.clear();
        ready.extend(self.events.iter().map(|event| event.data.u64()));
        Ok(())
    }
}

/// A timer that can be read when it has gone off. A timeout of `epoll_wait` may come 50 us late (the
/// kernel's timer slack); this one doesn't.
#[derive(Debug)]
pub(crate) struct Ticks(OwnedFd);

impl Ticks {
    /// Goes off every `period`, the first time after one.
    pub(crate) fn every(period: Duration) -> anyhow::Result<Self> {
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let period =
            Timespec { tv_sec: i64::try_from(period.as_secs())?, tv_nsec: period.subsec_nanos().into() };
        let setting = Itimerspec { it_interval: period, it_value: period };
        rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)?;
        Ok(Self(timer))
    }

    /// Until it has been read it stays ready.
    pub(crate) fn read(&self) {
        let mut times = [0; 8];
        // Nothing to be read means that it hasn't gone off, which is no matter.
        let _ = rustix::io::read(&self.0, &mut times);
    }
}

impl AsFd for Ticks {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
