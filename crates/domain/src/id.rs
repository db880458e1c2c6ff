//! Ids of the product's nouns: UUIDv7, so that they sort by age (RFC 9562 section 5.7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A client that calls.
    AppId,
    /// A server on a gateway.
    AssignmentId,
    /// An app used on a gateway.
    ConnectionId,
    /// One governed URL.
    GatewayId,
    /// A credential for one server.
    IdentityId,
    /// How much may be used.
    LimitId,
    /// A set of capabilities.
    RoleId,
    /// A role given to someone.
    RoleGrantId,
    /// A content rule of a gateway.
    RuleId,
    /// An upstream MCP server.
    ServerId,
    /// A group of people.
    TeamId,
    /// A secret that an app presents.
    TokenId,
    /// A person.
    UserId,
    /// A tenant.
    WorkspaceId,
}
