//! Turns for those who read charts and calls, so that what all of them put together is bounded, too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::UserId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::api::Error;

pub(super) struct Turns {
    reading: Semaphore,
    /// Of those who are shown only their own.
    own: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

/// How many read at a time. Others wait. SQLite has four readers, of which two are left to the rest.
const MOST_READING: usize = 2;

/// How long somebody waits for a turn: as long as for a connection.
const LONGEST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });

impl Default for Turns {
    fn default() -> Self {
        Self { reading: Semaphore::new(MOST_READING), own: Mutex::default() }
    }
}

impl Turns {
    pub(super) async fn next(&self) -> Result<SemaphorePermit<'_>, Error> {
        let turn = tokio::time::timeout(LONGEST_WAIT, self.reading.acquire());
        turn.await.map_err(|_| Error::Busy)?.map_err(Error::internal)
    }

    /// Before [`Turns::next`], of somebody who needs no right for it: one at a time, so that others wait for
    /// no more than one of them, however much they ask for.
    pub(super) async fn own(&self, user: UserId) -> Result<OwnedSemaphorePermit, Error> {
        let own = {
            let mut all = self.own.lock();
            // Whoever waits or has a turn holds it, too.
            all.retain(|_, it| 1 < Arc::strong_count(it));
            Arc::clone(all.entry(user).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        let turn = tokio::time::timeout(LONGEST_WAIT, own.acquire_owned());
        turn.await.map_err(|_| Error::Busy)?.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn somebody_has_one_turn_at_a_time_and_keeps_nobody_else_waiting() {
        let turns = Turns::default();
        let [ann, bob] = [1, 2].map(|it| UserId(Uuid::from_u128(it)));
        let first = turns.own(ann).await.unwrap();
        assert!(matches!(turns.own(ann).await, Err(Error::Busy)));
        let other = turns.own(bob).await.unwrap();
        drop(first);
        let again = turns.own(ann).await.unwrap();
        drop((other, again));
        let last = turns.own(ann).await.unwrap();
        assert_eq!(turns.own.lock().len(), 1, "nothing is kept of who has gone");
        drop(last);
    }
}
