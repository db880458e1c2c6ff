//! What a client would be shown, and what not: the answer to a question of an administrator.

use crate::Described;

/// The lists of a gateway as a client of an app sees them, each in the order of its lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    pub prompts: Previewed,
    pub resources: Previewed,
    pub templates: Previewed,
    pub tools: Previewed,
    /// Servers that could not be listed: their aliases, and what went wrong.
    pub missing: Vec<(String, String)>,
}

/// One list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previewed {
    pub shown: Vec<Shown>,
    pub hidden: Vec<Hidden>,
}

/// What is on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// As it is listed: a name, a URI or a URI template.
    pub name: String,
    /// Of the assignment.
    pub alias: String,
    /// The server's own name for it.
    pub own_name: String,
    pub said: Said,
    /// What arguments a tool takes, as its server says it: JSON. Absent where that is long.
    pub input_schema: Option<Box<str>>,
    /// How many tokens its entry is to a model: an estimate.
    pub tokens: u64,
}

/// What its server lists and the client is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Of the assignment.
    pub alias: String,
    /// The server's own name for it.
    pub name: String,
    pub said: Said,
    /// How many tokens its entry would be to a model: an estimate.
    pub tokens: u64,
    pub because: Because,
}

/// What its server says of it. Nobody vouches for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub title: Option<String>,
    /// Its beginning.
    pub description: Option<String>,
    /// In the order of [`Hint::ALL`](crate::Hint::ALL).
    pub hints: [Option<bool>; 4],
}

impl Said {
    /// More of a description is for those who decide about it.
    const MOST_CHARS: usize = 500;

    /// As far as somebody who looks at many needs it.
    pub fn of(described: &Described) -> Self {
        let beginning = |it: &str| it.chars().take(Self::MOST_CHARS).collect();
        Self {
            title: described.title.as_deref().map(beginning),
            description: described.description.as_deref().map(beginning),
            hints: described.hints,
        }
    }
}

/// Why something is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The assignment does not expose it to this app.
    NotExposed,
    /// The assignment's condition does not hold for what its server says of it.
    Condition,
    /// It waits for approval, or has been rejected.
    Unapproved,
    /// It is turned off, or its server or assignment is.
    Off,
    /// A policy of the workspace refuses it.
    Policy,
    /// Another offer has the same name.
    NameTaken,
    /// It belongs to an extension that servers cannot offer together.
    Withheld,
    /// It can be called by clients only that follow tasks.
    NeedsTasks,
}

/// Why there is nothing to see at all, in words for an administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoPreview(pub String);
