//! Objects with members that are objects: a gateway with its servers and rules, an app with its
//! connections. A list is complete: what it does not have goes.

use std::collections::BTreeSet;

use domain::{Capability, GatewayId, Name, Scope, WorkspaceId};

use super::apply::{Differed, refs, seen, sees, switches};
use super::document::{AppFile, AssignmentFile, ConnectionFile, GatewayFile, RuleFile};
use crate::api::{Error, Which};
use crate::apps::{App, AppPatch, NewApp};
use crate::assignments::{Assignment, AssignmentPatch, NewAssignment, ProvisionText};
use crate::change::Change;
use crate::connections::{Connection, ConnectionPatch, NewConnection};
use crate::gateways::{Gateway, GatewayPatch, NewGateway};
use crate::row::Named;
use crate::rules::{ActionText, NewRule, Rule, RulePatch};
use crate::{apps, assignments, connections, gateways, rules};

pub(super) async fn apply_gateway(
    change: &mut Change,
    workspace: WorkspaceId,
    file: GatewayFile,
) -> Result<Differed, Error> {
    let GatewayFile { name, teams, addresses, max_autonomy_seconds, assignments, rules, enabled } =
        file;
    let found = gateways::find(change, workspace, &(&name).into()).await;
    let object = |it: &Gateway| Scope::Gateway(it.id).into();
    let found = seen(change, found, Capability::GatewaysRead, object)?;
    let is_new = found.is_none();
    let gateway = match found {
        Some(found) => {
            if rules.is_some() {
                sees(change, Capability::RulesRead, &object(&found))?;
            }
            found
        }
        None => {
            let teams = refs(teams.iter().flatten());
            let addresses = addresses.clone().unwrap_or_default();
            let max_autonomy_seconds = max_autonomy_seconds.unwrap_or_default();
            let new = NewGateway { name, teams, addresses, max_autonomy_seconds };
            gateways::create(change, workspace, new).await?
        }
    };
    let mut members = Vec::new();
    let mut patch = GatewayPatch::default();
    let known: BTreeSet<Name> = gateway.teams.iter().cloned().collect();
    if let Some(wanted) = teams.filter(|it| *it != known) {
        members.push("teams");
        patch.teams = Some(refs(&wanted));
    }
    if let Some(wanted) = addresses.filter(|it| it.0 != gateway.addresses) {
        members.push("addresses");
        patch.addresses = Some(wanted);
    }
    if let Some(wanted) = max_autonomy_seconds.filter(|it| *it != gateway.max_autonomy_seconds) {
        members.push("max_autonomy_seconds");
        patch.max_autonomy_seconds = Some(wanted);
    }
    if let Some(wanted) = assignments
        && apply_assignments(change, workspace, &gateway, wanted).await?
    {
        members.push("assignments");
    }
    if let Some(wanted) = rules
        && apply_rules(change, workspace, gateway.id, wanted).await?
    {
        members.push("rules");
    }
    if switches(change, gateway.off.as_ref(), enabled) {
        members.push("enabled");
        patch.enabled = enabled;
    }
    if patch.touches_more_than_switches() || patch.enabled.is_some() {
        gateways::update(change, workspace, gateway, patch).await?;
    }
    Ok((!is_new).then_some(members))
}

/// Tells whether any of them differed.
async fn apply_assignments(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: &Gateway,
    wanted: Vec<AssignmentFile>,
) -> Result<bool, Error> {
    let mut known = assignments::list(change, workspace, gateway.id, Which::All).await?;
    let mut differed = false;
    let mut seen = BTreeSet::new();
    let stand = |it: &Assignment| (it.position, it.id);
    known.sort_by_key(stand);
    // Who stands in the order that is asked for may stay, whatever the numbers are.
    let names = wanted.iter().map(|it| it.alias.as_ref().unwrap_or(&it.server));
    let in_order = known.iter().map(|it| &it.alias).eq(names);
    for (position, file) in (1..).zip(wanted) {
        let alias = file.alias.clone().unwrap_or_else(|| file.server.clone());
        if !seen.insert(alias.clone()) {
            return Err(Error::Invalid(format!("the alias `{alias}` stands twice")));
        }
        let found = known.iter().position(|it| it.alias == alias).map(|i| known.swap_remove(i));
        match found {
            Some(found) if found.server.name == file.server => {
                let position = if in_order { found.position } else { position };
                let patch = assignment_patch(change, &found, file, position);
                if let Some(patch) = patch {
                    differed = true;
                    assignments::update(change, workspace, found, patch).await?;
                }
            }
            found => {
                differed = true;
                if let Some(other) = found {
                    assignments::delete(change, workspace, &other).await?;
                }
                create_assignment(change, workspace, gateway, (alias, file, position)).await?;
            }
        }
    }
    for left in known {
        differed = true;
        assignments::delete(change, workspace, &left).await?;
    }
    Ok(differed)
}

