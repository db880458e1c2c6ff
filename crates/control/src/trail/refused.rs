//! Refused acts: so many of a minute are recorded, the rest is counted and said at its end. Those of
//! strangers are counted apart: what they try hides nothing of what is done with a credential.

use std::collections::HashMap;
use std::time::Duration;

use audit::{Kind, Leaf};
use parking_lot::Mutex;
use uuid::Uuid;

use super::append;
use crate::App;
use crate::api::chain;

/// Those of each log.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<(Uuid, Of), Window>>);

/// Whose acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Of {
    /// Whoever has shown a credential.
    Callers,
    Strangers,
}

#[derive(Default)]
struct Window {
    began: Duration,
    recorded: u64,
    /// How many were not.
    beyond: u64,
}

/// In a minute, of each workspace: as many as of strangers to its gateways.
const MOST: u64 = 200;

const MINUTE: Duration = Duration::from_secs(60);

impl Refusals {
    /// Whether one more is to be recorded; then, how many were not before it.
    pub(super) fn admit(&self, app: &App, whose: (Uuid, Of)) -> Option<u64> {
        let now = app.clock.elapsed();
        let mut windows = self.0.lock();
        let window =
            windows.entry(whose).or_insert_with(|| Window { began: now, ..Window::default() });
        let mut before = 0;
        if window.began + MINUTE <= now {
            before = window.beyond;
            *window = Window { began: now, ..Window::default() };
        }
        if window.recorded < MOST {
            window.recorded += 1;
            return Some(before);
        }
        window.beyond += 1;
        None
    }

    /// Records how many were not recorded, every minute until the end, and then once more.
    pub(crate) async fn keep(app: std::sync::Arc<App>) {
        let mut minutes = tokio::time::interval(MINUTE);
        minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_over = tokio::select! {
                () = app.stop.cancelled() => true,
                _ = minutes.tick() => false,
            };
            for (log, count) in app.refusals.take(app.clock.elapsed()) {
                let leaf = Leaf::new(Kind::Admin).str("phase", "refused").u64("unrecorded", count);
                if let Err(error) = append(&app, log, leaf).await {
                    tracing::error!(error = %chain(&error), count, "Refused acts are not recorded");
                }
            }
            if is_over {
                return;
            }
        }
    }

    fn take(&self, now: Duration) -> Vec<(Uuid, u64)> {
        let mut windows = self.0.lock();
        windows.retain(|_, it| it.beyond != 0 || now < it.began + MINUTE);
        let beyond =
            windows.iter_mut().map(|((log, _), it)| (*log, std::mem::take(&mut it.beyond)));
        beyond.filter(|it| it.1 != 0).collect()
    }
}
