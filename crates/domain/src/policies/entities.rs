//! Who calls and what is called, as policies see them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression};
use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};

use super::arguments::{self, Tags, Untypable};
use super::expression::{Looks, Parts, Type};
use super::{Facts, Line};
use crate::policy::{entity_error, uid};
use crate::{Hint, Kind, PolicyError};

/// What is known of a person beside the name. By default the least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub department: Box<str>,
    pub clearance: u32,
    pub groups: BTreeSet<Box<str>>,
    /// An address, or a range of them as `10.0.0.0/8`.
    pub network: Option<Box<str>>,
    /// 0, or an assurance level of NIST SP 800-63B, 1 to 3.
    pub assurance: u8,
}

/// What a call of a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Read,
    Write,
    Destructive,
}

/// What an administrator says of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolLabel {
    /// Instead of what its annotations say.
    pub effect: Option<Effect>,
    pub labels: BTreeSet<Box<str>>,
}

/// An app that calls, and the person for whom it does.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub app: Box<str>,
    pub labels: BTreeSet<Box<str>>,
    pub user: Box<str>,
    pub attributes: Attributes,
    pub teams: BTreeSet<Box<str>>,
}

/// What is called.
#[derive(Clone, Debug)]
pub struct Thing {
    pub kind: Kind,
    /// The server's own name; of a resource its URI.
    pub name: Box<str>,
    pub server: Box<str>,
    pub server_labels: BTreeSet<Box<str>>,
    pub gateway: Box<str>,
    /// What an administrator says of it.
    pub label: ToolLabel,
    /// What its server says of it, in the order of [`Hint::ALL`]; absent where that is not known.
    pub hints: Option<[Option<bool>; 4]>,
}

/// Attributes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttributes {
    #[error("`department` and `groups` are texts of 1 to 128 characters, none of them a control")]
    Text,
    #[error("there are at most 100 `groups`")]
    Groups,
    #[error("`clearance` is from 0 to 1000000")]
    Clearance,
    #[error("`network` is an address, or a range such as 10.0.0.0/8")]
    Network,
    #[error("`assurance` is from 0 to 3")]
    Assurance,
}

impl Attributes {
    /// Checks what somebody has written.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> Result<(), InvalidAttributes> {
        let is_text =
            |it: &str| (1..=128).contains(&it.chars().count()) && !it.chars().any(char::is_control);
        let fits = self.department.is_empty() || is_text(&self.department);
        if !fits || !self.groups.iter().all(|it| is_text(it)) {
            return Err(InvalidAttributes::Text);
        }
        if 100 < self.groups.len() {
            return Err(InvalidAttributes::Groups);
        }
        if 1_000_000 < self.clearance {
            return Err(InvalidAttributes::Clearance);
        }
        if self.network.as_deref().is_some_and(|it| !is_network(it)) {
            return Err(InvalidAttributes::Network);
        }
        if 3 < self.assurance { Err(InvalidAttributes::Assurance) } else { Ok(()) }
    }
}

/// Whether Cedar takes a text for an address or a range.
fn is_network(text: &str) -> bool {
    let value = RestrictedExpression::new_ip(text);
    text.len() <= 64 && Context::from_pairs([("it".to_owned(), value)]).is_ok()
}

/// Whether a text may label a server, a tool or an app.
pub fn is_label(text: &str) -> bool {
    let is_plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/');
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain)
}

impl Effect {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Destructive];

    /// As it stands in policies, in the API and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }

    /// The annotations of a tool that does so, and nothing else.
    pub fn hints(self) -> [Option<bool>; 4] {
        match self {
            Self::Read => [Some(true), None, None, None],
            Self::Write => [Some(false), Some(false), None, None],
            Self::Destructive => [Some(false), Some(true), None, None],
        }
    }

    /// What a tool's annotations say of it (MCP, schema `ToolAnnotations`). Of one that says nothing
    /// the worst is to be expected.
    pub fn of(hints: &[Option<bool>; 4]) -> Self {
        match Hint::ALL.map(|it| it.said(hints)) {
            [true, ..] => Self::Read,
            [_, true, ..] => Self::Destructive,
            _ => Self::Write,
        }
    }
}

