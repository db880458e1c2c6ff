//! Clients that call: headless agents, each registered by a person who owns it.

mod api;
mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Addresses, AppId, Capability, Name, Object, Target, UserId, WorkspaceId};

pub(crate) use api::{AppBody, AppPatch, NewApp, routes};

use crate::api::{Error, Ref, Which};
use crate::change::Change;
use crate::labels::{self, Labels};
use crate::row::Named;
use crate::switches::{self, Off};
use crate::{connections, limits, users};

#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: AppId,
    pub(crate) name: Name,
    pub(crate) owner: Named<UserId>,
    pub(crate) purpose: String,
    pub(crate) addresses: Addresses,
    /// For policies.
    pub(crate) labels: Labels,
    pub(crate) off: Option<Off>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A purpose is a sentence.
const PURPOSE_CHARS: usize = 500;

impl App {
    /// As those see it who decide about it.
    pub(crate) fn object(&self) -> Object {
        Object::App { owner: self.owner.id }
    }
}

pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    which: Which<'_>,
) -> Result<Vec<App>, Error> {
    store::select(tx, workspace, which).await
}

pub(crate) async fn find(tx: &mut Tx, workspace: WorkspaceId, app: &Ref) -> Result<App, Error> {
    let found = store::select(tx, workspace, Which::One(app)).await?.pop();
    found.ok_or_else(|| app.not_found("app"))
}

pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    new: NewApp,
) -> Result<App, Error> {
    change.require_on_workspace(Capability::AppsWrite)?;
    let stamp = change.stamp();
    let owner = users::find(change, workspace, &new.owner).await.map_err(Error::in_body)?;
    let app = App {
        id: AppId(stamp.id),
        name: new.name,
        owner: Named { id: owner.id, name: owner.name },
        purpose: checked(new.purpose)?,
        addresses: new.addresses.0,
        labels: new.labels,
        off: None,
        created_at: stamp.at,
    };
    labels::check(&app.labels)?;
    labels::check_change(change, &app.labels, &Labels::new())?;
    store::insert(change, workspace, &app)
        .await
        .map_err(|error| Error::saving(error, "app", &app.name))?;
    Ok(app)
}

pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    mut app: App,
    patch: AppPatch,
) -> Result<App, Error> {
    if patch.touches_more_than_switches() {
        change.require(Capability::AppsWrite, &app.object(), ("app", &app.name))?;
        app.name = patch.name.unwrap_or(app.name);
        app.purpose = patch.purpose.map(checked).transpose()?.unwrap_or(app.purpose);
        app.addresses = patch.addresses.map_or(app.addresses, |it| it.0);
        if let Some(labels) = patch.labels {
            labels::check(&labels)?;
            labels::check_change(change, &labels, &app.labels)?;
            app.labels = labels;
        }
        if let Some(owner) = patch.owner {
            let owner = users::find(change, workspace, &owner).await.map_err(Error::in_body)?;
            if owner.id != app.owner.id {
                connections::hand_over(change, workspace, app.id, owner.id).await?;
            }
            app.owner = Named { id: owner.id, name: owner.name };
        }
        store::update(change, workspace, &app)
            .await
            .map_err(|error| Error::saving(error, "app", &app.name))?;
    }
    switches::set_enabled(change, workspace, Target::App(app.id), patch.enabled).await?;
    find(change, workspace, &app.id.0.into()).await
}

/// Its tokens and connections go with it.
pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    app: &App,
) -> Result<(), Error> {
    change.require(Capability::AppsWrite, &app.object(), ("app", &app.name))?;
    let by = limits::naming(change, workspace, app.id.0).await?;
    if !by.is_empty() {
        return Err(Error::InUse { kind: "app", name: app.name.to_string(), by });
    }
    connections::delete_all(change, workspace, app.id).await?;
    switches::forget(change, workspace, Target::App(app.id)).await?;
    Ok(store::delete(change, workspace, app.id).await?)
}

fn checked(purpose: String) -> Result<String, Error> {
    let chars = purpose.chars().count();
    if (1..=PURPOSE_CHARS).contains(&chars) && !purpose.chars().any(char::is_control) {
        Ok(purpose)
    } else {
        Err(Error::Invalid(format!(
            "say the purpose in one line of 1 to {PURPOSE_CHARS} characters"
        )))
    }
}
