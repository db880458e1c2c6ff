//! Tests of policies: who does what, and what a policy must say of it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::policies::{Caller, Expected, Facts, Thing, Verdict};
use domain::{Hint, Kind, Name, PolicyBook, PolicyText, ToolLabel};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::{AddressText, NameText};
use crate::labels::{AttributesText, EffectText, Label, Labels, plain};

/// A test of a policy, by itself: nothing of the workspace counts, only what stands here.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseText {
    /// What it shows.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[serde(default)]
    principal: PrincipalText,
    action: CaseAction,
    resource: ResourceText,
    #[serde(default)]
    context: ContextText,
    expect: ExpectText,
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PrincipalText {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    app: Option<Name>,
    /// Labels of the app.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    user: Option<Name>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<NameText>, max_items = 100)]
    teams: BTreeSet<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    department: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    clearance: Option<u32>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(max_items = 100)]
    groups: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64)]
    network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 3)]
    assurance: Option<u8>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaseAction {
    /// A tool.
    Call,
    /// A prompt.
    Get,
    /// A resource.
    Read,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceText {
    #[schema(value_type = NameText)]
    server: Name,
    /// The server's own name for it; of a resource its URI.
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    gateway: Option<Name>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    server_labels: Labels,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    labels: Labels,
    /// What an administrator says that it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<EffectText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<AnnotationsText>,
}

/// What a server says of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct AnnotationsText {
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destructive_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotent_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_world_hint: Option<bool>,
}

/// In which circumstances. What is absent is not known.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContextText {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "sorted")]
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExpectText {
    Allow,
    Refuse,
}

/// What a test has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tested {
    pub test: String,
    pub passed: bool,
    /// What the policy says.
    pub found: &'static str,
    pub expected: &'static str,
}

/// Arguments in an order of their own: the one in which they were given is not kept by each database.
fn sorted<'de, D: Deserializer<'de>>(given: D) -> Result<Option<Map<String, Value>>, D::Error> {
    let mut arguments: Option<Map<String, Value>> = Option::deserialize(given)?;
    if let Some(arguments) = &mut arguments {
        arguments.sort_keys();
        arguments.values_mut().for_each(Value::sort_all_objects);
    }
    Ok(arguments)
}

/// Tries tests on the text of a policy.
///
/// # Errors
/// Where the text is no policy, or a test no test.
pub(crate) fn run(name: &Name, text: &str, cases: &[CaseText]) -> Result<Vec<Tested>, String> {
    let parsed = PolicyText::parse(text)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let book = PolicyBook::new(vec![(name.clone(), Arc::new(parsed))]);
    cases.iter().map(|it| it.run(&book)).collect()
}

impl CaseText {
    /// Tries it on policies.
    pub(crate) fn run(&self, book: &PolicyBook) -> Result<Tested, String> {
        if !(1..=200).contains(&self.name.chars().count()) {
            return Err("the `name` of a test has 1 to 200 characters".into());
        }
        let of_test = |why: String| format!("the test `{}`: {why}", self.name);
        let caller = self.principal.caller().map_err(of_test)?;
        let arguments = self.context.arguments.clone().map(Value::Object);
        let facts = Facts {
            now: self.context.time,
            address: self.context.address,
            arguments: arguments.as_ref(),
        };
        let verdict = book.decide(&caller, &self.resource.thing(self.action), &facts);
        let (wanted, expected) = match self.expect {
            ExpectText::Allow => (Expected::Allow, "allow"),
            ExpectText::Refuse => (Expected::Refuse, "refuse"),
        };
        Ok(Tested {
            test: self.name.clone(),
            passed: wanted.is(&verdict),
            found: match verdict {
                Verdict::Allowed => "allow",
                Verdict::Refused(_) => "refuse",
                Verdict::Open(_) => "it depends on what the test does not say",
            },
            expected,
        })
    }
}

impl PrincipalText {
    fn caller(&self) -> Result<Caller, String> {
        let attributes = AttributesText {
            department: self.department.clone(),
            clearance: self.clearance,
            groups: self.groups.clone(),
            network: self.network.clone(),
            assurance: self.assurance,
        };
        let named = |it: &Option<Name>| it.as_ref().map_or("", Name::as_str).into();
        Ok(Caller {
            app: named(&self.app),
            labels: plain(self.labels.clone()),
            user: named(&self.user),
            attributes: attributes.checked().map_err(|error| error.to_string())?,
            teams: self.teams.iter().map(|it| it.as_str().into()).collect(),
        })
    }
}

impl ResourceText {
    fn thing(&self, action: CaseAction) -> Thing {
        let said = self.annotations.clone().unwrap_or_default();
        let hints = Hint::ALL.map(|it| match it {
            Hint::ReadOnly => said.read_only_hint,
            Hint::Destructive => said.destructive_hint,
            Hint::Idempotent => said.idempotent_hint,
            Hint::OpenWorld => said.open_world_hint,
        });
        let labels = plain(self.labels.clone());
        Thing {
            kind: match action {
                CaseAction::Call => Kind::Tool,
                CaseAction::Get => Kind::Prompt,
                CaseAction::Read => Kind::Resource,
            },
            name: self.name.as_str().into(),
            server: self.server.as_str().into(),
            server_labels: plain(self.server_labels.clone()),
            gateway: self.gateway.as_ref().map_or("", Name::as_str).into(),
            label: ToolLabel { effect: self.effect.map(Into::into), labels },
            hints: Some(hints),
        }
    }
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` expects {} and finds: {}", self.test, self.expected, self.found)
    }
}
