//! Policies, as files say them.

use domain::{Capability, Object, WorkspaceId};

use super::apply::{Differed, seen};
use super::document::PolicyFile;
use crate::api::Error;
use crate::change::Change;
use crate::policies::{self, NewPolicy, PolicyPatch};

pub(super) async fn apply_policy(
    change: &mut Change,
    workspace: WorkspaceId,
    file: PolicyFile,
) -> Result<Differed, Error> {
    let found = policies::find(change, workspace, &(&file.name).into()).await;
    let found = seen(change, found, Capability::PoliciesRead, |_| Object::Workspace)?;
    let Some(found) = found else {
        let PolicyFile { name, enabled, text, tests } = file;
        let new = NewPolicy { name, text, enabled, tests };
        policies::create(change, workspace, new).await?;
        return Ok(None);
    };
    let mut members = Vec::new();
    let mut patch = PolicyPatch::default();
    if file.enabled != found.enabled {
        members.push("enabled");
        patch.enabled = Some(file.enabled);
    }
    if file.text != found.text {
        members.push("text");
        patch.text = Some(file.text);
    }
    if file.tests != found.tests {
        members.push("tests");
        patch.tests = Some(file.tests);
    }
    if !members.is_empty() {
        policies::update(change, workspace, found, patch).await?;
    }
    Ok(Some(members))
}
