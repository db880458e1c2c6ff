//! One question for all who wait: what do the rows of the replicas say?
//!
//! Changes that wait for a replica may wait for a minute, and there may be many. Each of them asking
//! for itself would take the connections that show that this replica is alive. So one reads, and what
//! it reads is for all who were waiting when it began.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::{Known, Late, list, within};
use crate::App;

/// What the last look has found.
#[derive(Default)]
pub(super) struct Looks(Mutex<Option<Seen>>);

/// What a look has found.
#[derive(Clone)]
pub(super) struct Seen {
    /// When it began.
    pub(super) begun: Duration,
    pub(super) rows: Result<Arc<Vec<Known>>, Arc<Late>>,
}

impl Looks {
    /// What the rows say in a look that begins after `since`: that of somebody else, or one of our own.
    pub(super) async fn after(&self, app: &App, since: Duration) -> Seen {
        let looking = async || {
            let begun = app.clock.elapsed();
            let rows = within(list(app)).await.map(Arc::new).map_err(Arc::new);
            if let Ok(rows) = &rows {
                app.replica.watch.observe(rows, app.clock.elapsed());
            }
            Seen { begun, rows }
        };
        self.shared(since, looking).await
    }

    /// Whether there has been one, and none is under way.
    #[cfg(test)]
    pub(super) fn has_looked(&self) -> bool {
        self.0.try_lock().is_ok_and(|it| it.is_some())
    }

    async fn shared(&self, since: Duration, looking: impl AsyncFnOnce() -> Seen) -> Seen {
        let mut last = self.0.lock().await;
        match last.as_ref().filter(|it| since < it.begun) {
            Some(seen) => seen.clone(),
            None => last.insert(looking().await).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn whoever_waits_while_others_do_does_not_ask_once_more() {
        let (looks, asked) = (Looks::default(), Cell::new(0));
        let begun = 10 * MILLI;
        let looking = async || {
            asked.set(asked.get() + 1);
            // Others come while it is under way.
            tokio::task::yield_now().await;
            Seen { begun, rows: Ok(Arc::default()) }
        };
        let waiting = (0..100).map(|_| looks.shared(9 * MILLI, looking));
        futures::future::join_all(waiting).await;
        assert_eq!(asked.get(), 1);
        // What began before a change was committed says nothing of who is there after it.
        looks.shared(begun, looking).await;
        assert_eq!(asked.get(), 2);
    }
}
