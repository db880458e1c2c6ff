//! `ostiary bridge`: stdio on one side, the gateway on the other.
//!
//! For clients that speak MCP on a pipe only. Messages pass as they are, byte for byte; what the HTTP
//! of their era wants beyond them is added on the way out and taken off on the way in:
//!
//! 1. [`lines`] reads and writes messages, one per line.
//! 2. [`desk`] looks at each message of the client and says what becomes of it.
//! 3. [`call`] is a request from its line to its answer, [`listen`] one that stays open.
//! 4. [`session`] is what a legacy client has and does not know of; [`feed`] its stream for what
//!    belongs to no call; [`renewal`] what happens when the gateway forgets it.
//! 5. [`gateway`] sends, [`answer`] reads what comes back, [`trouble`] says why nothing does.
//!
//! The bridge ends with its client: when standard input ends, when standard output is closed, or on
//! a signal. Until then whatever fails is an answer to the request that it fails for.

mod answer;
mod call;
mod desk;
mod feed;
mod gateway;
mod lines;
mod listen;
mod mirrors;
mod relist;
mod renewal;
mod session;
mod token;
mod trouble;
mod under_way;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures::future::join_all;
use http::HeaderMap;
use mcp::envelope::Message;
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::gateway::Gateway;
use self::lines::{Lines, Out};
use self::mirrors::Mirrors;
use self::session::Sessions;
use self::token::Token;
use self::trouble::Trouble;
use self::under_way::UnderWay;
use crate::door::Signals;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct BridgeArgs {
    /// The gateway's URL: https, or http on this machine.
    #[arg(value_parser = gateway::url)]
    url: Url,
    /// A file with the token; without it the token is in OSTIARY_TOKEN.
    #[arg(long, env = "OSTIARY_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// How many requests are at the gateway at a time, subscriptions apart.
const LINES: usize = 256;

/// How many requests are taken before no more is read: those at the gateway, those that wait for it,
/// and subscriptions.
const SEATS: u32 = 1_024;

/// How long requests under way may take to end after standard input has.
const GRACE: Duration = Duration::from_secs(20);

/// How long leaving may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the gateway may take to take what needs no answer.
const NOTICE: Duration = Duration::from_secs(30);

/// What the parts of a bridge share.
struct Bridge {
    gateway: Gateway,
    out: Out,
    under_way: Arc<UnderWay>,
    mirrors: Mirrors,
    sessions: Sessions,
    tasks: TaskTracker,
    /// What requests, and what streams that belong to none, live as long as.
    calls: CancellationToken,
    streams: CancellationToken,
    lines: Arc<Semaphore>,
    seats: Arc<Semaphore>,
}

/// Runs as long as its client.
pub(crate) fn run(args: BridgeArgs) -> Result<ExitCode, Failure> {
    let gateway = Gateway::new(args.url, Token::find(args.token_file)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::other)?;
    let ended = runtime.block_on(serve(gateway));
    // A read of standard input may still wait, and nothing can be done about it.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

async fn serve(gateway: Gateway) -> Result<(), Failure> {
    let mut signals = Signals::heed()?;
    let (out, said) = Out::new();
    let tasks = TaskTracker::new();
    let mut writing = tasks.spawn(lines::write(said, tokio::io::stdout()));
    let bridge = Arc::new(Bridge {
        gateway,
        out,
        under_way: Arc::default(),
        mirrors: Mirrors::default(),
        sessions: Sessions::default(),
        tasks: tasks.clone(),
        calls: CancellationToken::new(),
        streams: CancellationToken::new(),
        lines: Arc::new(Semaphore::new(LINES)),
        seats: Arc::new(Semaphore::new(SEATS as usize)),
    });
    let serving = async {
        desk::read(&bridge, Lines::of(tokio::io::stdin())).await;
        bridge.streams.cancel();
        if tokio::time::timeout(GRACE, bridge.calls_end()).await.is_err() {
            tracing::warn!("Some requests have not been answered in time");
        }
    };
    tokio::select! {
        () = serving => {}
        () = signals.received() => tracing::debug!("Told to stop"),
        _ = &mut writing => tracing::debug!("Nobody reads any more"),
    }
    bridge.leave().await;
    drop(bridge);
    tasks.close();
    // What has been said is to be read.
    tokio::time::timeout(GOODBYE, tasks.wait()).await.ok();
    Ok(())
}

impl Bridge {
    /// The right to be at the gateway.
    async fn line(&self) -> Result<OwnedSemaphorePermit, Trouble> {
        Arc::clone(&self.lines).acquire_owned().await.map_err(|_| Trouble::Stopping)
    }

    /// Tells the client why a request has no answer, and whoever reads the log.
    async fn tell(&self, request: &Message, trouble: &Trouble) {
        tracing::warn!(method = request.method(), %trouble, "A request was not answered");
        self.out.say(&trouble.answer(request)).await;
    }

    /// Sends what needs no answer, and waits until it has been taken.
    async fn pass(&self, headers: HeaderMap, body: Bytes) {
        let passing = async {
            let mut answer = self.gateway.post(headers, body).await?;
            while answer.next().await?.is_some() {}
            Ok::<_, Trouble>(())
        };
        match tokio::time::timeout(NOTICE, passing).await {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => tracing::warn!(%trouble, "The gateway did not take a message"),
            Err(_) => tracing::warn!("The gateway did not take a message in time"),
        }
    }

    /// Waits until no request is under way.
    async fn calls_end(&self) {
        drop(Arc::clone(&self.seats).acquire_many_owned(SEATS).await);
    }

    /// Gives up what is under way, and ends the session.
    async fn leave(&self) {
        let legacy = self.under_way.legacy();
        self.streams.cancel();
        self.calls.cancel();
        // Whatever else it holds may hold us.
        let Some(session) = self.sessions.forget() else { return };
        let words = legacy.iter().map(|id| self.pass(session.headers(), call::word_for(id)));
        let leaving = async {
            join_all(words).await;
            session::end(self, &session).await;
        };
        if tokio::time::timeout(GOODBYE, leaving).await.is_err() {
            tracing::debug!("The gateway was left without a word");
        }
    }
}
