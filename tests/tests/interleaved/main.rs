//! Calls of 64 clients of both eras to 8 servers of both eras, all of them through each other, through
//! the real binary: no answer, question or report reaches anybody but the client whose call it is of,
//! no call is lost, none is made twice, and nothing is left of them.
//!
//! `OSTIARY_INTERLEAVED_CALLS` sets how many calls there are on each database, 10 000 as is usual;
//! `make soak` makes a million. `OSTIARY_INTERLEAVED_SEED` is the number that all of them follow
//! from: what they are like, not what happens to be before what.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod caller;
mod order;
mod pipe;
mod remains;
mod scene;
mod seen;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tests::Site;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::pipe::Pipe;
use crate::scene::{CLIENTS, SERVERS, Way};
use crate::seen::Seen;
use crate::server::Server;

/// How many calls each client makes at a time.
const LANES: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h067_r18_many_interleaved_calls_of_all_kinds_get_their_own_answers_on_sqlite() {
    interleave(&Site::new(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h067_r18_many_interleaved_calls_of_all_kinds_get_their_own_answers_on_postgres() {
    if let Some(url) = db::testing::postgres_url().await {
        interleave(&Site::new(Some(url))).await;
    }
}

async fn interleave(site: &Site) {
    let (calls, seed) =
        (variable("OSTIARY_INTERLEAVED_CALLS"), variable("OSTIARY_INTERLEAVED_SEED"));
    let seen = Arc::new(Seen::new(seed.unwrap_or(1), calls.unwrap_or(10_000)));
    let servers: Vec<Arc<Server>> = (0..SERVERS.len()).map(|it| Server::new(it, &seen)).collect();
    let (mut upstreams, mut pipes, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for server in &servers {
        if SERVERS[server.number].2 == Way::Pipe {
            let pipe = Pipe::start(server).await;
            places.push(pipe.port.to_string());
            pipes.push(pipe);
        } else {
            let upstream = server.start().await;
            places.push(upstream.url.clone());
            upstreams.push(upstream);
        }
    }
    // Long enough for every answer, and short enough to be waited for: a client may leave so early
    // that nobody knows that it was there.
    let configuration = "answer_seconds = 25\nkeep_sessions_seconds = 2\n";
    let served = site.start_configured(&scene::documents(&places), configuration).await;
    let tokens = scene::tokens(&served).await;
    let mut callers = Vec::new();
    for number in 0..CLIENTS {
        callers.push(Arc::new(Caller::new(number, (&served, &tokens[number / 2]), &seen).await));
    }
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut lanes = JoinSet::new();
    for caller in &callers {
        for lane in 0..LANES {
            let (caller, next) = (Arc::clone(caller), Arc::clone(&next));
            lanes.spawn(async move { caller.call_on(lane, &next).await });
        }
    }
    while let Some(ended) = lanes.join_next().await {
        ended.unwrap_or_else(|error| panic!("seed {}: {error}", seen.seed));
    }
    let took = began.elapsed();
    for caller in &callers {
        caller.leave().await;
    }
    remains::none(&seen, &servers, (site, served)).await;
    let rate = seen.counts.ended.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
    eprintln!("{}: seed {}: {rate:.0} calls/s, {:?}", site.database(), seen.seed, seen.counts);
}

#[expect(clippy::disallowed_methods, reason = "how long the test runs is up to whoever starts it")]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().unwrap())
}
