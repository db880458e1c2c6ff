//! What a change does to what is under way.
//!
//! What is seen at a glance ends at once: what a switch turns off, and all that rests on no policy. The
//! rest is judged on a thread of its own, since policies take their time and everything else goes on
//! meanwhile. What ends by it loses its servers after that, so that it ends of what has ended it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ports::{Answer, Traffic};
use domain::{Config, Snapshot};

use crate::authorize::{Grounds, check_switches};
use crate::flight::{Standing, Stopping};
use crate::serve::Proxy;

impl Traffic for Proxy {
    fn settle(&self, snapshot: Arc<Snapshot>) -> Answer<'_, usize> {
        let now = self.clock.now();
        let close = self.closing(&snapshot);
        let stopping = self.flights.stop(|it, by| it.glance(by, &snapshot, now));
        if stopping.is_clear() {
            close();
            return Box::pin(stopping.until_written());
        }
        self.judge(stopping, close)
    }

    fn renew(&self, until: Duration) {
        self.flights.renew(until);
    }
}

impl Grounds {
    /// Whether they hold, of what has been judged by another configuration since: what policies have to
    /// decide is not seen at a glance. Where nothing but switches has changed, they are not asked: what the
    /// time changes is looked at by each gate.
    fn glance(
        &self,
        by: Option<&Arc<Config>>,
        snapshot: &Snapshot,
        now: DateTime<Utc>,
    ) -> Standing {
        let by = by.unwrap_or(&self.place.config);
        if self.offered.is_some() && Arc::ptr_eq(by, &snapshot.config) {
            let is_over = self.caller.remains(now).is_some_and(|it| it.is_zero());
            let is_on = check_switches(snapshot, &self.subject, now).is_ok();
            let holds = is_on && !is_over && self.caller.check_starter(snapshot).is_ok();
            return if holds { Standing::Holds } else { Standing::Ends };
        }
        let workspace = snapshot.config.workspace(self.caller.workspace.id);
        if self.offered.is_some() && workspace.is_some_and(|it| !it.policies.is_empty()) {
            return match check_switches(snapshot, &self.subject, now) {
                Ok(()) => Standing::Unclear,
                Err(_) => Standing::Ends,
            };
        }
        if self.hold(snapshot, now) { Standing::Holds } else { Standing::Ends }
    }
}

impl Proxy {
    /// What takes away the servers that nothing may come of any more.
    fn closing(&self, snapshot: &Arc<Snapshot>) -> impl FnOnce() + Send + use<> {
        let now = self.clock.now();
        let close_lines = self.links.closing_lines(snapshot, now);
        let barred = self.links.barred(snapshot, now);
        let (tasks, runtime) = (self.options.tasks.clone(), self.options.runtime.clone());
        move || {
            for link in barred {
                // A process takes its time to end; what it is given to read ends at once.
                tasks.spawn_on(async move { link.stop().await }, &runtime);
            }
            close_lines();
        }
    }

    /// Judges what was unclear, to the end, whoever waits for it: what has not been judged may not go on.
    fn judge(
        &self,
        mut stopping: Stopping,
        close: impl FnOnce() + Send + 'static,
    ) -> Answer<'_, usize> {
        let (gate, clock) = (Arc::clone(&self.gate), Arc::clone(&self.clock));
        let runtime = self.options.runtime.clone();
        let judging = async move {
            let _turn = stopping.turn().await;
            let judging = move || {
                stopping.judge(|| {
                    let (latest, now) = (gate.latest(), clock.now());
                    move |it: &Grounds| it.hold(&latest, now).then(|| Arc::clone(&latest.config))
                });
                close();
                stopping
            };
            runtime.spawn_blocking(judging).await
        };
        let judging = self.options.tasks.spawn_on(judging, &self.options.runtime);
        Box::pin(async move {
            match judging.await {
                Ok(Ok(stopping)) => stopping.until_written().await,
                // Nobody knows, and nobody is told otherwise.
                _ => pending().await,
            }
        })
    }
}
