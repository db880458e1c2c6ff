//! The kinds of documents, and how they are told from each other.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use domain::{Capability, DefinitionHash, Name};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::reference::Reference;
use super::{Scope, emit, yaml};
use crate::addresses::AddressesText;
use crate::api::{Error, NameText};
use crate::assignments::{ProvisionText, SchemeText};
use crate::labels::{Label, Labels, ToolLabelText, ToolLabels};
use crate::limits::{AllowanceText, DirectionText, ScopeText, UnitText};
use crate::policies::CaseText;
use crate::role_grants::OnText;
use crate::rules::ActionText;
use crate::servers::{EraText, ReviewText, TasksText, TransportText};
use crate::workspaces::DurabilityText;

/// How an object shall be. In the order in which they are applied: what is referred to first.
#[derive(Clone, Debug)]
pub(super) enum Document {
    Workspace(WorkspaceFile),
    User(UserFile),
    Team(TeamFile),
    Role(RoleFile),
    Server(ServerFile),
    Identity(IdentityFile),
    Gateway(GatewayFile),
    App(AppFile),
    Limit(LimitFile),
    Policy(PolicyFile),
    RoleGrant(RoleGrantFile),
}

/// A tenant.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkspaceFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) durability: Option<DurabilityText>,
    /// From where everything in it may be used; absent: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) addresses: Option<AddressesText>,
}

/// A person.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    /// What is known of the person, for policies. Where one of these five is there, all of it, so
    /// that what is absent is the least; where none is, it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) department: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clearance: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) groups: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assurance: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
}

/// A group of people.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TeamFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    /// All of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<NameText>>)]
    pub(super) members: Option<BTreeSet<Name>>,
}

/// A set of capabilities.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleFile {
    #[schema(value_type = String)]
    pub(super) name: Name,
    /// All of them, such as `servers:read`.
    #[schema(value_type = Vec<String>)]
    pub(super) capabilities: BTreeSet<Capability>,
}

/// A role given to a user or to a team.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleGrantFile {
    #[schema(value_type = String)]
    pub(super) name: Name,
    #[schema(value_type = String)]
    pub(super) role: Name,
    /// Either this or `team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) user: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) team: Option<Name>,
    /// `workspace`, which is meant where this is absent, or `gateway/main`, `server/jira`,
    /// `team/dev`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(super) on: OnText,
}

/// An upstream MCP server.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    pub(super) transport: TransportText,
    #[serde(default)]
    pub(super) era: EraText,
    #[serde(default)]
    pub(super) tasks: TasksText,
    /// Whether a legacy one may ask modern clients for their folders.
    #[serde(default)]
    pub(super) roots: bool,
    /// Absent: as it is, and `on` for a new server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) review: Option<ReviewText>,
    /// All of them, for policies. Absent: as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Label>>)]
    pub(super) labels: Option<Labels>,
    /// All that administrators say of its tools, for policies. Absent: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, ToolLabelText>>)]
    pub(super) tool_labels: Option<ToolLabels>,
    /// All that is approved of what it lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pins: Option<Vec<PinFile>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
}

/// An approved definition of a tool, prompt or resource template, or of a server's instructions.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PinFile {
    /// `instructions`, `prompt`, `resource_template` or `tool`.
    pub(super) kind: String,
    /// The server's own name for it; of a template its URI template, and of its instructions
    /// `instructions`.
    pub(super) name: String,
    /// SHA-256 over its canonical form: `sha256:` and hex digits.
    #[schema(value_type = String)]
    pub(super) hash: DefinitionHash,
}

/// A credential for one server.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    #[schema(value_type = NameText)]
    pub(super) server: Name,
    /// Whose it is; absent for one that is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub(super) owner: Option<Name>,
    /// Header names, and where their values are: `env:NAME` or `file:PATH`, perhaps after a word
    /// as in `Bearer env:NAME`, or `vault:` for what is stored already.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(super) headers: BTreeMap<String, Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
}

