//! Waiting for something, and not for ever.

use std::time::Duration;

/// How long anything may take that a test waits for. Long, since machines are busy; a test that
/// works never waits as long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the future gives.
///
/// # Panics
/// If it takes too long; `what` says what was waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited too long: {what}"),
    }
}

/// What `look` finds, for what cannot be awaited: another process's files, for one.
///
/// # Panics
/// If it takes too long; `what` says what was waited for.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look() {
                return found;
            }
        }
    };
    within(what, looking).await
}
