//! Open connections that nobody uses, per origin; the youngest is used first.
//!
//! Nothing runs here: a connection is looked at when it is taken out, and old ones are closed
//! when another one comes or goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::live::Live;

pub(super) struct Pool {
    idle: Mutex<Idle>,
    /// How long a connection is kept.
    age: Duration,
    per_origin: usize,
}

struct Idle {
    by_origin: HashMap<Arc<str>, Vec<Unused>>,
    swept_at: Option<Instant>,
}

struct Unused {
    since: Instant,
    live: Box<Live>,
}

impl Pool {
    pub(super) fn new(age: Duration, per_origin: usize) -> Self {
        let idle = Mutex::new(Idle { by_origin: HashMap::new(), swept_at: None });
        Self { idle, age, per_origin }
    }

    /// The youngest connection to `origin` that is still open.
    pub(super) fn take(&self, origin: &str, now: Instant) -> Option<Box<Live>> {
        loop {
            let unused = self.idle.lock().by_origin.get_mut(origin)?.pop()?;
            let is_fresh = now.saturating_duration_since(unused.since) < self.age;
            let mut live = unused.live;
            if is_fresh && live.is_usable() {
                return Some(live);
            }
        }
    }

    /// Closes the connection if there are enough already.
    pub(super) fn put(&self, origin: &Arc<str>, live: Box<Live>, now: Instant) {
        // What is closed is dropped after the lock has been left.
        let _stale = {
            let mut idle = self.idle.lock();
            let stale = idle.sweep(now, self.age);
            let unused = idle.by_origin.entry(Arc::clone(origin)).or_default();
            if unused.len() < self.per_origin {
                unused.push(Unused { since: now, live });
            }
            stale
        };
    }

    pub(super) fn clear(&self) {
        let _closed = std::mem::take(&mut self.idle.lock().by_origin);
    }
}

impl Idle {
    /// Removes what is too old, not more often than four times in the life of a connection.
    fn sweep(&mut self, now: Instant, age: Duration) -> Vec<Unused> {
        let mut stale = Vec::new();
        let since = *self.swept_at.get_or_insert(now);
        if now.saturating_duration_since(since) < age / 4 {
            return stale;
        }
        self.swept_at = Some(now);
        self.by_origin.retain(|_, unused| {
            // The oldest stand first.
            let old = unused.partition_point(|u| now.saturating_duration_since(u.since) >= age);
            stale.extend(unused.drain(..old));
            !unused.is_empty()
        });
        stale
    }
}
