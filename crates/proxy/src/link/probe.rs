//! One question to a server: whether it is there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::EraSetting;
use http::HeaderMap;
use mcp::bridge::askable::Askable;
use mcp::errors;

use super::{Channel, Letter, Link, UpstreamSession, final_answer, hello};
use crate::authorize::Pass;
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;

impl Link {
    /// Asks the server for a word, in its own era: a modern one what it is, a legacy one by `ping`.
    ///
    /// # Errors
    /// When it gives none, or may not be asked.
    pub(crate) async fn probe(&self, worker: &Worker, pass: &Pass) -> Result<(), Refusal> {
        if self.server.era != EraSetting::Legacy && self.is_modern(worker, pass).await? {
            return Ok(());
        }
        if self.server.era == EraSetting::Modern {
            return Err(self.refuse(UpstreamError::Era));
        }
        // The session in which is listed, lest each question leave one behind.
        let session = self.plain_session(worker, pass, (None, Askable::NOTHING)).await?;
        self.ping(worker, pass, &session).await
    }

    /// Asks the modern side, if there may be one.
    async fn is_modern(&self, worker: &Worker, pass: &Pass) -> Result<bool, Refusal> {
        let known = super::slot(&self.modern, self.asks_as(pass)).got();
        if known.is_none_or(|it| it.found.is_none()) {
            return Ok(self.discover(worker, pass).await?.is_some());
        }
        let (found, _) = hello::discover(self, worker, pass).await?;
        if found.is_none() {
            self.forget_modern(pass);
        }
        Ok(found.is_some())
    }

    /// Any answer will do.
    async fn ping(
        &self,
        worker: &Worker,
        pass: &Pass,
        session: &Arc<UpstreamSession>,
    ) -> Result<(), Refusal> {
        let id = self.next_id();
        let body = errors::request_body(id.to_string().as_bytes(), "ping", None);
        let letter =
            Letter { parts: vec![body], id: Some(id), progress: false, headers: HeaderMap::new() };
        let channel = Channel::Legacy(Arc::clone(session));
        let mut exchange = self.post(worker, pass, &channel, letter).await?;
        match exchange.status().as_u16() {
            404 if session.can_be_forgotten() => {
                // It has been started anew, perhaps: the next one finds out in a new session.
                session.lost.store(true, Ordering::Relaxed);
                return Err(self.refuse(UpstreamError::SessionLost));
            }
            status @ (401 | 403 | 407 | 408 | 429 | 500..) => {
                return Err(self.refuse(UpstreamError::Status(status)));
            }
            _ => {}
        }
        let answer = final_answer(self, &mut exchange, id).await;
        answer.map(drop).map_err(|error| self.refuse(error))
    }
}
