//! What policies look at of people, apps, servers and tools: as text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use domain::{Attributes, Capability, Effect, ToolLabel};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::api::Error;
use crate::change::Change;

/// 1 to 64 of a-z, 0-9 and `-_./`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Label(Box<str>);

/// Labels of one thing; at most 100.
pub(crate) type Labels = BTreeSet<Label>;

/// What administrators say of tools, by the server's own names; of at most 1000.
pub(crate) type ToolLabels = BTreeMap<String, ToolLabelText>;

/// What administrators say of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolLabelText {
    /// What a call of it does, whatever its annotations say.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<EffectText>,
    #[serde(default)]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    labels: Labels,
}

/// What a call of a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectText {
    Read,
    Write,
    Destructive,
}

/// What is known of a person, for policies. What is absent is the least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct AttributesText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) department: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clearance: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) groups: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assurance: Option<u8>,
}

const MOST_LABELS: usize = 100;
const MOST_TOOLS: usize = 1_000;
/// The longest name of a tool, in bytes.
const LONGEST_TOOL: usize = 1_024;

/// Refuses to change what policies look at without the right to change policies: whoever takes a label
/// away takes away what is said of it.
pub(crate) fn check_change<T: PartialEq>(change: &Change, is: &T, was: &T) -> Result<(), Error> {
    if is == was { Ok(()) } else { change.require_on_workspace(Capability::PoliciesWrite) }
}

/// Refuses more labels than a thing may have.
pub(crate) fn check(labels: &Labels) -> Result<(), Error> {
    if labels.len() <= MOST_LABELS {
        return Ok(());
    }
    Err(Error::Invalid(format!("there are at most {MOST_LABELS} `labels`")))
}

/// Refuses what is no label of a tool.
pub(crate) fn check_tools(tools: &ToolLabels) -> Result<(), Error> {
    if MOST_TOOLS < tools.len() {
        return Err(Error::Invalid(format!("`tool_labels` are of at most {MOST_TOOLS} tools")));
    }
    for (tool, it) in tools {
        if tool.is_empty() || LONGEST_TOOL < tool.len() || tool.contains('\0') {
            return Err(Error::Invalid("`tool_labels` name something that is no tool".into()));
        }
        check(&it.labels)?;
    }
    Ok(())
}

/// As the data plane knows them.
pub(crate) fn plain(labels: Labels) -> BTreeSet<Box<str>> {
    labels.into_iter().map(|it| it.0).collect()
}

impl AttributesText {
    /// As the data plane knows them, checked.
    pub(crate) fn checked(&self) -> Result<Attributes, Error> {
        if self.department.as_deref() == Some("") {
            return Err(Error::Invalid("`department` is not empty".into()));
        }
        let attributes = Attributes::from(self.clone());
        attributes.check().map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(attributes)
    }
}

impl From<AttributesText> for Attributes {
    fn from(it: AttributesText) -> Self {
        Self {
            department: it.department.unwrap_or_default().into(),
            clearance: it.clearance.unwrap_or_default(),
            groups: it.groups.into_iter().map(Into::into).collect(),
            network: it.network.map(Into::into),
            assurance: it.assurance.unwrap_or_default(),
        }
    }
}

impl From<ToolLabelText> for ToolLabel {
    fn from(it: ToolLabelText) -> Self {
        Self { effect: it.effect.map(Into::into), labels: plain(it.labels) }
    }
}

impl From<EffectText> for Effect {
    fn from(it: EffectText) -> Self {
        match it {
            EffectText::Read => Self::Read,
            EffectText::Write => Self::Write,
            EffectText::Destructive => Self::Destructive,
        }
    }
}

impl TryFrom<String> for Label {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if domain::policies::is_label(&text) {
            return Ok(Self(text.into()));
        }
        Err("a label is 1 to 64 of a-z, 0-9, `-`, `_`, `.` and `/`")
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0.into()
    }
}

impl ToSchema for Label {
    fn name() -> Cow<'static, str> {
        "Label".into()
    }
}

impl PartialSchema for Label {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[a-z0-9_./-]{1,64}$"))
            .min_length(Some(1))
            .max_length(Some(64))
            .into()
    }
}
