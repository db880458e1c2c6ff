//! What a client has answered, on its way to the server that has asked.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use inspect::Hit;
use mcp::bridge::parked::Question;
use mcp::errors;
use mcp::revision::Revision;
use uuid::Uuid;

use crate::authorize::{self, Pass};
use crate::forward::Sent;
use crate::link::{Channel, Letter, Link};
use crate::record::{Aside, Outcome, Said, Within};
use crate::refusal::{Refusal, UpstreamError};
use crate::route::Place;
use crate::serve::Worker;

/// Answers on their way to the server.
pub(super) struct Handing {
    sent: (Arc<Link>, Channel, Arc<Worker>),
    pass: Pass,
    within: Uuid,
    from: (Place, IpAddr, Revision),
    answers: Vec<(Question, Bytes)>,
    hits: Vec<Hit>,
}

impl Handing {
    /// Under a permission like that of the retry, which goes on to wait for what comes.
    pub(super) fn of(
        sent: &Sent,
        answers: Vec<(Question, Bytes)>,
        hits: Vec<Hit>,
    ) -> Result<Self, Refusal> {
        let permitted = sent.recorded.permitted();
        let (asked, pass) = (&permitted.asked, &permitted.pass);
        let (caller, place) = (pass.caller.clone(), pass.place.clone());
        let own = authorize::authorize(&pass.proxy, caller, place, pass.offered.clone())?;
        let from = (asked.place.clone(), asked.peer, asked.revision);
        let way = (Arc::clone(&sent.way.link), sent.way.channel.clone(), Arc::clone(&asked.worker));
        Ok(Self { sent: way, pass: own, within: sent.recorded.call(), from, answers, hits })
    }

    /// One after the other, each of them recorded, and through the last gate.
    pub(super) async fn run(self) -> Result<(), Refusal> {
        let Self { sent, pass, within, from, answers, mut hits } = self;
        let ((link, channel, worker), (place, peer, revision)) = (&sent, &from);
        for (question, answer) in answers {
            let body = errors::result_body(&question.id, &answer);
            let method = question.asked.method;
            let said = Said { worker, place, peer: *peer, revision: *revision, method };
            let hits = std::mem::take(&mut hits);
            hand((link, channel), (within, &pass), &said, (body, &hits)).await?;
        }
        Ok(())
    }
}

/// Gives one answer to the server that has asked within a call, recorded, and through the last gate.
///
/// # Errors
/// It has not got there, or its server has not taken it.
pub(crate) async fn hand(
    (link, channel): (&Link, &Channel),
    (within, pass): (Uuid, &Pass),
    said: &Said<'_>,
    (body, hits): (Bytes, &[Hit]),
) -> Result<(), Refusal> {
    let patience = pass.proxy.options.probe;
    let told = (vec![body.clone()], hits);
    let aside = Aside::begin_within(Within::Call(within), pass, said, told).await?;
    let letter = Letter { parts: vec![body], id: None, progress: false, headers: HeaderMap::new() };
    let posting = async {
        let mut exchange = link.post(said.worker, pass, channel, letter).await?;
        let status = exchange.status();
        while let Some(Ok(_)) = exchange.next().await {}
        Ok(status)
    };
    let posting = tokio::time::timeout(patience, pass.unless_ended(posting));
    let late = || Err(link.refuse(UpstreamError::Timeout(patience)));
    match posting.await.unwrap_or_else(|_| late()) {
        Ok(status) => {
            aside.end(&Outcome::told(status)).await?;
            if !status.is_success() {
                return Err(link.refuse(UpstreamError::Status(status.as_u16())));
            }
            Ok(())
        }
        Err(refusal) => {
            aside.end(&Outcome::refused(&refusal)).await?;
            Err(refusal)
        }
    }
}
