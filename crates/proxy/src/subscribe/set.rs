//! The streams of all servers that one listener hears.

use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use domain::AssignmentId;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mcp::revision::Era;
use tokio_util::sync::CancellationToken;

use super::upstream::Subscription;
use super::{Heard, Listener, Wanted};

/// Streams of servers, each opened again when it is lost. Dropped, all are closed.
pub(crate) struct Subscriptions {
    of: Listener,
    servers: HashMap<AssignmentId, Server>,
    running: FuturesUnordered<Running>,
}

struct Server {
    spoken: Era,
    wanted: Wanted,
    /// Ends the stream that is wanted now, and the earlier ones once that is open.
    stop: CancellationToken,
    earlier: Vec<CancellationToken>,
    /// Whether a stream of it has been lost, so that something may have been missed.
    is_lost: bool,
    failures: u32,
    /// Counts what has been wanted of it, which tells its streams apart.
    wish: u64,
}

type Running = Pin<Box<dyn Future<Output = Option<Step>> + Send>>;

/// What has come of one stream.
struct Step {
    of: AssignmentId,
    wish: u64,
    stop: CancellationToken,
    what: What,
}

enum What {
    Opened(Box<Subscription>),
    /// The server has no such stream.
    Nothing,
    Heard(Heard, Box<Subscription>),
    /// It has ended, or is not open to us now.
    Lost,
    /// It is time to open it again.
    Due,
}

/// How long a stream that has ended stays closed at first: servers and what stands before them end
/// idle ones.
const PAUSE: Duration = Duration::from_secs(5);

/// How often that is doubled while it cannot be opened.
const DOUBLINGS: u32 = 4;

impl Subscriptions {
    pub(crate) fn new(of: Listener) -> Self {
        Self { of, servers: HashMap::new(), running: FuturesUnordered::new() }
    }

    /// Says what is to be heard of a server from now on. What was heard before is heard until the
    /// stream that is wanted now has been opened.
    pub(crate) fn want(&mut self, of: AssignmentId, spoken: Era, wanted: Wanted) {
        let known = self.servers.get(&of);
        if known.is_some_and(|it| it.wanted == wanted && it.spoken == spoken) {
            return;
        }
        let mut next = Server {
            spoken,
            wanted,
            stop: CancellationToken::new(),
            earlier: Vec::new(),
            is_lost: false,
            failures: 0,
            wish: 0,
        };
        if let Some(known) = self.servers.remove(&of) {
            next.wish = known.wish + 1;
            next.is_lost = known.is_lost;
            next.earlier = known.earlier;
            next.earlier.push(known.stop);
        }
        if next.wanted.is_empty() {
            next.close_earlier();
            return;
        }
        self.running.push(open(self.of.clone(), of, &next));
        self.servers.insert(of, next);
    }

    /// Listens to no others than these any more.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(AssignmentId) -> bool) {
        self.servers.retain(|of, server| {
            let keep = is_kept(*of);
            if !keep {
                server.stop.cancel();
                server.close_earlier();
            }
            keep
        });
    }

    /// The listener as it is known now, for streams that are opened from now on.
    pub(crate) fn set_listener(&mut self, of: &Listener) {
        self.of = of.clone();
    }

    /// What has changed next. Cancel-safe. Where nothing is listened to, nothing comes.
    pub(crate) async fn next(&mut self) -> Vec<Heard> {
        loop {
            match self.running.next().await {
                None => return pending().await,
                Some(None) => {}
                Some(Some(step)) => {
                    let heard = self.take(step);
                    if !heard.is_empty() {
                        return heard;
                    }
                }
            }
        }
    }

    fn take(&mut self, step: Step) -> Vec<Heard> {
        let Step { of, wish, stop, what } = step;
        let Some(server) = self.servers.get_mut(&of) else { return Vec::new() };
        let is_wanted = server.wish == wish;
        match what {
            What::Heard(heard, subscription) => {
                self.running.push(next((of, wish), stop, subscription));
                return vec![heard];
            }
            What::Opened(subscription) => {
                if is_wanted {
                    server.close_earlier();
                    server.failures = 0;
                }
                let missed = match is_wanted && std::mem::take(&mut server.is_lost) {
                    true => subscription.missed(),
                    false => Vec::new(),
                };
                self.running.push(next((of, wish), stop, subscription));
                return missed;
            }
            What::Nothing if is_wanted => server.close_earlier(),
            What::Lost if is_wanted => {
                server.close_earlier();
                server.is_lost = true;
                let pause = PAUSE * 2_u32.pow(server.failures.min(DOUBLINGS));
                server.failures = server.failures.saturating_add(1);
                self.running.push(pausing((of, wish), stop, pause));
            }
            What::Due if is_wanted => {
                let opening = open(self.of.clone(), of, server);
                self.running.push(opening);
            }
            What::Nothing | What::Lost | What::Due => {}
        }
        Vec::new()
    }
}

impl Server {
    fn close_earlier(&mut self) {
        self.earlier.drain(..).for_each(|it| it.cancel());
    }
}

fn open(listener: Listener, of: AssignmentId, server: &Server) -> Running {
    let (spoken, wanted) = (server.spoken, server.wanted.clone());
    run((of, server.wish), server.stop.clone(), async move {
        match Subscription::open(&listener, of, spoken, wanted).await {
            Ok(Some(subscription)) => What::Opened(Box::new(subscription)),
            Ok(None) => What::Nothing,
            Err(error) => {
                tracing::debug!(%error, "A server cannot be listened to now");
                What::Lost
            }
        }
    })
}

fn next(which: (AssignmentId, u64), stop: CancellationToken, it: Box<Subscription>) -> Running {
    let mut subscription = it;
    run(which, stop, async move {
        match subscription.next().await {
            Some(heard) => What::Heard(heard, subscription),
            None => What::Lost,
        }
    })
}

fn pausing(which: (AssignmentId, u64), stop: CancellationToken, pause: Duration) -> Running {
    run(which, stop, async move {
        tokio::time::sleep(pause).await;
        What::Due
    })
}

fn run(
    (of, wish): (AssignmentId, u64),
    stop: CancellationToken,
    doing: impl Future<Output = What> + Send + 'static,
) -> Running {
    Box::pin(async move {
        let what = stop.run_until_cancelled(doing).await?;
        Some(Step { of, wish, stop: stop.clone(), what })
    })
}