async fn create_assignment(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: &Gateway,
    (alias, file, position): (Name, AssignmentFile, i64),
) -> Result<(), Error> {
    let new = NewAssignment {
        server: (&file.server).into(),
        alias: Some(alias),
        scheme: file.scheme,
        identity: file.identity.as_ref().map(Into::into),
        tools: file.tools,
        prompts: file.prompts,
        resources: file.resources,
        position: Some(position),
    };
    let gateway = Named { id: gateway.id, name: gateway.name.clone() };
    let made = assignments::create(change, workspace, gateway, new).await?;
    let enabled = file.enabled.filter(|it| !it);
    let patch = AssignmentPatch { enabled, ..AssignmentPatch::default() };
    assignments::update(change, workspace, made, patch).await?;
    Ok(())
}

/// What to change, if anything.
fn assignment_patch(
    change: &Change,
    found: &Assignment,
    file: AssignmentFile,
    position: i64,
) -> Option<AssignmentPatch> {
    let differs =
        |one: &ProvisionText, other: &domain::Provision| *one != ProvisionText::from(other.clone());
    let identity = found.identity.as_ref().map(|it| &it.name);
    let same = file.scheme == found.scheme
        && file.identity.as_ref() == identity
        && !differs(&file.tools, &found.tools)
        && !differs(&file.prompts, &found.prompts)
        && !differs(&file.resources, &found.resources)
        && position == found.position;
    let enabled = file.enabled.filter(|_| switches(change, found.off.as_ref(), file.enabled));
    if same && enabled.is_none() {
        return None;
    }
    Some(AssignmentPatch {
        alias: None,
        scheme: Some(file.scheme),
        identity: Some(file.identity.as_ref().map(Into::into)),
        tools: Some(file.tools),
        prompts: Some(file.prompts),
        resources: Some(file.resources),
        position: Some(position),
        enabled,
    })
}

/// Tells whether any of them differed.
async fn apply_rules(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    wanted: Vec<RuleFile>,
) -> Result<bool, Error> {
    let mut known = rules::list(change, workspace, gateway, Which::All).await?;
    let mut differed = false;
    let mut seen = BTreeSet::new();
    known.sort_by_key(|it| (it.position, it.id));
    let in_order = known.iter().map(|it| &it.name).eq(wanted.iter().map(|it| &it.name));
    for (position, file) in (1..).zip(wanted) {
        if !seen.insert(file.name.clone()) {
            return Err(Error::Invalid(format!("the rule `{}` stands twice", file.name)));
        }
        let found = known.iter().position(|it| it.name == file.name);
        match found.map(|i| known.swap_remove(i)) {
            Some(found)
                if (in_order || position == found.position) && file == rule_file(&found) => {}
            Some(found) => {
                differed = true;
                let patch = RulePatch {
                    name: None,
                    pattern: Some(file.pattern),
                    on_request: Some(file.on_request),
                    on_response: Some(file.on_response),
                    tools: Some(file.tools),
                    action: Some(file.action),
                    observe_only: Some(file.observe_only),
                    position: (!in_order).then_some(position),
                };
                rules::alter(change, workspace, found, patch).await?;
            }
            None => {
                differed = true;
                let new = NewRule {
                    name: file.name,
                    pattern: file.pattern,
                    on_request: file.on_request,
                    on_response: file.on_response,
                    tools: file.tools,
                    action: file.action,
                    observe_only: file.observe_only,
                    position: Some(position),
                };
                rules::add(change, workspace, gateway, new).await?;
            }
        }
    }
    for left in known {
        differed = true;
        rules::delete(change, workspace, &left).await?;
    }
    if differed {
        rules::check_all(change, workspace, gateway).await?;
    }
    Ok(differed)
}