/// One governed URL, with its teams, servers and rules.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    /// All teams that may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<NameText>>)]
    pub(super) teams: Option<BTreeSet<Name>>,
    /// From where it may be used; absent: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) addresses: Option<AddressesText>,
    /// For how many seconds calls are answered while the database is away; absent: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 60)]
    pub(super) max_autonomy_seconds: Option<u8>,
    /// All servers on it, in the order in which their tools are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assignments: Option<Vec<AssignmentFile>>,
    /// All of its rules, in the order in which they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rules: Option<Vec<RuleFile>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
}

/// A server on a gateway.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignmentFile {
    #[schema(value_type = NameText)]
    pub(super) server: Name,
    /// The server's name where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub(super) alias: Option<Name>,
    #[serde(default)]
    pub(super) scheme: SchemeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub(super) identity: Option<Name>,
    #[serde(default)]
    pub(super) tools: ProvisionText,
    #[serde(default)]
    pub(super) prompts: ProvisionText,
    #[serde(default)]
    pub(super) resources: ProvisionText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
}

/// A content rule of a gateway.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    pub(super) pattern: String,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) on_request: bool,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) on_response: bool,
    /// The tools it is limited to; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<BTreeSet<String>>,
    pub(super) action: ActionText,
    #[serde(default)]
    pub(super) observe_only: bool,
}

/// A client that calls: a headless agent.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    #[schema(value_type = NameText)]
    pub(super) owner: Name,
    pub(super) purpose: String,
    /// From where it may call; absent: as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) addresses: Option<AddressesText>,
    /// All of them, for policies. Absent: as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Label>>)]
    pub(super) labels: Option<Labels>,
    /// All gateways that it is connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gateways: Option<Vec<ConnectionFile>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
}

/// A gateway that an app is connected to.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionFile {
    #[schema(value_type = NameText)]
    pub(super) gateway: Name,
    /// All credentials that it uses there.
    #[serde(default)]
    #[schema(value_type = Vec<NameText>)]
    pub(super) identities: BTreeSet<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
}

/// How much may be used, and by whom together.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitFile {
    #[schema(value_type = String)]
    pub(super) name: Name,
    pub(super) scope: ScopeText,
    pub(super) unit: UnitText,
    /// For tokens and bytes; `both` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) direction: Option<DirectionText>,
    pub(super) allowance: AllowanceText,
    /// The only gateway on which it counts; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) gateway: Option<Name>,
}

/// What takes away from what is granted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    #[schema(value_type = NameText)]
    pub(super) name: Name,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) enabled: bool,
    /// In Cedar.
    pub(super) text: String,
    /// Which it must pass to be saved.
    #[serde(default)]
    pub(super) tests: Vec<CaseText>,
}

fn yes() -> bool {
    true
}

/// Reasons are for people.
const REASON_CHARS: usize = 500;

/// The documents of a text, each with its workspace, in the order in which to apply them.
pub(super) fn parse(text: &str, scope: &Scope) -> Result<Vec<(Name, Document)>, Error> {
    let values = yaml::parse(text).map_err(|error| Error::Malformed(error.to_string()))?;
    let mut above = scope.workspace.clone();
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for (i, value) in values.into_iter().enumerate() {
        let (workspace, document) = one(value).map_err(|why| {
            // What is refused may be of any length, and is repeated in the reason.
            let why: String = why.chars().take(REASON_CHARS).collect();
            Error::Malformed(format!("document {}: {why}", i + 1))
        })?;
        let workspace = match &document {
            Document::Workspace(it) => {
                above = it.name.clone();
                it.name.clone()
            }
            _ => workspace.unwrap_or_else(|| above.clone()),
        };
        let (kind, name) = (document.kind(), document.name().clone());
        if scope.is_only && workspace != scope.workspace {
            return Err(Error::Invalid(format!(
                "{kind} `{name}` is of workspace `{workspace}`, not of `{}`",
                scope.workspace
            )));
        }
        if !seen.insert((workspace.clone(), kind, name.clone())) {
            return Err(Error::Malformed(format!("{kind} `{name}` stands twice")));
        }
        all.push((workspace, document));
    }
    all.sort_by_key(|(_, document)| document.rank());
    Ok(all)
}

