//! The gateway's content rules, applied to what passes.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use domain::{GatewayId, RuleAction, RuleDef, WorkspaceId};
use inspect::{Action, Hit, Leg, Legs, RuleSpec, Rules, ToolScope, Verdict};
use mcp::envelope::{Message, MessageKind};
use mcp::json::{self, Limits, Raw};
use mcp::splice::Splice;
use parking_lot::RwLock;

use crate::refusal::Refusal;

/// Rules compiled from the definitions of the snapshot, once per change.
pub(crate) struct Rulebook {
    salt: [u8; 32],
    compiled: RwLock<HashMap<GatewayId, Compiled>>,
}

/// Rules, and the definitions that they were compiled from.
type Compiled = (Arc<[RuleDef]>, Rules);

/// Of how many gateways compiled rules are kept.
const MOST: usize = 1_000;

impl Rulebook {
    pub(crate) fn new(salt: [u8; 32]) -> Self {
        Self { salt, compiled: RwLock::default() }
    }

    /// The rules of a gateway. Rules that do not compile let nothing pass.
    pub(crate) fn of(
        &self,
        workspace: WorkspaceId,
        gateway: &domain::Gateway,
    ) -> Result<Rules, Refusal> {
        if let Some((defs, rules)) = self.compiled.read().get(&gateway.id)
            && Arc::ptr_eq(defs, &gateway.rules)
        {
            return Ok(rules.clone());
        }
        let specs: Vec<RuleSpec> = gateway.rules.iter().map(spec).collect();
        let rules = Rules::compile(&specs, self.salt_of(workspace)).map_err(|error| {
            tracing::error!(gateway.name = %gateway.name, %error, "Rules do not compile");
            Refusal::Rules
        })?;
        let entry = (Arc::clone(&gateway.rules), rules.clone());
        let mut compiled = self.compiled.write();
        // Gateways come and go; what is forgotten is compiled again.
        if MOST <= compiled.len() {
            compiled.clear();
        }
        compiled.insert(gateway.id, entry);
        Ok(rules)
    }

    /// Hashes of one workspace say nothing about another's.
    fn salt_of(&self, workspace: WorkspaceId) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.salt);
        context.update(workspace.0.as_bytes());
        let mut salt = [0; 32];
        salt.copy_from_slice(context.finish().as_ref());
        salt
    }
}

/// Applies the rules of one leg to a value inside a body that is being spliced. A tool is named by
/// its server's alias and its own name, which is empty for what belongs to no tool in particular.
pub(crate) fn apply(
    rules: &Rules,
    leg: Leg,
    (alias, name): (&str, &str),
    value: Option<Raw<'_>>,
    splice: &mut Splice,
) -> Result<Vec<Hit>, Refusal> {
    let Some(value) = value.filter(|_| !rules.is_empty()) else { return Ok(Vec::new()) };
    // Rules name tools as their gateway lists them, which for a long name is a shortened form.
    let exposed = mcp::names::exposed(alias, name);
    let shortened = !exposed.ends_with(name);
    let tool = if shortened && rules.applies(leg, alias, &exposed) { &exposed } else { name };
    match rules.apply(leg, alias, tool, value.bytes()) {
        Verdict::Clean => Ok(Vec::new()),
        Verdict::Blocked { rule, message, .. } => {
            Err(Refusal::Blocked { rule: rule.to_string(), message })
        }
        Verdict::Edited { edits, hits } => {
            let start = value.range_in(splice.body()).ok_or(Refusal::Rules)?.start;
            for (range, with) in edits {
                splice.replace(start + range.start..start + range.end, Bytes::from(with));
            }
            Ok(hits)
        }
    }
}

/// Applies the rules of one leg to what a message says, be it a result, an error or params: the
/// message as they leave it. What they have found is added to `hits`, a block too.
pub(crate) fn edit(
    rules: &Rules,
    leg: Leg,
    tool: (&str, &str),
    message: &Message,
    hits: &mut Vec<Hit>,
) -> Result<Message, Refusal> {
    let said = message.result().or(message.error()).or(message.params());
    let mut splice = Splice::new(message.body().clone());
    match apply(rules, leg, tool, said, &mut splice) {
        Ok(found) => tally(hits, found),
        Err(refusal) => {
            if let Refusal::Blocked { rule, .. } = &refusal {
                let rule = Arc::from(rule.as_str());
                tally(hits, vec![Hit { rule, action: "block", count: 1, observed_only: false }]);
            }
            return Err(refusal);
        }
    }
    if splice.is_unchanged() {
        return Ok(message.clone());
    }
    // Numbers of the protocol are no content, and nobody could read the message without them.
    let numbers: &[&str] = match message.kind() {
        MessageKind::Error => &["code"],
        MessageKind::Notification => &["progress", "progressToken", "total"],
        MessageKind::Request | MessageKind::Response => &[],
    };
    for number in numbers.iter().filter_map(|it| said?.get(it)) {
        if number.kind() == json::Kind::Number {
            splice.replace_value(number, Bytes::copy_from_slice(number.bytes()));
        }
    }
    Message::parse(splice.finish().into_bytes(), Limits::default()).map_err(|_| Refusal::Rules)
}

/// Adds what has been found to what had been found before.
pub(crate) fn tally(hits: &mut Vec<Hit>, found: Vec<Hit>) {
    for hit in found {
        let same = |it: &&mut Hit| {
            (&it.rule, it.action, it.observed_only) == (&hit.rule, hit.action, hit.observed_only)
        };
        match hits.iter_mut().find(same) {
            Some(known) => known.count = known.count.saturating_add(hit.count),
            None => hits.push(hit),
        }
    }
}

fn spec(def: &RuleDef) -> RuleSpec {
    let action = match &def.action {
        RuleAction::Block { message } => Action::Block { message: message.clone() },
        RuleAction::Hash => Action::Hash,
        RuleAction::Mask { keep_last } => Action::Mask { keep_last: *keep_last },
        RuleAction::Redact => Action::Redact,
        RuleAction::Replace { with } => Action::Replace { with: with.clone() },
    };
    RuleSpec {
        name: def.name.to_string(),
        pattern: def.pattern.clone(),
        legs: Legs { request: def.on_request, response: def.on_response },
        tools: def.tools.clone().map_or(ToolScope::All, ToolScope::Named),
        action,
        observe_only: def.observe_only,
    }
}
