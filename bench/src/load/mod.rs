//! The load: clients that call, and a clock that watches.
//!
//! A closed loop keeps so many connections busy, each with one call at a time, and says how many
//! calls that makes. An open loop sends at a fixed rate whatever comes back, and counts from the
//! moment at which a call should have left, so a target that stalls cannot hide it by being asked
//! less often (what is known as coordinated omission).
//!
//! A call that fails or has a wrong answer ends the measurement: figures of a broken target say
//! nothing.

mod caller;
mod connection;
mod held;
mod message;
mod pace;
mod streams;
mod target;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use hdrhistogram::Histogram;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, LocalSet};

pub(crate) use caller::Deed;
pub(crate) use held::{parked, sessions};
pub(crate) use streams::Streams;
pub(crate) use target::Target;

use crate::{clock, cores};
use caller::Caller;
use message::FIRST_NUMBER;
use pace::Pace;

/// What a run has shown.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Deeds done, after the warm-up.
    pub(crate) done: u64,
    /// Deeds done, with the warm-up.
    pub(crate) done_in_all: u64,
    pub(crate) elapsed: Duration,
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }

    /// In microseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// How long a run lasts, and how long it does not count before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// Keeps `connections` busy.
pub(crate) fn closed(
    target: &Target,
    deed: Deed,
    connections: usize,
    span: Span,
    cores: &[usize],
) -> Result<Outcome> {
    let threads = cores.len().clamp(1, connections.min(MOST_THREADS));
    let all_connected = Barrier::new(threads);
    let shares = (0..threads).map(|thread| Share {
        connections: (connections + thread) / threads,
        first_number: FIRST_NUMBER * (thread as u64 + 1),
        all_connected: &all_connected,
        span,
    });
    std::thread::scope(|scope| {
        let running: Vec<_> = shares
            .map(|share| scope.spawn(move || on_cores(cores, share.run(target, deed))))
            .collect();
        let mut all: Option<Outcome> = None;
        for thread in running {
            let outcome = thread.join().map_err(|_| anyhow!("a thread of the load broke"))??;
            match &mut all {
                None => all = Some(outcome),
                Some(all) => {
                    all.done += outcome.done;
                    all.done_in_all += outcome.done_in_all;
                    all.latency.add(outcome.latency)?;
                }
            }
        }
        all.context("nothing ran")
    })
}

/// Sends `rate` calls a second over as many connections as that takes, 64 at most.
pub(crate) fn open(
    target: &Target,
    deed: Deed,
    rate: u32,
    span: Span,
    cores: &[usize],
) -> Result<Outcome> {
    on_cores(cores, async {
        let pace = Rc::new(Pace::new(rate)?);
        let mut callers = JoinSet::new();
        let tally = Rc::new(Tally::new()?);
        let number = Rc::new(Cell::new(FIRST_NUMBER));
        for _ in 0..OPEN_CONNECTIONS {
            let mut caller = Caller::new(target, deed).await?;
            let (pace, tally, number) = (Rc::clone(&pace), Rc::clone(&tally), Rc::clone(&number));
            callers.spawn_local(async move {
                while let Some(intended) = pace.next().await {
                    number.set(number.get() + 1);
                    caller.once(number.get()).await?;
                    tally.count(intended.counts, intended.at)?;
                }
                anyhow::Ok(())
            });
        }
        let all = async {
            while let Some(caller) = callers.join_next().await {
                caller??;
            }
            anyhow::Ok(())
        };
        let (paced, all) = futures::future::join(pace.run(span), all).await;
        paced.and(all)?;
        tally.outcome(span.time)
    })
}

/// Does a deed once, on a connection of its own.
pub(crate) fn once(target: &Target, deed: Deed, cores: &[usize]) -> Result<()> {
    on_cores(cores, async { Caller::new(target, deed).await?.once(FIRST_NUMBER).await })
}

/// Posts a body that is no message of MCP, and returns that of the answer.
pub(crate) fn post(target: &Target, body: &str, cores: &[usize]) -> Result<String> {
    on_cores(cores, async {
        let mut connection = target.connect().await?;
        let answer = connection.exchange(target.post("", body).as_bytes()).await?;
        Ok(String::from_utf8_lossy(answer.body).into_owned())
    })
}

/// What one thread does of a closed loop.
struct Share<'a> {
    connections: usize,
    first_number: u64,
    all_connected: &'a Barrier,
    span: Span,
}

impl Share<'_> {
    async fn run(self, target: &Target, deed: Deed) -> Result<Outcome> {
        let connecting = (0..self.connections).map(|_| Caller::new(target, deed));
        let connected = futures::future::try_join_all(connecting).await;
        // Also where ours failed, so that the other threads do not wait for us.
        self.all_connected.wait().await;
        let counted_from = clock::now() + self.span.warm_up;
        let end = counted_from + self.span.time;
        let tally = Rc::new(Tally::new()?);
        let number = Rc::new(Cell::new(self.first_number));
        let mut callers = JoinSet::new();
        for mut caller in connected? {
            let (tally, number) = (Rc::clone(&tally), Rc::clone(&number));
            callers.spawn_local(async move {
                let mut began = clock::now();
                while began < end {
                    number.set(number.get() + 1);
                    caller.once(number.get()).await?;
                    tally.count(began >= counted_from, began)?;
                    began = clock::now();
                }
                anyhow::Ok(())
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller??;
        }
        tally.outcome(self.span.time)
    }
}

/// Counts what the callers of one thread do.
struct Tally {
    done: Cell<u64>,
    done_in_all: Cell<u64>,
    latency: std::cell::RefCell<Histogram<u64>>,
}

impl Tally {
    fn new() -> Result<Self> {
        // A nanosecond to a minute, three digits.
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)?.into();
        Ok(Self { done: Cell::new(0), done_in_all: Cell::new(0), latency })
    }

    fn count(&self, counts: bool, since: Instant) -> Result<()> {
        self.done_in_all.set(self.done_in_all.get() + 1);
        if counts {
            self.done.set(self.done.get() + 1);
            let took = u64::try_from(since.elapsed().as_nanos())?;
            self.latency.borrow_mut().record(took)?;
        }
        Ok(())
    }

    fn outcome(&self, elapsed: Duration) -> Result<Outcome> {
        let (done, done_in_all) = (self.done.get(), self.done_in_all.get());
        Ok(Outcome { done, done_in_all, elapsed, latency: self.latency.borrow().clone() })
    }
}

/// Runs a future on this thread, which is bound to `cores` first.
///
/// A run that does not end is ended: no target may hang the benchmark.
fn on_cores<T>(cores: &[usize], run: impl Future<Output = Result<T>>) -> Result<T> {
    cores::pin(cores)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let ended = tokio::time::timeout(LONGEST_RUN, run).await;
        ended.context("no answer came for a long time")?
    })
}

/// The numbers of each thread begin with a digit of their own.
const MOST_THREADS: usize = 8;

/// Longer than any run is planned for.
const LONGEST_RUN: Duration = Duration::from_secs(60);

/// Enough for 5 000 calls a second that take 10 ms each.
const OPEN_CONNECTIONS: usize = 64;
