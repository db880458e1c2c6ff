//! All that the data plane may read, as one value that is replaced and never changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    Addresses, AppId, AssignmentId, Attributes, Authority, Condition, ConnectionId, Described,
    GatewayId, IdentityId, Kind, Limit, Name, Policies, Policy, PolicyError, Review, RuleId,
    ServerId, Switches, Table, TeamId, TokenId, ToolLabel, UserId, WorkspaceId,
};

/// The configuration and the switches as of one epoch.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Grows with every change.
    pub epoch: u64,
    /// Random, and new with every change. Equal epochs with equal stamps mean equal content.
    pub stamp: i64,
    pub config: Arc<Config>,
    pub switches: Arc<Switches>,
}

impl Snapshot {
    /// Whether nothing can be decided otherwise by this one than by the other. Where that is not known
    /// for certain it is false.
    pub fn says_as_much_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && Arc::ptr_eq(&self.switches, &other.switches)
    }
}

/// Everything but the switches.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub workspaces: Table<Name, Arc<Workspace>>,
    /// Every live token of every workspace, by hash.
    pub tokens: Table<TokenHash, Token>,
}

impl Config {
    /// The workspace of this id, whatever its name is now.
    pub fn workspace(&self, id: WorkspaceId) -> Option<&Arc<Workspace>> {
        self.workspaces.values().find(|it| it.id == id)
    }

    /// The longest time for which calls at any gateway may be decided without the database.
    pub fn widest_autonomy(&self) -> Duration {
        let workspaces = self.workspaces.values();
        workspaces.map(|it| it.widest_autonomy()).max().unwrap_or_default()
    }
}

/// SHA-256 of a token's text. The text itself is stored nowhere.
pub type TokenHash = [u8; 32];

/// A secret that an app presents.
#[derive(Clone, Debug)]
pub struct Token {
    pub id: TokenId,
    pub workspace: Name,
    pub app: AppId,
    pub expires_at: DateTime<Utc>,
}

/// A tenant.
#[derive(Debug)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: Name,
    pub durability: Durability,
    /// From where everything in it may be used.
    pub addresses: Addresses,
    pub users: Table<UserId, User>,
    pub teams: Table<TeamId, Name>,
    pub apps: Table<AppId, App>,
    pub servers: Table<ServerId, Arc<Server>>,
    pub identities: Table<IdentityId, Identity>,
    pub gateways: Table<Name, Arc<Gateway>>,
    /// See [`Workspace::lobby`].
    pub lobby: Lobby,
    /// In the order of their ids.
    pub limits: Vec<Arc<Limit>>,
    /// Who may administer what in it.
    pub authority: Arc<Authority>,
    /// What takes away from what is granted.
    pub policies: Arc<Policies>,
}

impl Workspace {
    /// The same, to be changed before it is published: what it shares with this one stays shared, and
    /// nothing has been found out about it yet.
    #[must_use]
    pub fn draft(&self) -> Self {
        Self {
            id: self.id,
            name: self.name.clone(),
            durability: self.durability,
            addresses: self.addresses.clone(),
            users: self.users.clone(),
            teams: self.teams.clone(),
            apps: self.apps.clone(),
            servers: self.servers.clone(),
            identities: self.identities.clone(),
            gateways: self.gateways.clone(),
            lobby: Lobby::default(),
            limits: self.limits.clone(),
            authority: Arc::clone(&self.authority),
            policies: Arc::new(self.policies.draft()),
        }
    }

    /// The longest time for which calls at any of its gateways may be decided without the database.
    pub fn widest_autonomy(&self) -> Duration {
        self.gateways.values().map(|it| it.autonomy).max().unwrap_or_default()
    }
}

/// The place of those who have picked no gateway.
#[derive(Debug, Default)]
pub struct Lobby(OnceLock<Arc<Gateway>>);

/// What a record must have survived before a call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In the kernel, synced within 100 ms: survives the death of the process.
    Written,
    /// On disk: survives power loss.
    Synced,
}

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    pub id: UserId,
    pub name: Name,
    pub teams: BTreeSet<TeamId>,
    pub attributes: Attributes,
}