impl Thing {
    /// What it does, as far as that is known.
    pub fn effect(&self) -> Effect {
        match self.kind {
            Kind::Prompt | Kind::Resource => Effect::Read,
            Kind::Tool => {
                self.label.effect.unwrap_or_else(|| Effect::of(&self.hints.unwrap_or_default()))
            }
        }
    }
}

/// The entities of a question.
pub(super) struct Scene {
    principal: Line,
    action: Line,
    resource: Line,
    entities: Entities,
    weight: usize,
}

impl Scene {
    pub(super) fn of(caller: &Caller, thing: &Thing) -> Result<Self, PolicyError> {
        let (kind, act) = match thing.kind {
            Kind::Prompt => ("Prompt", "get"),
            Kind::Resource => ("Resource", "read"),
            Kind::Tool => ("Tool", "call"),
        };
        let user = uid("User", &caller.user)?;
        let mut principal = vec![uid("App", &caller.app)?, user.clone()];
        for team in &caller.teams {
            principal.push(uid("Team", team)?);
        }
        let server = uid("Server", &thing.server)?;
        let gateway = uid("Gateway", &thing.gateway)?;
        let own = uid(kind, &format!("{}/{}", thing.server, thing.name))?;
        let resource = vec![own, server, gateway];
        let action = vec![uid("Action", act)?, uid("Action", "use")?];
        let mut all = people(caller, &principal)?;
        all.extend(things(thing, &resource)?);
        let group = action.last().cloned();
        for (it, parents) in action.iter().zip([group.into_iter().collect(), HashSet::new()]) {
            all.push(Entity::new_no_attrs(it.clone(), parents));
        }
        let entities = Entities::from_entities(all, None).map_err(entity_error)?;
        let texts = [&caller.labels, &caller.attributes.groups, &caller.teams];
        let texts = texts.into_iter().chain([&thing.server_labels, &thing.label.labels]);
        // Of each text there are several hundred bytes, in the entities and around it.
        let weight = 8 + texts.map(BTreeSet::len).sum::<usize>() / 2;
        Ok(Self { principal, action, resource, entities, weight })
    }

    /// Who, what is done and to what, each followed by what it is in.
    pub(super) fn lines(&self) -> (&[EntityUid], &[EntityUid], &[EntityUid]) {
        (&self.principal, &self.action, &self.resource)
    }

    /// About how many kilobytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Without what they are in.
    pub(super) fn uids(&self) -> [EntityUid; 3] {
        [&self.principal, &self.action, &self.resource].map(|line| line[0].clone())
    }

    /// The facts that are looked at, and all entities. What is not known is left out.
    pub(super) fn context(
        &self,
        looks: &Looks,
        facts: &Facts<'_>,
    ) -> Result<(Context, Entities), Result<Untypable, PolicyError>> {
        let has = |part| !looks.parts.and(part).is_empty();
        let mut pairs = Vec::new();
        if let Some(address) = facts.address.filter(|_| has(Parts::ADDRESS)) {
            // An IPv4 address is the same however the system writes it.
            let text = address.to_canonical().to_string();
            pairs.push(("address".to_owned(), RestrictedExpression::new_ip(text)));
        }
        if let Some(now) = facts.now.filter(|_| has(Parts::TIME)) {
            pairs.extend(moment(now));
        }
        let mut entities = self.entities.clone();
        if let Some(arguments) = facts.arguments.filter(|_| has(Parts::ARGUMENTS)) {
            let tags = arguments::tags(&looks.arguments, arguments).map_err(Ok)?;
            let (record, tagged) = tagged(tags).map_err(Err)?;
            pairs.push(("arguments".to_owned(), record));
            entities = entities.add_entities(tagged, None).map_err(|it| Err(entity_error(it)))?;
        }
        let context = Context::from_pairs(pairs).map_err(|it| Err(entity_error(it)))?;
        Ok((context, entities))
    }
}

