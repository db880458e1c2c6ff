//! The place of something that is had from an upstream: a session, or what it says of itself.
//!
//! Whoever comes first gets it, and the others wait for that. A failure is theirs too: else each
//! of them would wait anew for a server that is silent.

use std::time::Duration;

use domain::Clock;
use parking_lot::Mutex;

use crate::refusal::{Refusal, UpstreamError};

pub(crate) struct Slot<T> {
    kept: Mutex<Option<Kept<T>>>,
    getting: tokio::sync::Mutex<()>,
}

enum Kept<T> {
    Got(T),
    Failed { error: UpstreamError, until: Duration },
}

/// How long a failure is remembered.
const FAILED: Duration = Duration::from_secs(2);

impl<T: Clone> Slot<T> {
    /// What is there, if it is good still; else what `get` gives.
    pub(crate) async fn get(
        &self,
        (server, clock): (&str, &dyn Clock),
        is_good: impl Fn(&T) -> bool,
        get: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        if let Some(known) = self.known(server, &is_good, clock) {
            return known;
        }
        let _getting = self.getting.lock().await;
        if let Some(known) = self.known(server, &is_good, clock) {
            return known;
        }
        let got = get.await;
        let kept = match &got {
            Ok(got) => Kept::Got(got.clone()),
            Err(Refusal::Upstream { source, .. }) => {
                Kept::Failed { error: source.clone(), until: clock.elapsed() + FAILED }
            }
            // Our own refusal is that of one caller.
            Err(_) => return got,
        };
        *self.kept.lock() = Some(kept);
        got
    }

    /// What has been got.
    pub(crate) fn got(&self) -> Option<T> {
        match &*self.kept.lock() {
            Some(Kept::Got(got)) => Some(got.clone()),
            _ => None,
        }
    }

    /// Lets go of what is there.
    pub(crate) fn forget(&self) {
        *self.kept.lock() = None;
    }

    fn known(
        &self,
        server: &str,
        is_good: impl Fn(&T) -> bool,
        clock: &dyn Clock,
    ) -> Option<Result<T, Refusal>> {
        match self.kept.lock().as_ref()? {
            Kept::Got(got) => is_good(got).then(|| Ok(got.clone())),
            Kept::Failed { error, until } => {
                (clock.elapsed() < *until).then(|| Err(Refusal::upstream(server, error.clone())))
            }
        }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { kept: Mutex::default(), getting: tokio::sync::Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::FutureExt;
    use futures::future::join_all;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn all_who_wait_share_one_outcome_and_a_failure_is_soon_forgotten() {
        let (slot, clock, asked) = (Slot::default(), Hand::default(), Cell::new(0));
        let get = |outcome: Result<u8, UpstreamError>, at| {
            let (slot, clock, asked) = (&slot, &clock, &asked);
            slot.get(("files", clock), |it| *it != 9, async move {
                asked.set(asked.get() + 1);
                tokio::task::yield_now().await;
                clock.0.store(at, Ordering::Relaxed);
                outcome.map_err(|error| Refusal::upstream("files", error))
            })
        };
        let failing = (0..5).map(|_| get(Err(UpstreamError::NoAnswer), 10));
        for outcome in join_all(failing).await {
            assert_eq!(
                outcome.unwrap_err().to_string(),
                "`files` failed: it ended without an answer"
            );
        }
        assert_eq!(asked.get(), 1, "one for all of them");
        assert!(get(Ok(1), 11).await.is_err(), "it is remembered, counted from its end");
        clock.0.store(12, Ordering::Relaxed);
        let found = join_all((0..5).map(|_| get(Ok(9), 12))).await;
        assert!(found.into_iter().all(|it| it.is_ok_and(|it| it == 9)));
        assert_eq!(asked.get(), 6, "what is no good is got anew by each");
        assert_eq!(get(Ok(1), 12).await.unwrap(), 1);
        assert_eq!(get(Ok(2), 12).await.unwrap(), 1);
        assert_eq!((asked.get(), slot.got()), (7, Some(1)));
    }

    #[tokio::test]
    async fn what_is_there_is_had_while_somebody_waits_for_better() {
        let (slot, clock) = (Slot::default(), Hand::default());
        let there = || slot.get(("files", &clock), |_| true, async { Ok(1) });
        assert_eq!(there().await.unwrap(), 1);
        let (_never, waits) = oneshot::channel::<u8>();
        let mut waiting =
            Box::pin(slot.get(("files", &clock), |_| false, async { Ok(waits.await.unwrap()) }));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(there().now_or_never().unwrap().unwrap(), 1);
    }

    /// A clock in seconds, turned by hand.
    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            chrono::DateTime::UNIX_EPOCH + self.elapsed()
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        fn id(&self) -> uuid::Uuid {
            uuid::Uuid::nil()
        }
    }
}
