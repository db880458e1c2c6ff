//! `subscriptions/listen`: a stream that is kept open as long as the client listens.
//!
//! When it breaks it is opened again. What has changed meanwhile nobody can tell, so the client then
//! hears that all that it listens to may have. It is not told of the second beginning, since to a
//! client on a pipe its subscription has never ended.

use std::sync::Arc;

use bytes::Bytes;
use mcp::envelope::Message;
use mcp::errors;
use mcp::json::Raw;
use mcp::meta::{META, SUBSCRIPTION_ID};

use super::Bridge;
use super::answer::{Answer, Place};
use super::call::{answering, is_told, modern_headers};
use super::feed::pause;
use super::trouble::Trouble;

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// What the gateway has agreed to tell, and the notification that says that it has changed.
const LISTS: [(&str, &str); 3] = [
    ("toolsListChanged", "notifications/tools/list_changed"),
    ("promptsListChanged", "notifications/prompts/list_changed"),
    ("resourcesListChanged", "notifications/resources/list_changed"),
];

/// Listens until the gateway ends the subscription.
///
/// # Errors
/// When it was never begun, or cannot be any more.
pub(super) async fn listen(bridge: &Arc<Bridge>, message: &Message) -> Result<(), Trouble> {
    let mut listening = Listening { bridge, message, agreed: None, in_vain: 0 };
    loop {
        let headers = modern_headers(bridge, message);
        let trouble = match bridge.gateway.post(headers, message.body().clone()).await {
            Ok(answer) => match listening.hear(answer).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            },
            Err(trouble) => trouble,
        };
        if listening.agreed.is_none() || !trouble.may_pass() {
            return Err(trouble);
        }
        if listening.in_vain == 0 {
            tracing::warn!(%trouble, "Changes cannot be heard at the moment");
        }
        tokio::time::sleep(pause(&Place::default(), listening.in_vain)).await;
        listening.in_vain += 1;
    }
}

struct Listening<'a> {
    bridge: &'a Bridge,
    message: &'a Message,
    /// The acknowledgement that the client has heard.
    agreed: Option<Message>,
    /// How often the stream was opened and brought nothing.
    in_vain: u32,
}

impl Listening<'_> {
    /// Passes on what comes, to the end of the subscription.
    async fn hear(&mut self, mut answer: Answer) -> Result<(), Trouble> {
        while let Some(said) = answer.next().await? {
            if let Some(body) = answering(&said, self.message) {
                self.bridge.out.say(&body).await;
                return Ok(());
            }
            self.in_vain = 0;
            if said.method() != ACKNOWLEDGED {
                if is_told(&said) {
                    self.bridge.out.say(said.body()).await;
                }
            } else if self.agreed.is_some() {
                for change in changes(&said, self.message) {
                    self.bridge.out.say(&change).await;
                }
            } else {
                self.bridge.out.say(said.body()).await;
                self.agreed = Some(said);
            }
        }
        Err(Trouble::BrokenOff { cause: "its stream ended".to_owned() })
    }
}

/// All that may have changed of what the gateway has agreed to tell.
fn changes(acknowledged: &Message, message: &Message) -> Vec<Bytes> {
    let Some(id) = message.id() else { return Vec::new() };
    let agreed = acknowledged.params().and_then(|it| it.get("notifications"));
    let meta = format!("\"{META}\":{{\"{SUBSCRIPTION_ID}\":{}}}", id.text());
    let told = |method: &str, rest: &str| {
        let params = format!("{{{meta}{rest}}}");
        errors::notification_body(method, Some(params.as_bytes()))
    };
    let has = |key: &str| agreed.and_then(|it| it.get(key)).and_then(Raw::bool) == Some(true);
    let lists = LISTS.iter().filter(|(key, _)| has(key)).map(|(_, method)| told(method, ""));
    let watched = agreed.and_then(|it| it.get("resourceSubscriptions"));
    let watched = watched.into_iter().flat_map(Raw::items).filter(|it| it.str().is_some());
    let watched = watched
        .map(|uri| told("notifications/resources/updated", &format!(",\"uri\":{}", uri.text())));
    lists.chain(watched).collect()
}