fn moment(now: DateTime<Utc>) -> [(String, RestrictedExpression); 3] {
    let text = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    [
        ("time".to_owned(), RestrictedExpression::new_datetime(text)),
        ("hour".to_owned(), RestrictedExpression::new_long(now.hour().into())),
        (
            "weekday".to_owned(),
            RestrictedExpression::new_long(now.weekday().number_from_monday().into()),
        ),
    ]
}

fn tagged(mut tags: Tags) -> Result<(RestrictedExpression, Vec<Entity>), PolicyError> {
    let mut members = Vec::new();
    let mut entities = Vec::new();
    for kind in Type::ALL {
        let own = uid(kind.entity(), "arguments")?;
        let tags = tags.remove(&kind).unwrap_or_default();
        entities.push(Entity::new_with_tags(own.clone(), [], [], tags).map_err(entity_error)?);
        members.push((kind.member().to_owned(), RestrictedExpression::new_entity_uid(own)));
    }
    Ok((RestrictedExpression::new_record(members).map_err(entity_error)?, entities))
}

fn people(caller: &Caller, line: &[EntityUid]) -> Result<Vec<Entity>, PolicyError> {
    let [app, user, teams @ ..] = line else { return Ok(Vec::new()) };
    let Attributes { department, clearance, groups, network, assurance } = &caller.attributes;
    let mut known = vec![
        ("name", text(&caller.user)),
        ("department", text(department)),
        ("clearance", RestrictedExpression::new_long((*clearance).into())),
        ("groups", texts(groups)),
        ("assurance", RestrictedExpression::new_long((*assurance).into())),
    ];
    if let Some(network) = network {
        known.push(("network", RestrictedExpression::new_ip(network)));
    }
    let mut all = vec![entity(user, teams, known)?];
    let own = [
        ("name", text(&caller.app)),
        ("user", RestrictedExpression::new_entity_uid(user.clone())),
        ("labels", texts(&caller.labels)),
    ];
    all.push(entity(app, std::slice::from_ref(user), own)?);
    all.extend(teams.iter().map(|it| Entity::new_no_attrs(it.clone(), HashSet::new())));
    Ok(all)
}

fn things(thing: &Thing, line: &[EntityUid]) -> Result<Vec<Entity>, PolicyError> {
    let [own, server, gateway] = line else { return Ok(Vec::new()) };
    let mut known = vec![
        ("name", text(&thing.name)),
        ("server", RestrictedExpression::new_entity_uid(server.clone())),
        ("effect", text(thing.effect().as_str())),
        ("labels", texts(&thing.label.labels)),
    ];
    if thing.kind == Kind::Tool {
        let hints = thing.hints.unwrap_or_default();
        known.extend(
            Hint::ALL.map(|it| (it.as_str(), RestrictedExpression::new_bool(it.said(&hints)))),
        );
    }
    let of_server = [("name", text(&thing.server)), ("labels", texts(&thing.server_labels))];
    Ok(vec![
        entity(own, &[server.clone(), gateway.clone()], known)?,
        entity(server, &[], of_server)?,
        entity(gateway, &[], [("name", text(&thing.gateway))])?,
    ])
}

fn entity(
    own: &EntityUid,
    parents: &[EntityUid],
    attributes: impl IntoIterator<Item = (&'static str, RestrictedExpression)>,
) -> Result<Entity, PolicyError> {
    let attributes: BTreeMap<String, _> =
        attributes.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
    let parents: HashSet<EntityUid> = parents.iter().cloned().collect();
    Entity::new(own.clone(), attributes.into_iter().collect(), parents).map_err(entity_error)
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts(all: &BTreeSet<Box<str>>) -> RestrictedExpression {
    RestrictedExpression::new_set(all.iter().map(|it| text(it)))
}
