//! The stream of a legacy session for what belongs to no call.
//!
//! It is opened when the client is ready, and again whenever it ends: where it was left, after the
//! pause that the gateway asks for, or after growing ones while the gateway cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use mcp::headers::LAST_EVENT_ID;

use super::answer::{Answer, Place};
use super::call::is_told;
use super::session::Session;
use super::trouble::Trouble;
use super::{Bridge, renewal};

/// The least that is waited before a stream is opened again, doubled each time in vain up to the
/// most.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(30);

/// How soon, where the gateway does not say.
const SOON: Duration = Duration::from_secs(1);

/// Opens the session's stream, and keeps it open as long as the session lives.
pub(super) fn open(bridge: &Arc<Bridge>, session: Arc<Session>) {
    let owned = Arc::clone(bridge);
    bridge.tasks.spawn(async move {
        let life = session.life.clone();
        life.run_until_cancelled(keep(&owned, &session)).await;
    });
}

/// How long to wait after so many times in vain.
pub(super) fn pause(place: &Place, in_vain: u32) -> Duration {
    let growing = LEAST.saturating_mul(1 << in_vain.min(16)).min(MOST);
    place.retry.unwrap_or(SOON).min(MOST).max(growing)
}

async fn keep(bridge: &Arc<Bridge>, session: &Session) {
    let mut place = Place::default();
    let mut in_vain: u32 = 0;
    loop {
        let mut headers = session.headers();
        if let Some(id) = &place.id {
            headers.insert(LAST_EVENT_ID, id.clone());
        }
        match bridge.gateway.get(headers).await {
            Ok(mut answer) if answer.is_stream() => {
                bridge.sessions.count_lost(false);
                if hear(bridge, session, &mut answer).await {
                    in_vain = 0;
                }
                place.follow(&answer.place);
            }
            Err(trouble) if session.is_lost(&trouble) => {
                // One that is lost as soon as it is open would be opened for ever.
                let lost = bridge.sessions.count_lost(true);
                if 0 < lost {
                    tokio::time::sleep(pause(&Place::default(), lost - 1)).await;
                }
                match renewal::renew(bridge, session).await {
                    // It has a stream of its own.
                    Ok(_) | Err(Trouble::SessionLost | Trouble::OtherRevision) => return,
                    Err(trouble) => tracing::warn!(%trouble, "No session could be opened"),
                }
            }
            Err(trouble) if trouble.status() == Some(400) && place.id.is_some() => {
                place.id = None;
                tracing::warn!("What the gateway said meanwhile is not kept any more");
            }
            Err(trouble) if trouble.may_pass() || is_a_matter_of_rights(&trouble) => {
                let quiet = 0 < in_vain;
                if quiet {
                    tracing::debug!(%trouble, "Changes cannot be heard");
                } else {
                    tracing::warn!(%trouble, "Changes cannot be heard at the moment");
                }
            }
            // The gateway has no such stream.
            Ok(_) | Err(_) => return,
        }
        tokio::time::sleep(pause(&place, in_vain)).await;
        in_vain += 1;
    }
}

/// Passes on what comes; whether anything did.
async fn hear(bridge: &Bridge, session: &Session, answer: &mut Answer) -> bool {
    let mut has_heard = false;
    loop {
        match answer.next().await {
            Ok(Some(message)) => {
                has_heard = true;
                if is_told(&message) {
                    bridge.out.say(&session.marked(&message)).await;
                }
            }
            Ok(None) => return has_heard,
            Err(trouble) => {
                tracing::debug!(%trouble, "The stream for changes broke off");
                return has_heard;
            }
        }
    }
}

/// Whether it may end when somebody gives the right back, or another token.
fn is_a_matter_of_rights(trouble: &Trouble) -> bool {
    matches!(trouble.status(), Some(401 | 403))
}
