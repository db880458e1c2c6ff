//! The record of a call, as it is written.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use audit::{Kind, Live, Subscription, TailEntry};
use serde_json::Value;
use uuid::Uuid;

use crate::App;

/// How long is waited for the record of an end that comes after the answer, as where a call was given up.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many of the newest records are looked through.
const NEWEST: usize = 1_000;

/// One call.
pub(super) struct Followed {
    app: Arc<App>,
    log: Uuid,
    call: Uuid,
    live: Subscription,
    intent: Option<(u64, Value)>,
    outcome: Option<(u64, Value)>,
}

impl Followed {
    /// To be called before it is made.
    pub(super) fn begin(app: &Arc<App>, log: Uuid, call: Uuid) -> Self {
        let live = app.log.subscribe(log);
        Self { app: Arc::clone(app), log, call, live, intent: None, outcome: None }
    }

    /// What `calling` gives, while records are heard of. Where it is given up before, it is dropped, as
    /// that of a client who leaves, and this says why.
    pub(super) async fn until<T>(
        &mut self,
        calling: impl Future<Output = T>,
        given_up: impl Future<Output = &'static str>,
    ) -> Result<T, &'static str> {
        let (mut calling, mut given_up) = (Box::pin(calling), pin!(given_up));
        let done = loop {
            tokio::select! {
                biased;
                done = &mut calling => break Ok(done),
                why = &mut given_up => break Err(why),
                Some(said) = self.live.next() => self.note(said),
            }
        };
        drop(calling);
        while let Some(said) = self.live.try_next() {
            self.note(said);
        }
        done
    }

    /// Waits for the record of its end.
    pub(super) async fn until_its_end(&mut self) {
        let waiting = async {
            while self.outcome.is_none() {
                let Some(said) = self.live.next().await else { return };
                self.note(said);
            }
        };
        // What is not there by then is said to be not there.
        drop(tokio::time::timeout(PATIENCE, waiting).await);
    }

    /// Where its two records are in the log, as far as they have their places by now: they get them with
    /// the next sync, for which nobody waits who has an answer to give.
    pub(super) fn places(&self) -> (Option<u64>, Option<u64>) {
        let newest = self.app.log.tail(self.log, NEWEST);
        let place = |of: &Option<(u64, Value)>| {
            let (sequence, _) = of.as_ref()?;
            newest.iter().find(|it| it.sequence == *sequence)?.index
        };
        (place(&self.intent), place(&self.outcome))
    }

    pub(super) fn intent(&self) -> Option<&Value> {
        self.intent.as_ref().map(|it| &it.1)
    }

    pub(super) fn outcome(&self) -> Option<&Value> {
        self.outcome.as_ref().map(|it| &it.1)
    }

    fn note(&mut self, said: Live) {
        let Live::Entry(TailEntry { sequence, kind, text, .. }) = said else { return };
        let call = self.call.to_string();
        if !text.contains(&call) {
            return;
        }
        let Ok(record) = serde_json::from_str::<Value>(&text) else { return };
        if record.get("call").and_then(Value::as_str) != Some(call.as_str()) {
            return;
        }
        match kind {
            Kind::Intent => self.intent = Some((sequence, record)),
            Kind::Outcome => self.outcome = Some((sequence, record)),
            _ => {}
        }
    }
}
