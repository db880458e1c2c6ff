//! Every administrative act in the audit log.
//!
//! An act is recorded before it is done, and is not done where that fails; its end is recorded
//! after it, without undoing what has been done. The two records carry the same `act`. Digests
//! say what has changed; no content and no secret is in a record.

use audit::{Entry, Kind, Leaf};
use axum::http::StatusCode;
use uuid::Uuid;

use crate::App;
use crate::api::{Error, Touched, chain};
use crate::session::Caller;

/// An act that has begun.
#[must_use]
pub(crate) struct Act {
    id: Uuid,
    workspace: Uuid,
    actor: Caller,
    action: String,
}

/// Acts that belong to no workspace are in a log of their own.
pub(crate) const INSTALLATION: Uuid = Uuid::nil();

/// Records that someone is about to do something, as the act of that number; returns when that is
/// durable.
pub(crate) async fn open(
    app: &App,
    actor: &Caller,
    (id, action): (Uuid, &str),
    workspace: Option<Uuid>,
) -> Result<Act, Error> {
    let act = Act {
        id,
        workspace: workspace.unwrap_or(INSTALLATION),
        actor: actor.clone(),
        action: action.to_owned(),
    };
    let leaf = act.leaf("begun").finish();
    let entry = Entry { workspace: act.workspace, kind: Kind::Admin, leaf };
    match app.log.append(entry, audit::Durability::Written).await {
        Ok(_) => Ok(act),
        Err(error) => Err(Error::Unrecorded(error.into())),
    }
}

impl Act {
    /// Records how it ended, soon.
    pub(crate) fn close(self, app: &App, status: StatusCode, touched: Option<&Touched>) {
        let mut leaf = self.leaf("ended").u64("status", status.as_u16().into());
        if let Some(touched) = touched {
            leaf = leaf
                .str("object", touched.kind)
                .uuid("object_id", touched.id)
                .str("object_name", &touched.name)
                .opt_str("before", touched.before.as_deref())
                .opt_str("after", touched.after.as_deref());
        }
        let entry = Entry { workspace: self.workspace, kind: Kind::Admin, leaf: leaf.finish() };
        let appended = app.log.append(entry, audit::Durability::Written);
        app.tasks.spawn(async move {
            if let Err(error) = appended.await {
                tracing::error!(error = %chain(&error), "The end of an act is not recorded");
            }
        });
    }

    fn leaf(&self, phase: &str) -> Leaf {
        Leaf::new(Kind::Admin)
            .uuid("act", self.id)
            .str("phase", phase)
            .str("action", &self.action)
            .str("actor", &self.actor.name)
            .uuid("actor_id", self.actor.id)
            .opt_str("actor_user_id", self.actor.user().map(|it| it.to_string()).as_deref())
            .opt_str("via", self.actor.via)
            .opt_str("peer", self.actor.address.map(|it| it.to_string()).as_deref())
    }
}
