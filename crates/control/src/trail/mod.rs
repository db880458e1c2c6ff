//! Every administrative act in the audit log.
//!
//! An act is recorded before it is done, and is not done where that fails; its end is recorded
//! after it and before it is answered, without undoing what has been done. The two records carry
//! the same `act`, which is the number of the request. What it has changed is the content of the
//! second ([`deed`]): readable, without secrets, and erasable. What is refused before it begins
//! leaves one record, and floods of that are counted ([`refused`]).
//!
//! Acts are in the log of the workspace that they are about. What is about a workspace as a whole,
//! and what is about none, is in the log of the installation.

mod deed;
mod masked;
mod refused;

use std::net::IpAddr;
use std::sync::Arc;

use audit::{Durability, Entry, Kind, Leaf};
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

pub(crate) use deed::Deed;
pub(crate) use refused::Refusals;

use crate::App;
use crate::api::{Error, Repeated, Touched, chain};
use crate::secret::find_secret;
use crate::session::Caller;
use refused::Of;

/// An act that has begun.
#[must_use]
pub(crate) struct Act {
    id: Uuid,
    logs: Vec<Uuid>,
    actor: Caller,
    what: What,
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub(crate) struct What {
    /// A method and an address as it is declared, or words.
    pub(crate) action: String,
    /// The address as it was called; empty where there was none.
    pub(crate) address: String,
}

/// How an act has ended.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) status: StatusCode,
    /// The kind of refusal, and what it says.
    pub(crate) refusal: Option<(&'static str, Option<String>)>,
    pub(crate) touched: Option<Touched>,
    /// Whether the answer was given before, and nothing has been done again.
    pub(crate) is_repeated: bool,
}

/// Acts that belong to no workspace are in a log of their own.
pub(crate) const INSTALLATION: Uuid = Uuid::nil();

/// Of whom nobody knows who they are. No name has a space.
const STRANGER: &str = "not signed in";

/// No address of ours is longer, nor is what we say of it.
const MOST_CHARS: usize = 1_024;

/// Records that someone is about to do something, as the act of that number; returns when that is
/// durable.
pub(crate) async fn open(
    app: &App,
    actor: &Caller,
    (id, what): (Uuid, What),
    logs: Vec<Uuid>,
) -> Result<Act, Error> {
    let mut act = Act { id, logs: Vec::new(), actor: actor.clone(), what };
    for log in logs {
        if let Err(error) = append(app, log, act.leaf("begun")).await {
            // Where it is said that it has begun, it must be said that it was not done.
            act.close(app, End::failed(&error)).await;
            return Err(error);
        }
        act.logs.push(log);
    }
    Ok(act)
}

/// Records that someone has asked for what they may not have, or for what is not there.
pub(crate) async fn refuse(
    app: &App,
    actor: &Caller,
    (id, what): (Uuid, What),
    (log, error): (Uuid, &Error),
) -> Result<(), Error> {
    let Some(before) = app.refusals.admit(app, (log, Of::Callers)) else { return Ok(()) };
    let act = Act { id, logs: vec![log], actor: actor.clone(), what };
    append_refused(app, act.leaf("refused"), (log, error, before)).await
}

/// Records that somebody has failed to prove to be whose account this is. It is no act of theirs.
pub(crate) async fn refuse_stranger(
    app: &App,
    (id, what, peer): (Uuid, What, Option<IpAddr>),
    ((log, whose), error): ((Uuid, &Touched), &Error),
) -> Result<(), Error> {
    let Some(before) = app.refusals.admit(app, (log, Of::Strangers)) else { return Ok(()) };
    let leaf = what.leaf(id, "refused").str("actor", STRANGER);
    let leaf = leaf.opt_str("peer", peer.map(|it| it.to_string()).as_deref());
    append_refused(app, about(leaf, whose), (log, error, before)).await
}

async fn append_refused(
    app: &App,
    leaf: Leaf,
    (log, error, before): (Uuid, &Error, u64),
) -> Result<(), Error> {
    let leaf = leaf.u64("status", error.status().as_u16().into());
    let mut leaf = refusal(leaf, error.recorded());
    if before != 0 {
        leaf = leaf.u64("unrecorded", before);
    }
    append(app, log, leaf).await
}

impl Act {
    /// Records how it ended. Returns when that is durable; where it cannot be, the log says so, and
    /// what has been done stays done.
    pub(crate) async fn close(self, app: &App, end: End) {
        let deed = end.touched.as_ref().and_then(Deed::of);
        for log in &self.logs {
            let mut leaf = self.leaf("ended").u64("status", u64::from(end.status.as_u16()));
            leaf = leaf.u64("epoch", app.publisher.newest().snapshot.epoch);
            if let Some(said) = &end.refusal {
                leaf = refusal(leaf, said.clone());
            }
            if end.is_repeated {
                leaf = leaf.bool("repeated", true);
            }
            if let Some(touched) = &end.touched {
                leaf = about(leaf, touched);
                if touched.is_trial {
                    leaf = leaf.bool("dry_run", true);
                }
            }
            // Once: what is erased with the content of a day must be nowhere else.
            if let Some(deed) = deed.as_ref().filter(|_| self.logs.first() == Some(log)) {
                leaf = self.keep(app, *log, deed, leaf).await;
            } else if deed.is_some() {
                leaf =
                    leaf.opt_str("content_of", self.logs.first().map(Uuid::to_string).as_deref());
            }
            if let Err(error) = append(app, *log, leaf).await {
                tracing::error!(error = %chain(&error), "The end of an act is not recorded");
            }
        }
    }

