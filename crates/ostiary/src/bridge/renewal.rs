//! A session in the place of one that the gateway has forgotten.
//!
//! A client on a pipe knows of no sessions, so it is not told: its own `initialize` is sent again,
//! then what it has wished for (its log level, the resources that it watches), and it hears that all
//! that it listens to may have changed. Calls under way are lost with the session and end with an
//! error, since nobody can know how far they came.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream;
use futures::{FutureExt, StreamExt};
use mcp::envelope::Message;
use mcp::errors;
use mcp::json::Raw;

use super::session::{Opened, Session, greet};
use super::trouble::Trouble;
use super::{Bridge, feed};

/// How many wishes are on their way to the gateway at a time.
const AT_ONCE: usize = 16;

/// The session that has taken the place of a lost one. All who ask at a time get the same.
///
/// # Errors
/// When the gateway opens none, or one of another revision than the client knows.
pub(super) async fn renew(bridge: &Arc<Bridge>, lost: &Session) -> Result<Arc<Session>, Trouble> {
    let renewing = {
        let mut held = bridge.sessions.0.lock();
        match (&held.current, &held.renewing) {
            (Some(current), _) if current.number != lost.number => return Ok(Arc::clone(current)),
            (_, Some(renewing)) => renewing.clone(),
            (Some(_), None) => {
                // A task, since those who wait for it may go before it is done.
                let (owned, lost) = (Arc::clone(bridge), (lost.number, lost.revision.clone()));
                let renewed = bridge.tasks.spawn(async move {
                    let life = owned.calls.clone();
                    let renewed = life.run_until_cancelled(again(&owned, lost)).await;
                    owned.sessions.0.lock().renewing = None;
                    renewed.unwrap_or(Err(Trouble::Stopping))
                });
                let renewing = async { renewed.await.unwrap_or(Err(Trouble::Stopping)) };
                let renewing = renewing.boxed().shared();
                held.renewing = Some(renewing.clone());
                renewing
            }
            (None, None) => return Err(Trouble::SessionLost),
        }
    };
    renewing.await
}

async fn again(
    bridge: &Arc<Bridge>,
    (number, revision): (u64, String),
) -> Result<Arc<Session>, Trouble> {
    let (hello, ready, wishes) = {
        let held = bridge.sessions.0.lock();
        let wishes: Vec<Message> = held.wishes.values().cloned().collect();
        (held.hello.clone(), held.ready.clone(), wishes)
    };
    let hello = hello.ok_or(Trouble::SessionLost)?;
    tracing::warn!("The gateway has forgotten the session: opening another one");
    let (opened, body) = greet(bridge, &hello).await?;
    let Some(Opened { id, revision: agreed, answer }) = opened else {
        let reason = String::from_utf8_lossy(&body).chars().take(200).collect();
        return Err(Trouble::NotMcp { reason });
    };
    if agreed != revision {
        return Err(Trouble::OtherRevision);
    }
    let session = {
        let mut held = bridge.sessions.0.lock();
        if held.current.as_ref().is_none_or(|it| it.number != number) {
            // The client has opened another one itself.
            return Err(Trouble::SessionLost);
        }
        held.install(id, agreed, &bridge.streams)
    };
    if let Some(ready) = ready {
        bridge.pass(session.headers(), ready.body().clone()).await;
        feed::open(bridge, Arc::clone(&session));
    }
    // None of them depends on another one.
    let pass = |it: &Message| -> BoxFuture<'_, ()> {
        let (headers, body) = (session.headers(), it.body().clone());
        Box::pin(bridge.pass(headers, body))
    };
    let passing: Vec<_> = wishes.iter().map(pass).collect();
    stream::iter(passing).buffer_unordered(AT_ONCE).collect::<()>().await;
    for change in changes(&answer, &wishes) {
        bridge.out.say(&change).await;
    }
    Ok(session)
}

/// What may have changed while nobody could tell.
fn changes(answer: &Message, wishes: &[Message]) -> Vec<bytes::Bytes> {
    let capabilities = answer.result().and_then(|it| it.get("capabilities"));
    let is_told = |kind: &&&str| {
        let told = capabilities.and_then(|it| it.at(&[**kind, "listChanged"]));
        told.and_then(Raw::bool) == Some(true)
    };
    let lists = ["tools", "prompts", "resources"]
        .iter()
        .filter(is_told)
        .map(|kind| errors::notification_body(&format!("notifications/{kind}/list_changed"), None));
    let watched = wishes.iter().filter_map(|it| it.params()?.get("uri")).map(|uri| {
        let params = [b"{\"uri\":", uri.bytes(), b"}"].concat();
        errors::notification_body("notifications/resources/updated", Some(&params))
    });
    lists.chain(watched).collect()
}
