//! Who may administer what: rows become the grants that the policy is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{
    Authority, Capability, GatewayId, Holder, RoleGrant, RoleGrantId, Scope, ServerId, TeamId,
    UserId, Workspace,
};
use serde_json::Value;
use uuid::Uuid;

use super::store::RoleGrantRow;
use super::value::{BuildError, broken, name};
use crate::roles::BuiltIn;

/// By workspace, each once.
pub(super) type Grants = BTreeMap<Uuid, BTreeMap<RoleGrantId, RoleGrant>>;

/// Rows as grants.
pub(super) fn grants(rows: &[RoleGrantRow]) -> Result<Grants, BuildError> {
    let mut all = Grants::new();
    for row in rows {
        let grant = grant(row)?;
        all.entry(row.workspace_id).or_default().insert(grant.id, grant);
    }
    Ok(all)
}

/// What the grants of a workspace come to: all of them where `touched` is absent, else those of before
/// without the touched ones and with these.
pub(super) fn compile(
    workspace: &Workspace,
    before: Option<&Arc<Authority>>,
    touched: Option<&BTreeSet<RoleGrantId>>,
    grants: BTreeMap<RoleGrantId, RoleGrant>,
) -> Result<Arc<Authority>, BuildError> {
    let mut grants: Vec<RoleGrant> = grants.into_values().collect();
    grants.sort_by(|one, other| one.name.cmp(&other.name));
    let compiled = match (before, touched) {
        (Some(before), Some(touched)) => before.with(touched, grants),
        (Some(before), None) if before.grants().eq(&grants) => return Ok(Arc::clone(before)),
        _ => Authority::compile(workspace.id, grants),
    };
    compiled
        .map(Arc::new)
        .map_err(|source| BuildError::Authority { workspace: workspace.name.clone(), source })
}

/// What a newer version knows and this one does not, nobody holds here.
fn capabilities(stored: &Value) -> BTreeSet<Capability> {
    let texts = stored.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.filter_map(|it| it.parse().ok()).collect()
}

fn grant(row: &RoleGrantRow) -> Result<RoleGrant, BuildError> {
    let broken = |why: &str| broken("role_grants", row.id, why);
    let (role, capabilities) = match (row.role_id, row.built_in.as_deref()) {
        (Some(id), None) => {
            let (Some(own), Some(held)) = (&row.role_name, &row.capabilities) else {
                return Err(broken("no such role"));
            };
            (name("roles", id, own)?, capabilities(held))
        }
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
