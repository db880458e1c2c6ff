//! Tasks that are tended and that a client listens to.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use mcp::convert;
use mcp::envelope::Message;
use mcp::extensions;
use mcp::json::Limits;
use mcp::splice::Splice;
use tokio::sync::watch;

use super::{Ward, notification};
use crate::authorize::Pass;
use crate::content;
use crate::record::{Aside, Said};
use crate::refusal::Refusal;
use crate::subscribe;
use crate::tasks::Task;

/// What one stream tells of them, on a record of its own.
pub(crate) struct Watched {
    /// By the ids that the client has: each for as long as it is known, and how much of it has been
    /// told.
    wards: BTreeMap<Box<str>, (Weak<Ward>, u64)>,
    changes: watch::Receiver<u64>,
    aside: Aside,
}

impl Watched {
    /// Those of these tasks that are tended; nothing where none is.
    pub(crate) async fn of(
        pass: &Pass,
        said: &Said<'_>,
        tasks: &BTreeMap<Box<str>, Task>,
    ) -> Result<Option<Self>, Refusal> {
        let all = &pass.proxy.wards;
        let changes = all.changes();
        let known = |id: &str| {
            let ward = all.find(id)?;
            let version = ward.version();
            Some((Box::from(id), (Arc::downgrade(&ward), version)))
        };
        let wards: BTreeMap<_, _> = tasks.keys().filter_map(|id| known(id)).collect();
        if wards.is_empty() {
            return Ok(None);
        }
        let aside = Aside::begin(pass, said, Vec::new(), &[]).await?;
        Ok(Some(Self { wards, changes, aside }))
    }

    /// The ids of those that have changed since they were last told of. Cancel-safe.
    pub(crate) async fn changed(&mut self) -> Vec<Box<str>> {
        // It changes for as long as the gateway runs.
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let mut changed = Vec::new();
        self.wards.retain(|id, (ward, told)| {
            let Some(version) = ward.upgrade().map(|it| it.version()) else { return false };
            if std::mem::replace(told, version) != version {
                changed.push(id.clone());
            }
            true
        });
        changed
    }

    /// What the client is told of one, as far as the rules of its tool allow.
    pub(crate) fn told(&mut self, id: &str, pass: &Pass) -> Option<Message> {
        let ward = self.wards.get(id)?.0.upgrade()?;
        let offered = pass.offered.as_ref()?;
        let alias = offered.assignment.alias.as_str();
        let message = Message::parse(notification(&ward, id), Limits::default()).ok()?;
        let rules = subscribe::rules(pass).ok()?;
        let (leg, mut hits) = (inspect::Leg::Response, Vec::new());
        let allowed = content::edit(&rules, leg, (alias, &offered.name), &message, &mut hits).ok();
        let allowed = allowed.and_then(|message| {
            if pass.place.only.is_some() {
                return Some(message);
            }
            let mut splice = Splice::new(message.body().clone());
            let params = message.params()?;
            convert::expose_uris(&mut splice, params, alias);
            extensions::remove_page(&mut splice, params);
            Message::parse(splice.finish().into_bytes(), Limits::default()).ok()
        });
        self.aside.tell(allowed.as_ref().map(Message::body), hits);
        allowed
    }
}
