//! What has been seen of every call, on either side of the gateway.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use serde_json::Value;
use tests::Era;

use crate::order::Order;
use crate::scene::{self, SERVERS};

/// Everything that has happened, and all that was wrong with it.
pub(crate) struct Seen {
    pub(crate) seed: u64,
    /// How often each attempt at each call has reached its server.
    arrivals: Vec<[AtomicU8; ATTEMPTS]>,
    wrongs: Mutex<Vec<String>>,
    /// The requests that each client has sent in calls, by their ids.
    sent: Vec<Mutex<HashMap<String, Sent>>>,
    refused: Mutex<HashSet<u64>>,
    pub(crate) counts: Counts,
}

/// A request of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) nonce: u64,
    pub(crate) is_cancelled: bool,
    /// Whether it is recorded as a call, and not as the rest of one.
    pub(crate) is_call: bool,
}

/// How much of what there was.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ended: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) answered_although: AtomicU64,
    pub(crate) asked: AtomicU64,
    pub(crate) reports: AtomicU64,
}

/// The first, and one for each question.
const ATTEMPTS: usize = 4;

impl Seen {
    pub(crate) fn new(seed: u64, calls: u64) -> Self {
        Self {
            seed,
            arrivals: (0..calls).map(|_| Default::default()).collect(),
            wrongs: Mutex::default(),
            sent: (0..scene::CLIENTS).map(|_| Mutex::default()).collect(),
            refused: Mutex::default(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.arrivals.len() as u64
    }

    /// Something that must not be.
    pub(crate) fn wrong(&self, what: String) {
        self.wrongs.lock().unwrap().push(what);
    }

    pub(crate) fn wrongs(&self) -> Vec<String> {
        self.wrongs.lock().unwrap().clone()
    }

    /// A call arrives at a server, with this as what it presents: what it is to be like, if it is as
    /// its client has sent it, to whom, and as whom.
    pub(crate) fn arrives(
        &self,
        server: usize,
        message: &Value,
        presented: Option<&str>,
    ) -> Option<Order> {
        let Some(order) = Order::of(self.seed, &message["params"]["arguments"]) else {
            self.wrong(format!("nobody has sent {message}"));
            return None;
        };
        let expected = scene::presents(order.client, server);
        if order.server != server || presented != expected.as_deref() {
            let name = SERVERS[order.server].0;
            self.wrong(format!("{order:?} for {name} at {server} as {presented:?}"));
            return None;
        }
        Some(order)
    }

    /// How often this attempt has arrived before.
    pub(crate) fn attempted(&self, nonce: u64, attempt: u64) {
        let [nonce_at, attempt_at] = [nonce, attempt].map(|it| usize::try_from(it).unwrap());
        if 0 < self.arrivals[nonce_at][attempt_at].fetch_add(1, Ordering::Relaxed) {
            self.wrong(format!("call {nonce} has reached its server twice ({attempt})"));
        }
    }

    /// Whether that attempt has arrived.
    pub(crate) fn has_arrived(&self, nonce: u64, attempt: u64) -> bool {
        let [nonce_at, attempt_at] = [nonce, attempt].map(|it| usize::try_from(it).unwrap());
        0 < self.arrivals[nonce_at][attempt_at].load(Ordering::Relaxed)
    }

    pub(crate) fn sends(&self, client: usize, id: &str, sent: Sent) {
        self.sent[client].lock().unwrap().insert(id.to_owned(), sent);
    }

    /// The request of this id turns out to be given up.
    pub(crate) fn gives_up(&self, client: usize, id: &str) {
        if let Some(sent) = self.sent[client].lock().unwrap().get_mut(id) {
            sent.is_cancelled = true;
        }
    }

    /// Whether this is a refusal that a gateway may give at any time: on a machine that is so busy
    /// that its database does not answer in time, it lets nothing through.
    pub(crate) fn is_refused(&self, client: usize, order: &Order, answer: &Value) -> bool {
        let is_it = answer["error"]["data"]["reason"] == "gate_closed";
        if is_it {
            self.gives_up(client, &answer["id"].to_string());
            self.refused.lock().unwrap().insert(order.nonce);
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        is_it
    }

    /// All requests that may be recorded as calls.
    pub(crate) fn requests(&self) -> HashMap<(usize, String), Sent> {
        let of = |(client, sent): (usize, &Mutex<HashMap<String, Sent>>)| {
            let sent = sent.lock().unwrap().clone();
            sent.into_iter().map(move |(id, sent)| ((client, id), sent)).collect::<Vec<_>>()
        };
        self.sent.iter().enumerate().flat_map(of).filter(|(_, it)| it.is_call).collect()
    }

    /// Every call that its client has not given up has arrived as often as it should.
    pub(crate) fn all_have_arrived(&self) {
        for ((client, _), sent) in self.requests() {
            let order = Order::draw(self.seed, sent.nonce, client);
            if order.cancel.is_some() || self.refused.lock().unwrap().contains(&sent.nonce) {
                continue;
            }
            let is_asked_anew = SERVERS[order.server].1 == Era::Modern;
            for attempt in 0..=if is_asked_anew { order.questions } else { 0 } {
                if !self.has_arrived(sent.nonce, attempt) {
                    self.wrong(format!("attempt {attempt} is lost: {order:?}"));
                }
            }
        }
    }
}
