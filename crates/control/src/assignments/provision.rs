//! Which of a server's offers an assignment exposes, and whose credential it uses: as text.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Provision;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::condition::Checked;

/// Which offers of one kind are exposed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "expose", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ProvisionText {
    #[serde(rename = "all")]
    Everything {},
    /// By the server's own names (for resources: URIs).
    Named {
        names: BTreeSet<String>,
    },
    Nothing {},
    /// What the condition holds for, as its server describes it now.
    Conditions {
        #[serde(rename = "where")]
        condition: Checked,
    },
}

/// Whose credential goes upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SchemeText {
    /// None: the server asks for nothing.
    #[default]
    Open,
    /// The one that the assignment names.
    Shared,
    /// The one that the caller's connection has chosen.
    Own,
}

impl SchemeText {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Shared => "shared",
            Self::Own => "own",
        }
    }
}

impl Default for ProvisionText {
    fn default() -> Self {
        Self::Everything {}
    }
}

impl From<ProvisionText> for Provision {
    fn from(text: ProvisionText) -> Self {
        match text {
            ProvisionText::Everything {} => Self::All,
            ProvisionText::Named { names } => Self::Named(names),
            ProvisionText::Nothing {} => Self::Nothing,
            ProvisionText::Conditions { condition } => Self::Where(Arc::new(condition.into())),
        }
    }
}

impl From<Provision> for ProvisionText {
    fn from(provision: Provision) -> Self {
        match provision {
            Provision::All => Self::Everything {},
            Provision::Named(names) => Self::Named { names },
            Provision::Nothing => Self::Nothing {},
            Provision::Where(it) => Self::Conditions { condition: (*it).clone().into() },
        }
    }
}
