//! `/me/gateways`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::ports::Gate as _;
use domain::{
    AppId, Assignment, Capability, Gateway, Name, Provision, Scheme, ServerId, Snapshot, Switch,
    Target, User, Workspace,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Person;
use crate::api::{Error, Json, NameText, Page, Paging, Problem};
use crate::why::{Question, tokenless};
use crate::{App, pins};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_own_gateways))
}

/// A gateway that the caller may use.
#[derive(Serialize, ToSchema)]
struct OwnGatewayBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    name: Name,
    /// Where clients connect, below the address of this installation.
    path: String,
    /// The teams of the caller's that it is granted to.
    #[schema(value_type = Vec<NameText>)]
    teams: Vec<Name>,
    /// Present while it is turned off.
    off: Option<StoppedBody>,
    servers: Vec<OwnServerBody>,
    /// The caller's apps that are connected to it, by name; at most 50. None with a token that is not good
    /// for `apps:read`.
    apps: Vec<ConnectedBody>,
}

/// A server on it.
#[derive(Serialize, ToSchema)]
struct OwnServerBody {
    /// What its tools begin with.
    #[schema(value_type = NameText)]
    alias: Name,
    #[schema(value_type = NameText)]
    server: Name,
    /// Whether it asks for a credential of the caller's own.
    asks_for_own: bool,
    /// Present while it is turned off, here or everywhere.
    off: Option<StoppedBody>,
    /// Tools of it that are exposed by their names, or with all others, and turned off.
    tools_off: Vec<ToolOffBody>,
    /// How many of its definitions wait for an administrator; absent where it is not under review.
    pending: Option<u64>,
}

/// Until when something is off, and what whoever has turned it off says to those who are stopped.
#[derive(Serialize, ToSchema)]
struct StoppedBody {
    /// When it turns on again by itself.
    until: Option<DateTime<Utc>>,
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ToolOffBody {
    /// The server's own name for it.
    tool: String,
    off: StoppedBody,
}

/// An app of the caller's on it.
#[derive(Serialize, ToSchema)]
struct ConnectedBody {
    id: Uuid,
    #[schema(value_type = NameText)]
    app: Name,
    /// The caller's credentials that it uses, by server. None with a token that is not good for
    /// `identities:read`.
    #[schema(value_type = BTreeMap<String, String>)]
    identities: BTreeMap<Name, Name>,
    /// Why it gets nowhere here, whatever it calls. Where absent it is connected; what policies say of
    /// single tools is not asked.
    because: Option<String>,
    /// The servers that it does not get at, where it may get at others. None with a token that is not good
    /// for `identities:read`, as they tell of credentials.
    hindered: Vec<HinderedBody>,
}

#[derive(Serialize, ToSchema)]
struct HinderedBody {
    #[schema(value_type = NameText)]
    alias: Name,
    because: String,
}

/// How many apps are told of on each gateway: people have a few.
const MOST_APPS: usize = 50;

/// The gateways that the caller may use, by name, and what is in the way there.
#[utoipa::path(
    get,
    path = "/me/gateways",
    params(Paging),
    responses((status = 200, body = Page<OwnGatewayBody>), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("own"))),
    tag = "me",
)]
async fn list_own_gateways(
    State(app): State<Arc<App>>,
    person: Person,
    paging: Paging,
) -> Result<Json<Page<OwnGatewayBody>>, Error> {
    person.check(Capability::GatewaysRead)?;
    let snapshot = app.gate.current().await.map_err(|_| Error::Busy)?;
    let here = snapshot.config.workspace(person.workspace).ok_or(Error::Unauthenticated)?;
    let user = here.users.get(&person.user).ok_or(Error::Unauthenticated)?;
    let pending =
        pins::count_pending_by_server(&mut app.db.read().await?, person.workspace).await?;
    let look = Look::new((&snapshot, here, user), pending, app.clock.now());
    let look = look.limited(&person);
    let after = paging.after().unwrap_or_default();
    let is_theirs = |it: &&Gateway| domain::is_granted(it, user) && after < it.name.as_str();
    let mut found: Vec<&Gateway> =
        here.gateways.values().map(AsRef::as_ref).filter(is_theirs).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Json(paging.answer(found, |it| it.name.to_string(), |it| look.gateway(it))))
}

/// What somebody's gateways are looked at with.
struct Look<'a> {
    snapshot: &'a Snapshot,
    here: &'a Workspace,
    user: &'a User,
    now: DateTime<Utc>,
    pending: BTreeMap<ServerId, u64>,
    tools_off: HashMap<ServerId, BTreeMap<&'a str, &'a Switch>>,
    /// Their apps, by name.
    apps: Vec<&'a domain::App>,
    /// The apps that have a token to present.
    live: HashSet<AppId>,
    /// Whether it is told what their apps use.
    has_identities: bool,
}