/// A client that calls: here a headless agent, which acts for the person who owns it.
#[derive(Clone, Debug)]
pub struct App {
    pub id: AppId,
    pub name: Name,
    pub owner: UserId,
    /// From where it may call.
    pub addresses: Addresses,
    /// The gateway at which it is where one URL is for several. It may not be usable.
    pub picked: Option<GatewayId>,
    pub labels: BTreeSet<Box<str>>,
}

/// An upstream MCP server.
#[derive(Debug)]
pub struct Server {
    pub id: ServerId,
    pub name: Name,
    pub transport: Transport,
    pub era: EraSetting,
    pub tasks: TasksSetting,
    /// Whether a legacy one may ask modern clients for their folders.
    pub roots: bool,
    /// Whether what it lists must be approved first.
    pub review: Review,
    pub labels: BTreeSet<Box<str>>,
    /// What administrators say of its tools, by its own names.
    pub tool_labels: BTreeMap<String, ToolLabel>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP at this URL.
    Http { url: String },
    /// HTTP+SSE, the transport of 2024-11-05, with its stream at this URL.
    Sse { url: String },
    /// A child process of ours that speaks on its standard streams.
    Stdio { command: String, args: Vec<String>, env: BTreeMap<String, String> },
}

/// Which protocol era to speak to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EraSetting {
    #[default]
    Auto,
    Modern,
    Legacy,
}

/// What becomes of a call that a server makes a task of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TasksSetting {
    /// It goes to clients that know tasks; for others the server must do without.
    #[default]
    Relay,
    /// For clients that know none the gateway waits until it is done.
    Wait,
}

/// A credential for one server. Opened only on its way upstream.
#[derive(Clone, Debug)]
pub struct Identity {
    pub id: IdentityId,
    pub name: Name,
    pub server: ServerId,
    /// Whose it is; absent for one that is shared.
    pub owner: Option<UserId>,
    /// As the vault made it: header names and values.
    pub sealed: Vec<u8>,
}

/// One governed URL.
#[derive(Debug)]
pub struct Gateway {
    pub id: GatewayId,
    pub name: Name,
    /// In the order in which their tools are listed.
    pub assignments: Vec<Arc<Assignment>>,
    /// The teams that may use it.
    pub teams: BTreeSet<TeamId>,
    /// From where it may be used.
    pub addresses: Addresses,
    /// For how long calls may be decided without the database; zero for not at all.
    pub autonomy: Duration,
    pub connections: Table<AppId, Connection>,
    pub rules: Arc<[RuleDef]>,
    pub policy: Policy,
}

/// A server on a gateway.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub id: AssignmentId,
    /// Prefix of its tools on the gateway, and its segment in the single-server URL.
    pub alias: Name,
    pub server: Arc<Server>,
    pub scheme: Scheme,
    pub tools: Provision,
    pub prompts: Provision,
    pub resources: Provision,
}

/// Whose credential goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// None: the server asks for nothing.
    Open,
    /// The one that the assignment names.
    Shared(IdentityId),
    /// The one that the caller's connection has chosen for the server.
    Own,
}

/// Which of a server's offers of one kind an assignment exposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provision {
    All,
    /// By the server's own names (for resources: URIs).
    Named(BTreeSet<String>),
    Nothing,
    /// What the condition holds for, as its server describes it now.
    Where(Arc<Condition>),
}

impl Provision {
    /// Whether everything that the other lets through is let through here too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::Nothing) => true,
            (Self::Named(names), Self::Named(others)) => names.is_superset(others),
            // What a condition holds for is not known here.
            (Self::Where(one), Self::Where(other)) => one == other,
            (Self::Named(_) | Self::Nothing | Self::Where(_), _) => false,
        }
    }
}

/// An app on a gateway.
#[derive(Clone, Debug)]
pub struct Connection {
    pub id: ConnectionId,
    pub app: AppId,
    /// The person for whom the app acts here.
    pub user: UserId,
    /// The credentials chosen for servers whose scheme is [`Scheme::Own`].
    pub identities: HashMap<ServerId, IdentityId>,
}

