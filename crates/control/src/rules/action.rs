//! What a rule does to what it finds: as text.

use domain::RuleAction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a rule does to what it finds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ActionText {
    /// Refuses the whole message; the message is for the client.
    Block { message: String },
    /// Puts a keyed hash in its place.
    Hash {},
    /// Puts `*` for each character but the last few.
    Mask {
        #[serde(default)]
        keep_last: usize,
    },
    /// Puts `[redacted]` in its place.
    Redact {},
    /// Puts this in its place; `$1` stands for what a group matched.
    Replace { with: String },
}

impl From<ActionText> for RuleAction {
    fn from(text: ActionText) -> Self {
        match text {
            ActionText::Block { message } => Self::Block { message },
            ActionText::Hash {} => Self::Hash,
            ActionText::Mask { keep_last } => Self::Mask { keep_last },
            ActionText::Redact {} => Self::Redact,
            ActionText::Replace { with } => Self::Replace { with },
        }
    }
}

impl From<RuleAction> for ActionText {
    fn from(action: RuleAction) -> Self {
        match action {
            RuleAction::Block { message } => Self::Block { message },
            RuleAction::Hash => Self::Hash {},
            RuleAction::Mask { keep_last } => Self::Mask { keep_last },
            RuleAction::Redact => Self::Redact {},
            RuleAction::Replace { with } => Self::Replace { with },
        }
    }
}
