//! Turns for those who read charts and calls, so that what all of them put together is bounded, too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::UserId;
use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::api::Error;

pub(super) struct Turns {
    reading: Semaphore,
    /// Of all of those who are shown only their own, who take no more than this of what all read.
    people: Semaphore,
    /// Of each of them.
    own: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

/// How many read at a time. Others wait. SQLite has four readers, of which two are left to the rest.
const MOST_READING: usize = 2;
const MOST_PEOPLE: usize = 1;

/// The turn of somebody who is shown only their own, as long as it is held.
pub(super) struct OwnTurn<'a> {
    _own: OwnedSemaphorePermit,
    _people: SemaphorePermit<'a>,
}

/// How long somebody waits for a turn: as long as for a connection.
const LONGEST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });

impl Default for Turns {
    fn default() -> Self {
        let (reading, people) = (Semaphore::new(MOST_READING), Semaphore::new(MOST_PEOPLE));
        Self { reading, people, own: Mutex::default() }
    }
}

impl Turns {
    pub(super) async fn next(&self) -> Result<SemaphorePermit<'_>, Error> {
        wait(self.reading.acquire()).await
    }

    /// Before [`Turns::next`], of somebody who needs no right for it: each one at a time, so that others wait
    /// for no more than one of them, however much they ask for; and all of them together leave a turn to
    /// those who administer, however many they are.
    pub(super) async fn own(&self, user: UserId) -> Result<OwnTurn<'_>, Error> {
        let own = {
            let mut all = self.own.lock();
            // Whoever waits or has a turn holds it, too.
            all.retain(|_, it| 1 < Arc::strong_count(it));
            Arc::clone(all.entry(user).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        let own = wait(own.acquire_owned()).await?;
        Ok(OwnTurn { _own: own, _people: wait(self.people.acquire()).await? })
    }
}

async fn wait<T>(turn: impl Future<Output = Result<T, AcquireError>>) -> Result<T, Error> {
    let turn = tokio::time::timeout(LONGEST_WAIT, turn).await;
    turn.map_err(|_| Error::Busy)?.map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_much_waits_behind_whoever_asks_once() {
        let turns = Turns::default();
        let [ann, bob] = [1, 2].map(|it| UserId(Uuid::from_u128(it)));
        let first = turns.own(ann).await.unwrap();
        assert!(matches!(turns.own(ann).await, Err(Error::Busy)));
        // Two more of hers come before his, and only one of all three gets between.
        let more = [turns.own(ann), turns.own(ann)];
        let [second, third] = more;
        let his = turns.own(bob);
        let order = Mutex::new(Vec::new());
        let note = async |who: &'static str, turn: Result<OwnTurn<'_>, Error>| {
            drop(turn.unwrap());
            order.lock().push(who);
        };
        tokio::join!(
            async { note("ann", second.await).await },
            async { note("ann", third.await).await },
            async { note("bob", his.await).await },
            async { drop(first) },
        );
        assert_eq!(order.lock().first(), Some(&"bob"));
        let last = turns.own(ann).await.unwrap();
        assert_eq!(turns.own.lock().len(), 1, "nothing is kept of who has gone");
        drop(last);
    }

    #[tokio::test(start_paused = true)]
    async fn people_leave_a_turn_to_those_who_administer() {
        let turns = Turns::default();
        let [ann, bob] = [1, 2].map(|it| UserId(Uuid::from_u128(it)));
        let anns = (turns.own(ann).await.unwrap(), turns.next().await.unwrap());
        assert!(matches!(turns.own(bob).await, Err(Error::Busy)));
        let other = turns.next().await.unwrap();
        assert!(matches!(turns.next().await, Err(Error::Busy)));
        drop((anns, other));
        turns.own(bob).await.unwrap();
    }
}