/// A content rule, as saved. Known to compile, since it is tried before it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleDef {
    pub id: RuleId,
    pub name: Name,
    /// A regular expression, matched in linear time.
    pub pattern: String,
    pub on_request: bool,
    pub on_response: bool,
    /// Exposed tool names it is limited to; absent means all.
    pub tools: Option<BTreeSet<String>>,
    pub action: RuleAction,
    /// Counts and records hits without acting on them.
    pub observe_only: bool,
}

/// What a rule does to what it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAction {
    Block { message: String },
    Hash,
    Mask { keep_last: usize },
    Redact,
    Replace { with: String },
}

/// A connection has chosen no credential for a server that needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection has chosen no credential for this server")]
pub struct NoIdentityChosen;

impl Snapshot {
    /// Nothing configured, nothing allowed.
    pub fn empty() -> Self {
        Self { epoch: 0, stamp: 0, config: Arc::default(), switches: Arc::default() }
    }
}

impl Workspace {
    /// Where an app is that has picked no gateway, or none that it may use: a gateway on which nothing
    /// is, for everybody who is in any team. Made when it is first asked for.
    ///
    /// # Errors
    /// Never, as far as ids can be written into a policy.
    pub fn lobby(&self) -> Result<&Arc<Gateway>, PolicyError> {
        if let Some(known) = self.lobby.0.get() {
            return Ok(known);
        }
        let id = GatewayId(self.id.0);
        let connections = self.apps.values().map(|it| {
            let connection = Connection {
                id: ConnectionId(it.id.0),
                app: it.id,
                user: it.owner,
                identities: HashMap::new(),
            };
            (it.id, connection)
        });
        let lobby = Gateway {
            id,
            name: self.name.clone(),
            assignments: Vec::new(),
            teams: self.users.values().flat_map(|it| it.teams.iter().copied()).collect(),
            addresses: Addresses::default(),
            autonomy: Duration::ZERO,
            connections: connections.collect(),
            rules: Arc::from([]),
            policy: Policy::nothing(id)?,
        };
        Ok(self.lobby.0.get_or_init(|| Arc::new(lobby)))
    }
}

impl Gateway {
    /// The same, to be changed before it is published: nothing has been decided by it yet.
    #[must_use]
    pub fn draft(&self) -> Self {
        Self {
            id: self.id,
            name: self.name.clone(),
            assignments: self.assignments.clone(),
            teams: self.teams.clone(),
            addresses: self.addresses.clone(),
            autonomy: self.autonomy,
            connections: self.connections.clone(),
            rules: Arc::clone(&self.rules),
            policy: self.policy.draft(),
        }
    }
}

impl Token {
    /// Whether it may still be presented.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at
    }
}

impl Provision {
    /// Whether an offer that policy allows is one that its server describes as it shall be.
    pub fn admits(&self, it: &Described) -> bool {
        match self {
            Self::Where(condition) => condition.holds(it),
            Self::All | Self::Named(_) | Self::Nothing => true,
        }
    }
}

impl Assignment {
    /// What it exposes of a kind.
    pub fn provision(&self, kind: Kind) -> &Provision {
        match kind {
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
            Kind::Tool => &self.tools,
        }
    }

    /// The credential to use for a connection, `None` for an open server.
    ///
    /// # Errors
    /// Where the connection must have chosen one and has not.
    pub fn identity_for(
        &self,
        connection: &Connection,
    ) -> Result<Option<IdentityId>, NoIdentityChosen> {
        match self.scheme {
            Scheme::Open => Ok(None),
            Scheme::Shared(id) => Ok(Some(id)),
            Scheme::Own => connection
                .identities
                .get(&self.server.id)
                .copied()
                .map(Some)
                .ok_or(NoIdentityChosen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_covers_what() {
        let named =
            |names: &[&str]| Provision::Named(names.iter().map(|it| (*it).to_owned()).collect());
        let order = [Provision::Nothing, named(&["a"]), named(&["a", "b"]), Provision::All];
        for (i, one) in order.iter().enumerate() {
            for (j, other) in order.iter().enumerate() {
                assert_eq!(one.covers(other), j <= i, "{one:?} {other:?}");
            }
        }
        assert!(!named(&["a"]).covers(&named(&["b"])));
    }
}
