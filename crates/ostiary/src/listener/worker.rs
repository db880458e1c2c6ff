//! The threads that answer requests, and how connections reach them.
//!
//! A worker's runtime has one thread, its own. A stop closes its connections gracefully; what is
//! left after the grace is dropped with the runtime, whole tasks at a time.

use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::App;
use super::accept::Seat;
use super::connection::{self, Place};
use super::ending::Ending;
use super::pulse::{self, Hold, Look, Pulse};
use super::settings::{Limits, ListenError};

/// Connections that wait for a busy worker; beyond, the next worker is asked.
const INBOX: usize = 64;

/// Blocking work that an application has begun is not waited for longer than this.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// What has been ended for want of time is given so long to say so.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection on its way to its worker.
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) seat: Seat,
    /// Known once it has a worker.
    pub(super) hold: Option<Hold>,
}

/// What all workers are given.
#[derive(Clone)]
pub(super) struct Shop {
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) limits: Arc<Limits>,
    pub(super) ending: Arc<Ending>,
}

/// The running threads.
pub(super) struct Workers {
    inboxes: Vec<mpsc::Sender<Arrival>>,
    pulses: Vec<Arc<Pulse>>,
    next: AtomicUsize,
    threads: Vec<(JoinHandle<()>, oneshot::Receiver<()>)>,
    ending: Arc<Ending>,
}

/// Starts `count` threads, and returns when each has its application.
pub(super) async fn start<A: App>(
    count: usize,
    shop: Shop,
    make_app: Arc<dyn Fn(usize) -> Arc<A> + Send + Sync>,
) -> Result<Workers, ListenError> {
    let mut workers = Workers {
        inboxes: Vec::with_capacity(count),
        pulses: Vec::with_capacity(count),
        next: AtomicUsize::new(0),
        threads: Vec::with_capacity(count),
        ending: Arc::clone(&shop.ending),
    };
    for number in 0..count {
        let (inbox, arrivals) = mpsc::channel(INBOX);
        let (ready, is_ready) = oneshot::channel();
        let (at_end, ended) = oneshot::channel();
        let (shop, make_app) = (shop.clone(), Arc::clone(&make_app));
        let pulse = Arc::<Pulse>::default();
        workers.pulses.push(Arc::clone(&pulse));
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                let _at_end: oneshot::Sender<()> = at_end;
                work((arrivals, pulse), shop, ready, || make_app(number));
            })
            .map_err(ListenError::Thread)?;
        workers.inboxes.push(inbox);
        workers.threads.push((thread, ended));
        is_ready.await.map_err(|_| ListenError::Died)?.map_err(ListenError::Thread)?;
    }
    Ok(workers)
}

impl Workers {
    /// Gives a connection to the next worker, or to the first after it that answers and has room.
    pub(super) async fn hand(&self, arrival: Arrival) -> Result<(), ListenError> {
        let count = self.inboxes.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed) % count;
        let mut arrival = arrival;
        let workers = self.inboxes.iter().zip(&self.pulses).cycle().skip(first).take(count);
        let mut answering = workers.filter(|(_, pulse)| !pulse.is_stuck());
        let mut last = None;
        for (inbox, pulse) in answering.by_ref() {
            let Ok(hold) = pulse.hold(&arrival.stream) else { return Ok(()) };
            arrival.hold = Some(hold);
            match inbox.try_send(arrival) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(back)) => arrival = back,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(ListenError::Died),
            }
            last = Some(inbox);
        }
        // With no worker that answers, nobody could even be told so.
        let Some(inbox) = last else { return Ok(()) };
        inbox.send(arrival).await.map_err(|_| ListenError::Died)
    }

    /// Looks after the workers for as long as it is polled.
    pub(super) async fn watch(&self, is_stalled: &(dyn Fn() -> bool + Send + Sync)) {
        let mut looks: Vec<Look> = self.pulses.iter().map(|_| Look::default()).collect();
        loop {
            tokio::time::sleep(pulse::BEAT).await;
            for (worker, (pulse, look)) in self.pulses.iter().zip(&mut looks).enumerate() {
                pulse.look(worker, look, is_stalled);
            }
        }
    }

    /// Stops the threads, and returns when they have ended.
    pub(super) async fn finish(mut self) -> Result<(), ListenError> {
        // Where a successor is to have the connections, they are not told to end.
        if !self.ending.is_stopped() {
            self.ending.stop();
        }
        self.inboxes.clear();
        let mut outcome = Ok(());
        for (thread, ended) in self.threads.drain(..) {
            // Nothing is ever sent: the sender goes with the thread.
            ended.await.unwrap_or_default();
            if thread.join().is_err() {
                outcome = Err(ListenError::Died);
            }
        }
        outcome
    }
}

impl Drop for Workers {
    /// Whoever drops `serve` half way does not leave threads behind.
    fn drop(&mut self) {
        self.ending.stop();
    }
}

fn work<A: App>(
    (mut arrivals, pulse): (mpsc::Receiver<Arrival>, Arc<Pulse>),
    shop: Shop,
    ready: oneshot::Sender<std::io::Result<()>>,
    make_app: impl FnOnce() -> Arc<A>,
) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ready.send(Err(error)).unwrap_or_default();
            return;
        }
    };
    runtime.block_on(async move {
        let tracker = TaskTracker::new();
        let grace = shop.limits.grace;
        let app = make_app();
        let place = Arc::new(Place::new(Arc::clone(&app), shop, tracker.clone()));
        if ready.send(Ok(())).is_err() {
            return;
        }
        // Until whoever accepts has ended: what it has accepted is served.
        let accepting = async {
            while let Some(arrival) = arrivals.recv().await {
                tracker.spawn(connection::run(Arc::clone(&place), arrival));
            }
        };
        let beating = async {
            loop {
                pulse.beat();
                tokio::time::sleep(pulse::BEAT).await;
            }
        };
        tokio::select! {
            biased;
            () = accepting => {}
            () = beating => {}
        }
        tracker.close();
        let all = async {
            tracker.wait().await;
            app.finish().await;
        };
        let mut all = pin!(all);
        if tokio::time::timeout(grace, all.as_mut()).await.is_ok() {
            return;
        }
        app.end();
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!(left = tracker.len(), "closing connections that outlast the grace");
        }
    });
    runtime.shutdown_timeout(LAST_PATIENCE);
}
