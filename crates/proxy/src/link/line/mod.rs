//! Servers on the transport of 2024-11-05: one stream on which everything comes, and a URL for
//! everything that is sent. The stream is the session; when it ends, so does that.
//!
//! The stream brings the answers of all calls, so it is no call's own: a task reads it, on the
//! thread that opened it, for as long as anybody holds the [`Line`] and no cut-off closes it. All
//! that is sent goes by the way of every other call, in the call's own future and through the gate.
//!
//! What the server asks does not say which call it is for. A line whose client can be asked
//! something therefore serves one call at a time; on any other line nothing can be asked.

mod address;
mod exchange;
mod lines;
mod open;
mod post;
mod reader;
mod table;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Server, Snapshot};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use exchange::{Answering, Feed};
pub(super) use lines::Lines;
pub(super) use open::open;
pub(super) use post::deliver;

use crate::authorize::Grounds;
use crate::refusal::UpstreamError;
use crate::wire::Endpoint;
use table::Table;

/// One open stream of a server. Dropping the last one closes it.
pub(crate) struct Line {
    shared: Arc<Shared>,
    _open: DropGuard,
}

/// What a line and the reader of its stream have in common.
struct Shared {
    /// Where messages go: what the server has said first.
    messages: Endpoint,
    table: Table,
    /// Whether the server may ask something, hence serves one call at a time.
    is_exclusive: bool,
    /// The place of that call.
    turn: Arc<Semaphore>,
    stop: CancellationToken,
    server: Arc<Server>,
    /// On what it rests that it was opened.
    grounds: Grounds,
}

impl Line {
    /// Whether calls can still be answered.
    pub(crate) fn is_open(&self) -> bool {
        !self.shared.stop.is_cancelled() && !self.shared.table.has_ended()
    }

    /// Ends it: closing the stream is all that this transport has for a goodbye.
    pub(crate) fn close(&self) {
        self.shared.stop.cancel();
        self.shared.table.end(&UpstreamError::SessionLost);
    }

    /// Hears from now on what belongs to no call; whoever heard it before does not any more.
    pub(crate) fn listen(&self) -> Option<Feed> {
        self.shared.table.listen()
    }
}

impl Shared {
    /// Whether anything may still come on it. Who has opened it matters where nobody else uses it.
    fn may_stay(&self, snapshot: &Snapshot, now: DateTime<Utc>) -> bool {
        if self.is_exclusive {
            return self.grounds.hold(snapshot, now);
        }
        super::is_open(snapshot, &self.server, now) && self.grounds.has_credential(snapshot, now)
    }

    /// Closes a line on which nothing has come since a call was sent that has got no answer: the
    /// connection may be gone without anybody having said so.
    fn doubt(&self, sent: Instant) {
        if SILENCE <= sent.elapsed() && self.table.heard() < sent {
            self.table.end(&UpstreamError::StreamLost);
            self.stop.cancel();
        }
    }
}

/// How long a call must have waited for its being given up to cast doubt on the whole line.
const SILENCE: Duration = Duration::from_secs(30);
