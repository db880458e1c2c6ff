//! `resources/subscribe` and its opposite, for servers that do not know them, or share what they
//! know among all clients.

use bytes::Bytes;
use domain::{AssignmentId, Kind};
use http::{Response, StatusCode};
use mcp::json::Raw;
use mcp::revision::Era;

use super::can_watch;
use crate::answer;
use crate::body::Body;
use crate::call::{Asked, Permitted};
use crate::record;
use crate::refusal::Refusal;
use crate::session::Session;

/// What a legacy client wants to hear of a resource, or no more.
pub(crate) struct Wish<'a> {
    session: &'a Session,
    of: AssignmentId,
    uri: &'a str,
    is_on: bool,
}

impl<'a> Wish<'a> {
    /// The wish that a request is, if it is one for us and not for its server.
    pub(crate) fn of(permitted: &'a Permitted) -> Option<Self> {
        let is_on = match permitted.asked.message.method() {
            "resources/subscribe" => true,
            "resources/unsubscribe" => false,
            _ => return None,
        };
        let session = permitted.asked.session.as_deref()?;
        let offered = permitted.pass.offered.as_ref().filter(|it| it.kind == Kind::Resource)?;
        let ours = permitted.spoken == Era::Modern || session.shares(&offered.assignment.server);
        let (of, uri) = (offered.assignment.id, offered.name.as_ref());
        ours.then_some(Self { session, of, uri, is_on })
    }

    /// Notes it, and answers. What it changes is seen by the client's stream.
    pub(crate) async fn grant(&self, permitted: &Permitted) -> Response<Body> {
        let asked = &permitted.asked;
        match self.noted(permitted).await {
            Ok(()) => {
                let empty = Bytes::from_static(b"{}");
                answer::json(StatusCode::OK, answer::result(asked.id(), [empty]))
            }
            Err(refusal) => asked.refuse(&refusal).await,
        }
    }

    async fn noted(&self, permitted: &Permitted) -> Result<(), Refusal> {
        let asked = &permitted.asked;
        if self.is_on && !self.can_be_had(asked).await {
            return Err(Refusal::UnknownMethod { method: asked.message.method().to_owned() });
        }
        permitted.pass.clear().await?;
        record::answered(asked).await?;
        if self.is_on {
            return self.session.watch(self.of, self.uri);
        }
        self.session.unwatch(self.of, self.uri);
        Ok(())
    }

    /// Whether the server tells anybody of its resources.
    async fn can_be_had(&self, asked: &Asked) -> bool {
        let exposed = asked.message.params().and_then(|it| it.get("uri")).and_then(Raw::str);
        let view = asked.worker.proxy.catalog.view_for(asked, exposed.as_deref()).await;
        view.parts.iter().any(|it| it.assignment.id == self.of && can_watch(it))
    }
}
