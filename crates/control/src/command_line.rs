//! What is done at the command line, on the folder of data itself and by nobody's request. It leaves the
//! same records.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use domain::WorkspaceId;
use uuid::Uuid;

use crate::api::{Error, Ref, Rights};
use crate::change::Change;
use crate::control::refused;
use crate::files::{Applied, Resolve, Scope};
use crate::session::Caller;
use crate::trail::{self, End, What};
use crate::{Control, ControlError, Ownership, content_keys, files, workspaces};

impl Control {
    /// Makes things as the text says, in the workspace `default` where it names none: all of it,
    /// or nothing.
    ///
    /// # Errors
    /// [`ControlError::Refused`] says what is wrong with the text, and where.
    pub async fn apply_files(
        &self,
        text: &str,
        ownership: &Ownership,
        secrets: Resolve<'_>,
    ) -> Result<Vec<Applied>, ControlError> {
        let scope = default_scope(ownership)?;
        let actor = Caller::command_line();
        let id = self.app.clock.id();
        let mut acts = Vec::new();
        for (workspace, log) in self.logs_of(text, &scope).await? {
            let what = What::words("apply");
            let act = trail::open(&self.app, &actor, (id, what), vec![log]).await;
            acts.push((workspace, act.map_err(refused)?));
        }
        let named: BTreeSet<String> = acts.iter().filter_map(|it| it.0.clone()).collect();
        let rights = Rights::of_installation(&self.app);
        let applied = files::apply(&self.app, (&actor, &rights), &scope, text, secrets).await;
        for (workspace, act) in acts {
            // None of them is told of another.
            let is_told =
                |it: &&Applied| workspace.as_ref().is_none_or(|name| it.workspace == *name);
            let end = match &applied {
                Ok(all) => {
                    let is_own = |it: &&Applied| named.contains(&it.workspace);
                    let mut touched = match &workspace {
                        Some(_) => files::touched(all.iter().filter(is_told)),
                        // What is told elsewhere is not told once more.
                        None => files::touched(all.iter().filter(|it| !is_own(it))),
                    };
                    touched.name = files::touched(all.iter().filter(is_told)).name;
                    End::with(StatusCode::OK).touching(touched)
                }
                Err(error) => End::failed(error),
            };
            act.close(&self.app, end).await;
        }
        applied.map_err(refused)
    }

    /// What applying the text would do.
    ///
    /// # Errors
    /// As [`Control::apply_files`].
    pub async fn diff_files(
        &self,
        text: &str,
        ownership: &Ownership,
        secrets: Resolve<'_>,
    ) -> Result<Vec<Applied>, ControlError> {
        let rights = Rights::of_installation(&self.app);
        files::diff(&self.app, &rights, &default_scope(ownership)?, text, secrets)
            .await
            .map_err(refused)
    }

    /// A workspace as text.
    ///
    /// # Errors
    /// [`ControlError::Refused`] where there is no such workspace.
    pub async fn export_files(&self, workspace: &str) -> Result<String, ControlError> {
        let reference = Ref::try_from(workspace.to_owned());
        let reference = reference.map_err(|why| ControlError::Refused(why.into()))?;
        let rights = Rights::of_installation(&self.app);
        files::export(&self.app, &rights, &reference).await.map_err(refused)
    }

    /// The logs of the workspaces that a text names, as far as there are any yet, by their names; and
    /// first that of the installation, which is told of all of it.
    async fn logs_of(
        &self,
        text: &str,
        scope: &Scope,
    ) -> Result<Vec<(Option<String>, Uuid)>, ControlError> {
        // What does not parse is about the one that is meant without it.
        let own = || BTreeSet::from([scope.workspace.clone()]);
        let mut named = files::workspaces(text, scope).unwrap_or_else(|_| own());
        if scope.prune {
            // What it does not name is deleted there, too, whatever else it names.
            named.insert(scope.workspace.clone());
        }
        let mut logs = vec![(None, trail::INSTALLATION)];
        let mut tx = self.app.db.read().await?;
        for name in named {
            if let Ok(found) = workspaces::find(&mut tx, &(&name).into()).await {
                logs.push((Some(name.to_string()), found.id.0));
            }
        }
        Ok(logs)
    }

    /// Destroys the key of what was recorded on a day (days since 1970, UTC), which nobody can
    /// read from then on; proofs still hold. Tells whether there was a key.
    ///
    /// # Errors
    /// Where the database fails, or the act cannot be recorded.
    pub async fn erase_content(&self, workspace: Uuid, day: i32) -> Result<bool, ControlError> {
        let actor = Caller::command_line();
        let action = format!("erase content of day {day}");
        let act = (self.app.clock.id(), What::words(action));
        let act = trail::open(&self.app, &actor, act, vec![workspace]).await.map_err(refused)?;
        let erased = self.erase(WorkspaceId(workspace), day).await;
        let end = match &erased {
            Ok(was_there) => End::with(StatusCode::OK)
                .touching(content_keys::erased((workspace, day), *was_there)),
            Err(error) => End::failed(error),
        };
        act.close(&self.app, end).await;
        erased.map_err(refused)
    }

    async fn erase(&self, workspace: WorkspaceId, day: i32) -> Result<bool, Error> {
        let rights = Rights::of_installation(&self.app);
        let mut change = Change::begin_switch(&self.app, &rights).await?;
        let erased = content_keys::erase(&mut change, workspace, day).await?;
        change.commit().await?;
        Ok(erased)
    }
}

fn default_scope(ownership: &Ownership) -> Result<Scope, ControlError> {
    let workspace = workspaces::DEFAULT.parse().expect("the default's name is a name");
    let owner = ownership.owner.as_deref().unwrap_or(files::DEFAULT_OWNER).parse();
    let owner = owner.map_err(|why: domain::InvalidName| ControlError::Refused(why.to_string()))?;
    // Nothing is refused for the sake of an address that there is not.
    Ok(Scope { workspace, is_only: false, owner, prune: ownership.prune, force: false })
}