/// A rule as a file would say it.
pub(super) fn rule_file(rule: &Rule) -> RuleFile {
    RuleFile {
        name: rule.name.clone(),
        pattern: rule.pattern.clone(),
        on_request: rule.on_request,
        on_response: rule.on_response,
        tools: rule.tools.clone(),
        action: ActionText::from(rule.action.clone()),
        observe_only: rule.observe_only,
    }
}

pub(super) async fn apply_app(
    change: &mut Change,
    workspace: WorkspaceId,
    file: AppFile,
) -> Result<Differed, Error> {
    let AppFile { name, owner, purpose, addresses, labels, gateways, enabled } = file;
    let found = apps::find(change, workspace, &(&name).into()).await;
    let found = seen(change, found, Capability::AppsRead, App::object)?;
    let is_new = found.is_none();
    let app = match found {
        Some(found) => found,
        None => {
            let new = NewApp {
                name,
                owner: (&owner).into(),
                purpose: purpose.clone(),
                addresses: addresses.clone().unwrap_or_default(),
                labels: labels.clone().unwrap_or_default(),
            };
            apps::create(change, workspace, new).await?
        }
    };
    let mut members = Vec::new();
    let mut patch = AppPatch::default();
    if app.owner.name != owner {
        members.push("owner");
        patch.owner = Some((&owner).into());
    }
    if app.purpose != purpose {
        members.push("purpose");
        patch.purpose = Some(purpose);
    }
    if let Some(wanted) = addresses.filter(|it| it.0 != app.addresses) {
        members.push("addresses");
        patch.addresses = Some(wanted);
    }
    if let Some(labels) = labels.filter(|it| *it != app.labels) {
        members.push("labels");
        patch.labels = Some(labels);
    }
    if switches(change, app.off.as_ref(), enabled) {
        members.push("enabled");
        patch.enabled = enabled;
    }
    let app =
        if members.is_empty() { app } else { apps::update(change, workspace, app, patch).await? };
    if let Some(wanted) = gateways
        && apply_connections(change, workspace, &app, wanted).await?
    {
        members.push("gateways");
    }
    Ok((!is_new).then_some(members))
}

/// Tells whether any of them differed.
async fn apply_connections(
    change: &mut Change,
    workspace: WorkspaceId,
    app: &App,
    wanted: Vec<ConnectionFile>,
) -> Result<bool, Error> {
    let mut known = connections::list(change, workspace, Some(app.id), Which::All).await?;
    let mut differed = false;
    let mut seen = BTreeSet::new();
    for file in wanted {
        if !seen.insert(file.gateway.clone()) {
            return Err(Error::Invalid(format!("the gateway `{}` stands twice", file.gateway)));
        }
        let found = known.iter().position(|it| it.gateway.name == file.gateway);
        let connection = match found.map(|i| known.swap_remove(i)) {
            Some(found) => found,
            None => {
                differed = true;
                let new = NewConnection {
                    gateway: (&file.gateway).into(),
                    identities: refs(&file.identities),
                };
                connections::create(change, workspace, app, new).await?
            }
        };
        let patch = ConnectionPatch {
            identities: (chosen(&connection) != file.identities).then(|| refs(&file.identities)),
            enabled: file
                .enabled
                .filter(|_| switches(change, connection.off.as_ref(), file.enabled)),
            // That is for whoever uses the app to say.
            picked: None,
        };
        if patch.identities.is_some() || patch.enabled.is_some() {
            differed = true;
            connections::update(change, workspace, connection, patch).await?;
        }
    }
    for left in known {
        differed = true;
        connections::delete(change, workspace, &left).await?;
    }
    Ok(differed)
}

/// The names of the credentials that a connection uses.
pub(super) fn chosen(connection: &Connection) -> BTreeSet<Name> {
    connection.choices.values().cloned().collect()
}
