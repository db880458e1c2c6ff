//! What an administrator may be allowed to do: an area and a verb.
//!
//! The texts are stored in roles and tokens, so they only grow.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident => $text:literal),* $(,)?) => {
        /// One thing that a role may hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum Capability {
            $($(#[$doc])* $name),*
        }

        impl Capability {
            /// All there are, in the order of their texts.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it stands in roles, files and messages.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }
    };
}

capabilities! {
    /// The tokens with which people administer, without their secrets.
    AdminTokensRead => "admin-tokens:read",
    AdminTokensWrite => "admin-tokens:write",
    /// Apps, their tokens and their connections.
    AppsRead => "apps:read",
    AppsWrite => "apps:write",
    /// Servers that are commands, which run on the machine of the gateway itself.
    CommandsWrite => "commands:write",
    /// Turning things off at once, and on again.
    CutoffsRead => "cutoffs:read",
    CutoffsWrite => "cutoffs:write",
    /// Gateways and the servers on them.
    GatewaysRead => "gateways:read",
    GatewaysWrite => "gateways:write",
    IdentitiesRead => "identities:read",
    IdentitiesWrite => "identities:write",
    /// How much may be used, and who has used how much.
    LimitsRead => "limits:read",
    LimitsWrite => "limits:write",
    /// Users, teams and who is in them.
    PeopleRead => "people:read",
    PeopleWrite => "people:write",
    /// What servers under review list, and what is approved of it.
    PinsRead => "pins:read",
    PinsWrite => "pins:write",
    /// What takes away from what is granted.
    PoliciesRead => "policies:read",
    PoliciesWrite => "policies:write",
    /// Making the content of a day's records unreadable, for good.
    RecordsErase => "records:erase",
    RecordsRead => "records:read",
    /// Roles, and who has been granted them.
    RolesRead => "roles:read",
    RolesWrite => "roles:write",
    RulesRead => "rules:read",
    RulesWrite => "rules:write",
    ServersRead => "servers:read",
    ServersWrite => "servers:write",
    /// Making, changing and deleting workspaces.
    WorkspacesWrite => "workspaces:write",
}

/// A text that names no [`Capability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such capability")]
pub struct NoCapability;

impl TryFrom<String> for Capability {
    type Error = NoCapability;

    fn try_from(text: String) -> Result<Self, NoCapability> {
        text.parse()
    }
}

impl std::str::FromStr for Capability {
    type Err = NoCapability;

    fn from_str(text: &str) -> Result<Self, NoCapability> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text).ok_or(NoCapability)
    }
}

impl From<Capability> for &'static str {
    fn from(capability: Capability) -> Self {
        capability.as_str()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back_and_sorted() {
        for it in Capability::ALL {
            assert_eq!(it.as_str().parse(), Ok(*it));
        }
        assert!(Capability::ALL.is_sorted_by_key(|it| it.as_str()));
        for text in ["", "servers", "servers:", "Servers:read", "servers:read ", "servers:*"] {
            assert_eq!(text.parse::<Capability>(), Err(NoCapability), "{text:?}");
        }
    }
}
