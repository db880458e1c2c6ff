//! The beat of an open loop.
//!
//! Tokio's timers beat once in a millisecond, which is a hundred times what is measured, so a timer
//! of the kernel does it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;

use super::Span;
use crate::clock;

/// Deals out moments at which calls should leave.
pub(super) struct Pace {
    every: Duration,
    timer: AsyncFd<OwnedFd>,
    due: RefCell<VecDeque<Intended>>,
    /// One permit for each moment in `due`.
    waiting: Semaphore,
    is_over: Cell<bool>,
}

/// When a call should leave, and whether it is past the warm-up.
#[derive(Clone, Copy)]
pub(super) struct Intended {
    pub(super) at: Instant,
    pub(super) counts: bool,
}

impl Pace {
    #[expect(
        deprecated,
        reason = "unsound only for types that give up their descriptor; an OwnedFd cannot"
    )]
    pub(super) fn new(rate: u32) -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self {
            every: Duration::from_secs(1) / rate,
            timer: AsyncFd::new(timer)?,
            due: RefCell::new(VecDeque::new()),
            waiting: Semaphore::new(0),
            is_over: Cell::new(false),
        })
    }

    /// Beats until the span is over.
    pub(super) async fn run(&self, span: Span) -> Result<()> {
        let every = Timespec { tv_sec: 0, tv_nsec: i64::from(self.every.subsec_nanos()) };
        let beat = Itimerspec { it_interval: every, it_value: every };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &beat)?;
        let begin = clock::now();
        let counted_from = begin + span.warm_up;
        let end = counted_from + span.time;
        let mut at = begin;
        while at < end {
            let mut ready = self.timer.readable().await?;
            let mut beats = [0; 8];
            // The count of beats is not needed: the clock says how many calls are due.
            if rustix::io::read(self.timer.get_ref(), &mut beats).is_err() {
                ready.clear_ready();
                continue;
            }
            let now = clock::now();
            let mut dealt = 0;
            while at <= now && at < end {
                self.due.borrow_mut().push_back(Intended { at, counts: at >= counted_from });
                at += self.every;
                dealt += 1;
            }
            self.waiting.add_permits(dealt);
        }
        self.is_over.set(true);
        // Wakes whoever waits, to be told that it is over.
        self.waiting.add_permits(super::OPEN_CONNECTIONS);
        Ok(())
    }

    /// The next moment, when it has come; none when the span is over.
    pub(super) async fn next(&self) -> Option<Intended> {
        self.waiting.acquire().await.ok()?.forget();
        let next = self.due.borrow_mut().pop_front();
        debug_assert!(next.is_some() || self.is_over.get(), "a permit without a moment");
        next
    }
}
