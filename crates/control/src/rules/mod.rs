//! Content rules of a gateway. A rule is compiled before it is saved, by what will run it.

mod action;
mod api;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use db::Tx;
use domain::{Capability, GatewayId, Name, Object, RuleAction, RuleId, Scope, WorkspaceId};
use inspect::{Action, Legs, RuleSpec, Rules, ToolScope};

pub(crate) use action::ActionText;
pub(crate) use api::{NewRule, RulePatch, routes};

use crate::api::{Error, Ref, Which};
use crate::change::Change;

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) gateway: GatewayId,
    pub(crate) name: Name,
    pub(crate) pattern: String,
    pub(crate) on_request: bool,
    pub(crate) on_response: bool,
    /// Exposed tool names it is limited to; absent means all.
    pub(crate) tools: Option<BTreeSet<String>>,
    pub(crate) action: RuleAction,
    pub(crate) observe_only: bool,
    /// When it runs: lower ones first.
    pub(crate) position: i64,
    pub(crate) created_at: DateTime<Utc>,
}

/// Of one gateway, by name.
pub(crate) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
    which: Which<'_>,
) -> Result<Vec<Rule>, Error> {
    store::select(tx, workspace, gateway, which).await
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
    rule: &Ref,
) -> Result<Rule, Error> {
    let found = store::select(tx, workspace, gateway, Which::One(rule)).await?.pop();
    found.ok_or_else(|| rule.not_found("rule"))
}

/// Adds a rule and tries the gateway's rules together.
pub(crate) async fn create(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    new: NewRule,
) -> Result<Rule, Error> {
    let rule = add(change, workspace, gateway, new).await?;
    check_all(change, workspace, gateway).await?;
    Ok(rule)
}

/// Changes a rule and tries the gateway's rules together.
pub(crate) async fn update(
    change: &mut Change,
    workspace: WorkspaceId,
    rule: Rule,
    patch: RulePatch,
) -> Result<Rule, Error> {
    let rule = alter(change, workspace, rule, patch).await?;
    check_all(change, workspace, rule.gateway).await?;
    Ok(rule)
}

/// Adds a rule. [`check_all`] must follow in the same change.
pub(crate) async fn add(
    change: &mut Change,
    workspace: WorkspaceId,
    gateway: GatewayId,
    new: NewRule,
) -> Result<Rule, Error> {
    let stamp = change.stamp();
    let position = match new.position {
        Some(position) => position,
        None => store::next_position(change, workspace, gateway).await?,
    };
    let rule = Rule {
        id: RuleId(stamp.id),
        gateway,
        name: new.name,
        pattern: new.pattern,
        on_request: new.on_request,
        on_response: new.on_response,
        tools: new.tools,
        action: new.action.into(),
        observe_only: new.observe_only,
        position,
        created_at: stamp.at,
    };
    may_change(change, gateway)?;
    check(&rule)?;
    store::insert(change, workspace, &rule)
        .await
        .map_err(|error| Error::saving(error, "rule", &rule.name))?;
    Ok(rule)
}

/// Changes a rule. [`check_all`] must follow in the same change.
pub(crate) async fn alter(
    change: &mut Change,
    workspace: WorkspaceId,
    mut rule: Rule,
    patch: RulePatch,
) -> Result<Rule, Error> {
    may_change(change, rule.gateway)?;
    rule.name = patch.name.unwrap_or(rule.name);
    rule.pattern = patch.pattern.unwrap_or(rule.pattern);
    rule.on_request = patch.on_request.unwrap_or(rule.on_request);
    rule.on_response = patch.on_response.unwrap_or(rule.on_response);
    rule.tools = patch.tools.unwrap_or(rule.tools);
    rule.action = patch.action.map_or(rule.action, Into::into);
    rule.observe_only = patch.observe_only.unwrap_or(rule.observe_only);
    rule.position = patch.position.unwrap_or(rule.position);
    check(&rule)?;
    store::update(change, workspace, &rule)
        .await
        .map_err(|error| Error::saving(error, "rule", &rule.name))?;
    Ok(rule)
}

pub(crate) async fn delete(
    change: &mut Change,
    workspace: WorkspaceId,
    rule: &Rule,
) -> Result<(), Error> {
    may_change(change, rule.gateway)?;
    Ok(store::delete(change, workspace, rule.id).await?)
}

fn may_change(change: &Change, gateway: GatewayId) -> Result<(), Error> {
    let object = Object::from(Scope::Gateway(gateway));
    change.require(Capability::RulesWrite, &object, ("gateway", &gateway.to_string()))
}

/// More would cost every call of the gateway.
const MOST_RULES: usize = 1000;

fn check(rule: &Rule) -> Result<(), Error> {
    if rule.on_request || rule.on_response {
        Ok(())
    } else {
        Err(Error::Invalid("a rule must look at requests, responses or both".into()))
    }
}

/// Compiles the gateway's rules together, as they will run (H132); the reason is in the words of
/// whoever typed the pattern.
pub(crate) async fn check_all(
    tx: &mut Tx,
    workspace: WorkspaceId,
    gateway: GatewayId,
) -> Result<(), Error> {
    let rules = store::select(tx, workspace, gateway, Which::All).await?;
    if MOST_RULES < rules.len() {
        return Err(Error::Invalid(format!("a gateway has at most {MOST_RULES} rules")));
    }
    let specs: Vec<RuleSpec> = rules.into_iter().map(Into::into).collect();
    let compiling = move || Rules::compile(&specs, [0; 32]).map(drop);
    let compiled = tokio::task::spawn_blocking(compiling).await.map_err(Error::internal)?;
    compiled.map_err(|error| Error::Invalid(error.to_string()))
}

impl From<Rule> for RuleSpec {
    fn from(rule: Rule) -> Self {
        Self {
            name: rule.name.into(),
            pattern: rule.pattern,
            legs: Legs { request: rule.on_request, response: rule.on_response },
            tools: rule.tools.map_or(ToolScope::All, ToolScope::Named),
            action: match rule.action {
                RuleAction::Block { message } => Action::Block { message },
                RuleAction::Hash => Action::Hash,
                RuleAction::Mask { keep_last } => Action::Mask { keep_last },
                RuleAction::Redact => Action::Redact,
                RuleAction::Replace { with } => Action::Replace { with },
            },
            observe_only: rule.observe_only,
        }
    }
}