fn one(value: Value) -> Result<(Option<Name>, Document), String> {
    let Value::Object(mut members) = value else {
        return Err("a document has members, `kind` and `name` first".into());
    };
    let Some(Value::String(kind)) = members.shift_remove("kind") else {
        return Err("say the `kind`".into());
    };
    let name = members.get("name").and_then(Value::as_str).unwrap_or_default();
    let what: String = format!("{kind} `{name}`").chars().take(REASON_CHARS / 4).collect();
    let workspace = match members.shift_remove("workspace") {
        None => None,
        Some(_) if kind == "Workspace" => return Err(format!("{what}: it is no part of another")),
        Some(value) => Some(read(value).map_err(|why| format!("{what}: workspace: {why}"))?),
    };
    let members = Value::Object(members);
    let document = match kind.as_str() {
        "Workspace" => read(members).map(Document::Workspace),
        "User" => read(members).map(Document::User),
        "Team" => read(members).map(Document::Team),
        "Server" => read(members).map(Document::Server),
        "Identity" => read(members).map(Document::Identity),
        "Gateway" => read(members).map(Document::Gateway),
        "App" => read(members).map(Document::App),
        "Limit" => read(members).map(Document::Limit),
        "Policy" => read(members).map(Document::Policy),
        "Role" => read(members).map(Document::Role),
        "RoleGrant" => read(members).map(Document::RoleGrant),
        _ => return Err(format!("there is no kind `{kind}`")),
    };
    document.map(|it| (workspace, it)).map_err(|why| format!("{what}: {why}"))
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

impl Document {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Workspace(_) => "Workspace",
            Self::User(_) => "User",
            Self::Team(_) => "Team",
            Self::Server(_) => "Server",
            Self::Identity(_) => "Identity",
            Self::Gateway(_) => "Gateway",
            Self::App(_) => "App",
            Self::Limit(_) => "Limit",
            Self::Policy(_) => "Policy",
            Self::Role(_) => "Role",
            Self::RoleGrant(_) => "RoleGrant",
        }
    }

    pub(super) fn name(&self) -> &Name {
        match self {
            Self::Workspace(it) => &it.name,
            Self::User(it) => &it.name,
            Self::Team(it) => &it.name,
            Self::Server(it) => &it.name,
            Self::Identity(it) => &it.name,
            Self::Gateway(it) => &it.name,
            Self::App(it) => &it.name,
            Self::Limit(it) => &it.name,
            Self::Policy(it) => &it.name,
            Self::Role(it) => &it.name,
            Self::RoleGrant(it) => &it.name,
        }
    }

    /// What is referred to comes before what refers to it.
    fn rank(&self) -> u8 {
        match self {
            Self::Workspace(_) => 0,
            Self::User(_) => 1,
            Self::Team(_) => 2,
            Self::Role(_) => 3,
            Self::Server(_) => 4,
            Self::Identity(_) => 5,
            Self::Gateway(_) => 6,
            Self::App(_) => 7,
            Self::Limit(_) => 8,
            Self::Policy(_) => 9,
            Self::RoleGrant(_) => 10,
        }
    }

    /// As they would stand in a file, without the kind.
    pub(super) fn members(&self) -> Map<String, Value> {
        let members = match self {
            Self::Workspace(it) => serde_json::to_value(it),
            Self::User(it) => serde_json::to_value(it),
            Self::Team(it) => serde_json::to_value(it),
            Self::Server(it) => serde_json::to_value(it),
            Self::Identity(it) => serde_json::to_value(it),
            Self::Gateway(it) => serde_json::to_value(it),
            Self::App(it) => serde_json::to_value(it),
            Self::Limit(it) => serde_json::to_value(it),
            Self::Policy(it) => serde_json::to_value(it),
            Self::Role(it) => serde_json::to_value(it),
            Self::RoleGrant(it) => serde_json::to_value(it),
        };
        match members {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }

    /// As YAML, `kind` and `name` first.
    pub(super) fn to_text(&self) -> String {
        let mut document = Map::new();
        document.insert("kind".into(), self.kind().into());
        document.extend(self.members());
        emit::document(&Value::Object(document))
    }
}