impl<'a> Look<'a> {
    fn new(
        (snapshot, here, user): (&'a Snapshot, &'a Workspace, &'a User),
        pending: BTreeMap<ServerId, u64>,
        now: DateTime<Utc>,
    ) -> Self {
        let mut tools_off: HashMap<ServerId, BTreeMap<_, _>> = HashMap::new();
        for (target, switch) in snapshot.switches.in_force(now) {
            if let Target::Tool(server, tool) = target {
                tools_off.entry(*server).or_default().insert(tool.as_ref(), switch);
            }
        }
        let mut apps: Vec<_> = here.apps.values().filter(|it| it.owner == user.id).collect();
        apps.sort_by(|one, other| one.name.cmp(&other.name));
        let tokens = snapshot.config.tokens.values().filter(|it| it.is_live(now));
        let live = tokens.map(|it| it.app).collect();
        Self { snapshot, here, user, now, pending, tools_off, apps, live, has_identities: true }
    }

    /// No more than their token is good for.
    fn limited(mut self, person: &Person) -> Self {
        if !person.admits(Capability::AppsRead) {
            self.apps.clear();
        }
        self.has_identities = person.admits(Capability::IdentitiesRead);
        self
    }

    fn gateway(&self, it: &Gateway) -> OwnGatewayBody {
        let teams = it.teams.intersection(&self.user.teams);
        let mut teams: Vec<Name> =
            teams.filter_map(|it| self.here.teams.get(it)).cloned().collect();
        teams.sort();
        let connected = self.apps.iter().filter(|app| it.connections.contains_key(&app.id));
        OwnGatewayBody {
            id: it.id.0,
            name: it.name.clone(),
            path: format!("/mcp/{}/{}", self.here.name, it.name),
            teams,
            off: self.off(&Target::Gateway(it.id)),
            servers: it.assignments.iter().map(|it| self.server(it)).collect(),
            apps: connected.take(MOST_APPS).map(|app| self.connected(it, app)).collect(),
        }
    }

    fn server(&self, it: &Assignment) -> OwnServerBody {
        let server = &it.server;
        let off = self.off(&Target::Server(server.id));
        let is_exposed = |tool: &str| match &it.tools {
            Provision::All => true,
            Provision::Named(names) => names.contains(tool),
            // Whether there is such a tool for them is said by its server alone.
            Provision::Nothing | Provision::Where(_) => false,
        };
        let tools = self.tools_off.get(&server.id).into_iter().flatten();
        OwnServerBody {
            alias: it.alias.clone(),
            server: server.name.clone(),
            asks_for_own: it.scheme == Scheme::Own,
            off: off.or_else(|| self.off(&Target::Assignment(it.id))),
            tools_off: tools
                .filter(|(tool, _)| is_exposed(tool))
                .map(|(tool, switch)| ToolOffBody {
                    tool: (*tool).to_owned(),
                    off: StoppedBody::of(switch),
                })
                .collect(),
            pending: server
                .review
                .is_on()
                .then(|| self.pending.get(&server.id).copied().unwrap_or_default()),
        }
    }

    fn connected(&self, gateway: &Gateway, app: &domain::App) -> ConnectedBody {
        let question = Question::in_general(self.snapshot, self.here, gateway, None, self.now);
        let tokenless = (!self.live.contains(&app.id)).then(|| tokenless(app));
        let because = question.hindrance(app, None).or(tokenless);
        let is_told = self.has_identities && because.is_none();
        let hindered = gateway.assignments.iter().filter(|_| is_told).filter_map(|at| {
            let because = question.hindrance(app, Some(at))?;
            Some(HinderedBody { alias: at.alias.clone(), because })
        });
        let hindered = hindered.collect();
        let chosen = gateway.connections.get(&app.id).filter(|_| self.has_identities);
        let chosen = chosen.map(|it| &it.identities);
        let named = chosen.into_iter().flatten().filter_map(|(server, identity)| {
            let server = self.here.servers.get(server)?;
            let identity = self.here.identities.get(identity)?;
            Some((server.name.clone(), identity.name.clone()))
        });
        ConnectedBody {
            id: app.id.0,
            app: app.name.clone(),
            identities: named.collect(),
            because,
            hindered,
        }
    }

    fn off(&self, target: &Target) -> Option<StoppedBody> {
        self.snapshot.switches.find(target, self.now).map(StoppedBody::of)
    }
}

impl StoppedBody {
    fn of(switch: &Switch) -> Self {
        Self { until: switch.until, reason: switch.reason.as_deref().map(str::to_owned) }
    }
}
