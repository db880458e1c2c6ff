//! Who may administer what: rows become the grants that the policy is made of.

use std::collections::{BTreeSet, HashMap};

use domain::{
    Authority, Capability, GatewayId, Holder, Name, RoleGrant, RoleGrantId, Scope, ServerId,
    TeamId, UserId, Workspace,
};
use serde_json::Value;
use uuid::Uuid;

use super::build::{BuildError, broken, name};
use super::store::{RoleGrantRow, Rows};
use crate::roles::BuiltIn;

/// Every workspace's, in the order of their names; none for a workspace without any.
pub(super) fn grants(rows: &Rows) -> Result<HashMap<Uuid, Vec<RoleGrant>>, BuildError> {
    let mut roles = HashMap::new();
    for row in &rows.roles {
        let own = name("roles", row.id, &row.name)?;
        roles.insert(row.id, (own, capabilities(&row.capabilities)));
    }
    let mut all: HashMap<Uuid, Vec<RoleGrant>> = HashMap::new();
    for row in &rows.workspaces {
        all.entry(row.id).or_default();
    }
    for row in &rows.role_grants {
        all.entry(row.workspace_id).or_default().push(grant(row, &roles)?);
    }
    Ok(all)
}

/// Compiles them.
pub(super) fn compile(
    workspace: &Workspace,
    grants: &[RoleGrant],
) -> Result<Authority, BuildError> {
    Authority::compile(workspace.id, grants.to_vec())
        .map_err(|source| BuildError::Authority { workspace: workspace.name.clone(), source })
}

/// What a newer version knows and this one does not, nobody holds here.
fn capabilities(stored: &Value) -> BTreeSet<Capability> {
    let texts = stored.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.filter_map(|it| it.parse().ok()).collect()
}

fn grant(
    row: &RoleGrantRow,
    roles: &HashMap<Uuid, (Name, BTreeSet<Capability>)>,
) -> Result<RoleGrant, BuildError> {
    let broken = |why: &str| broken("role_grants", row.id, why);
    let (role, capabilities) = match (row.role_id, row.built_in.as_deref()) {
        (Some(id), None) => roles.get(&id).cloned().ok_or_else(|| broken("no such role"))?,
        (None, Some(text)) => {
            // A built-in role of a newer version holds nothing here.
            let own = name("role_grants", row.id, text)?;
            let known = BuiltIn::find(text).map(BuiltIn::capabilities);
            (own, known.unwrap_or_default())
        }
        _ => return Err(broken("it is for one role")),
    };
    let holder = match (row.user_id, row.team_id) {
        (Some(id), None) => Holder::User(UserId(id)),
        (None, Some(id)) => Holder::Team(TeamId(id)),
        _ => return Err(broken("it has one holder")),
    };
    let on = match (row.on_gateway_id, row.on_server_id, row.on_team_id) {
        (None, None, None) => Scope::Workspace,
        (Some(id), None, None) => Scope::Gateway(GatewayId(id)),
        (None, Some(id), None) => Scope::Server(ServerId(id)),
        (None, None, Some(id)) => Scope::Team(TeamId(id)),
        _ => return Err(broken("it is on one thing")),
    };
    let own = name("role_grants", row.id, &row.name)?;
    Ok(RoleGrant { id: RoleGrantId(row.id), name: own, role, holder, on, capabilities })
}