    /// Keeps what was changed, beside the log. A record without it says so.
    async fn keep(&self, app: &App, log: Uuid, deed: &Deed, leaf: Leaf) -> Leaf {
        let Some(store) = app.content.get().cloned() else { return leaf };
        let (id, parts) = (self.id, [Bytes::from(deed.to_bytes())]);
        // The key may have to be asked of the database, for which a thread waits.
        let durability = durability(app, log);
        let kept = tokio::task::spawn_blocking(move || store.append(log, id, &parts, durability));
        let kept = async {
            let (place, durable) = kept.await.map_err(Error::internal)?.map_err(Error::internal)?;
            durable.await.map_err(Error::internal)?;
            Ok::<_, Error>(place)
        };
        match kept.await {
            Ok(place) => leaf.content("content", &place),
            Err(error) => {
                tracing::error!(error = %chain(&error), "What an act has changed is not kept");
                leaf.str("content_lost", "it could not be stored")
            }
        }
    }

    fn leaf(&self, phase: &str) -> Leaf {
        self.what
            .leaf(self.id, phase)
            .str("actor", &self.actor.name)
            .uuid("actor_id", self.actor.id)
            .opt_str("actor_user_id", self.actor.user().map(|it| it.to_string()).as_deref())
            .str("by", self.actor.by())
            .opt_str("via", self.actor.via)
            .opt_str("peer", self.actor.address.map(|it| it.to_string()).as_deref())
    }
}

impl What {
    /// What has no address.
    pub(crate) fn words(action: impl Into<String>) -> Self {
        Self { action: action.into(), address: String::new() }
    }

    fn leaf(&self, id: Uuid, phase: &str) -> Leaf {
        let address = Some(plain(&self.address)).filter(|it| !it.is_empty());
        Leaf::new(Kind::Admin)
            .uuid("act", id)
            .str("phase", phase)
            .str("action", &self.action)
            .opt_str("address", address.as_deref())
    }
}

impl End {
    /// Without anything that was touched.
    pub(crate) fn with(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// With what was touched.
    pub(crate) fn touching(self, touched: Touched) -> Self {
        Self { touched: Some(touched), ..self }
    }

    /// As an error says.
    pub(crate) fn failed(error: &Error) -> Self {
        Self { refusal: Some(error.recorded()), ..Self::with(error.status()) }
    }

    /// As a request was answered.
    pub(crate) fn of(response: &Response) -> Self {
        Self {
            status: response.status(),
            refusal: Error::of(response),
            touched: response.extensions().get::<Touched>().cloned(),
            is_repeated: response.extensions().get::<Repeated>().is_some(),
        }
    }
}

fn about(leaf: Leaf, touched: &Touched) -> Leaf {
    let leaf = leaf.str("object", touched.kind).uuid("object_id", touched.id);
    // Not all of them are names: a test call is named for a tool as somebody has written it.
    leaf.str("object_name", &plain(&touched.name))
}

fn refusal(leaf: Leaf, (code, reason): (&'static str, Option<String>)) -> Leaf {
    leaf.str("code", code).opt_str("reason", reason.as_deref().map(plain).as_deref())
}

/// What somebody has written into an address, or is told of it. A record is for ever, and who mistakes
/// a token for its name must not find it there.
fn plain(text: &str) -> String {
    let mut rest: String = text.chars().take(MOST_CHARS).collect();
    let mut plain = String::new();
    while let Some((start, end)) = find_secret(&rest) {
        let (before, after) = (rest.get(..start), rest.get(end..));
        plain.push_str(before.unwrap_or_default());
        plain.push_str("[secret]");
        rest = after.unwrap_or_default().to_owned();
    }
    plain + &rest
}

/// How durable the record of an act is before the act goes on: as that of calls is in the workspace; and
/// above all workspaces, as in the one that asks for most.
fn durability(app: &App, log: Uuid) -> Durability {
    let snapshot = Arc::clone(&app.publisher.newest().snapshot);
    let mut workspaces = snapshot.config.workspaces.values();
    let asks = |it: &Arc<domain::Workspace>| it.durability == domain::Durability::Synced;
    let is_asked = workspaces.any(|it| (log == INSTALLATION || it.id.0 == log) && asks(it));
    if is_asked { Durability::Synced } else { Durability::Written }
}

async fn append(app: &App, log: Uuid, leaf: Leaf) -> Result<(), Error> {
    let entry = Entry { workspace: log, kind: Kind::Admin, leaf: leaf.finish() };
    match app.log.append(entry, durability(app, log)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Unrecorded(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_an_address_is_not_recorded() {
        let token = crate::secret::fresh("osta_");
        let token = token.expose_text().unwrap();
        let address = format!("/api/v1/admin-tokens/{token}");
        assert_eq!(plain(&address), "/api/v1/admin-tokens/[secret]");
        let said = format!("there is no admin token `{token}`, nor `{token}x`");
        assert_eq!(plain(&said), "there is no admin token `[secret]`, nor `[secret]`");
        let escaped = format!("/api/v1/admin-tokens/my%20{token}%20x{token}");
        assert_eq!(plain(&escaped), "/api/v1/admin-tokens/my%20[secret]%20x[secret]");
        let name = format!("/api/v1/workspaces/default/users/osta-{}", "a".repeat(58));
        assert_eq!(plain(&name), name);
        assert_eq!(plain(&"/".repeat(5_000)).len(), MOST_CHARS);
    }
}
