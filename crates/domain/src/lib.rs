//! What things are and what is allowed.
//!
//! Nothing here waits, reads or writes: a decision is a pure function of the [`Snapshot`], the
//! caller, the call and the time. The planes are handed a snapshot and the few traits in [`ports`].

mod addresses;
mod authority;
mod capability;
mod clock;
mod condition;
mod decision;
mod id;
pub mod limits;
mod name;
mod pin;
pub mod policies;
mod policy;
pub mod ports;
mod preview;
mod snapshot;
mod switch;
mod table;
mod test_call;

pub use addresses::{
    AddressList, Addresses, InvalidNetwork, Network, TooManyNetworks, canonical, check_caller,
    check_gateway,
};
pub use authority::{Actor, Authority, Holder, Object, Reach, Reason, RoleGrant, Scope, Verdict};
pub use capability::{Capability, NoCapability};
pub use clock::{Clock, Stamp};
pub use condition::{Condition, Described, Hint, InvalidPattern, Pattern, TextTest};
pub use decision::{Call, Denied, Use, Withheld, admit, check_switches, decide, is_granted};
pub use id::{
    AppId, AssignmentId, ConnectionId, GatewayId, IdentityId, LimitId, RoleGrantId, RoleId, RuleId,
    ServerId, TeamId, TokenId, UserId, WorkspaceId,
};
pub use limits::Limit;
pub use name::{InvalidName, Name};
pub use pin::{DefinitionHash, InvalidHash, PinKey, PinKind, Review};
pub use policies::{
    Attributes, Effect, Facts, Fault, Objection, Policies, PolicyBook, PolicyText, Question,
    ToolLabel,
};
pub use policy::{Ask, Kind, Policy, PolicyError, Provisioned};
pub use preview::{Because, Hidden, NoPreview, Preview, Previewed, Said, Shown};
pub use snapshot::{
    App, Assignment, Config, Connection, Durability, EraSetting, Gateway, Identity, Lobby,
    NoIdentityChosen, Provision, RuleAction, RuleDef, Scheme, Server, Snapshot, TasksSetting,
    Token, TokenHash, Transport, User, Workspace,
};
pub use switch::{Subject, Switch, Switches, Target};
pub use table::Table;
pub use test_call::{Answered, May, NotCalled, Starter, TestCall, Tested};
