//! `ostiary dev`: one server behind the full pipeline, anonymous, on loopback, for a while.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use audit::{DataKey, DataKeys, KeyUnavailable};
use domain::limits::Charge;
use domain::ports::{
    Answer, Counters, Definitions, Gate, GateClosed, NotPicked, Picks, SecretHeaders, Secrets,
    Sighting, Uncharged, Unopenable,
};
use domain::{
    Addresses, App, AppId, Assignment, AssignmentId, Clock, Config, Connection, ConnectionId,
    Durability, Gateway, GatewayId, Identity, Lobby, Name, PinKey, Policy, Provision, Provisioned,
    Review, Scheme, Server, ServerId, Snapshot, Switches, Table, TasksSetting, TeamId, Transport,
    User, UserId, Workspace, WorkspaceId,
};
use ostiary::listener::{self, Ending, Settings};
use proxy::wire::Guard;
use proxy::{Ports, Proxy};
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::cli::DevArgs;
use crate::clock::SystemClock;
use crate::door::{self, Doors, Signals, Wishes};
use crate::failure::Failure;
use crate::plane::{self, Wiring};
use crate::print;

/// Runs until it is interrupted.
pub(crate) fn run(args: DevArgs) -> Result<ExitCode, Failure> {
    if !args.listen.ip().is_loopback() {
        let text = "`dev` lets anyone call and so listens on loopback only; use `serve`";
        return Err(Failure::Configuration(text.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(serve(args))
}

async fn serve(args: DevArgs) -> Result<ExitCode, Failure> {
    let clock = Arc::new(SystemClock);
    let names = Names::new()?;
    let app = AppId(clock.id());
    let snapshot = Arc::new(snapshot(&args, &names, app, clock.as_ref())?);
    let data = tempfile::Builder::new().prefix("ostiary-dev-").tempdir().map_err(Failure::other)?;
    let signer = audit::Signer::from_seed("ostiary.dev", &fresh_key()?);
    let log = audit::Log::open(
        audit::Options::new(data.path().join("log")),
        signer,
        Arc::<SystemClock>::clone(&clock),
    )
    .map_err(Failure::other)?;
    let tasks = TaskTracker::new();
    let hosts = plane::hosts(args.listen, &[], false);
    let keys = plane::Keys { rule_salt: fresh_key()?, sealing_key: fresh_key()? };
    let mut options = plane::options(hosts, keys, tasks.clone());
    options.anonymous = Some((names.workspace.clone(), app));
    let still = Arc::new(Still(snapshot));
    let keys = Arc::new(OneKey { id: clock.id(), key: fresh_key()? });
    let options_of_content = audit::ContentOptions::new(data.path().join("content"));
    let content =
        audit::ContentStore::open(options_of_content, keys, Arc::<SystemClock>::clone(&clock));
    let content = Arc::new(content.map_err(Failure::other)?);
    let ports = Ports {
        gate: Arc::<Still>::clone(&still),
        secrets: Arc::<Still>::clone(&still),
        counters: Arc::<Still>::clone(&still),
        definitions: Arc::<Still>::clone(&still),
        picks: still,
        clock,
        log: log.clone(),
        content: Some(Arc::clone(&content)),
    };
    let proxy = Proxy::new(ports, options);
    let wiring = Wiring::new(Guard { allow_loopback: true, allowed: Vec::new() }, None)?;
    let mut settings = Settings::new(args.listen);
    settings.workers = 2;
    door::open_many_files();
    let bound = listener::bind(settings).await.map_err(Failure::configuration)?;
    let address = bound.local_addr();
    let mut signals = Signals::heed()?;
    print::line(format_args!(
        "http://localhost:{}/mcp/{}/{}/{}",
        address.port(),
        names.workspace,
        names.gateway,
        names.server
    ));
    let doors = Doors { wiring, proxy: Arc::clone(&proxy), pages: None };
    let (ending, drain) = (Arc::<Ending>::default(), Duration::ZERO);
    door::serve(
        bound,
        None,
        doors,
        Wishes { signals: &mut signals, doorbell: None, ending, drain, leave: &|| {} },
    )
    .await?;
    proxy.close().await;
    tasks.close();
    tasks.wait().await;
    content.close().map_err(Failure::other)?;
    log.close().map_err(Failure::other)?;
    Ok(ExitCode::SUCCESS)
}

struct Names {
    workspace: Name,
    gateway: Name,
    server: Name,
}

impl Names {
    fn new() -> Result<Self, Failure> {
        let name = |text: &str| text.parse::<Name>().map_err(Failure::other);
        Ok(Self { workspace: name("dev")?, gateway: name("dev")?, server: name("server")? })
    }
}

/// One of everything, all of it allowed.
fn snapshot(
    args: &DevArgs,
    names: &Names,
    app: AppId,
    clock: &dyn Clock,
) -> Result<Snapshot, Failure> {
    let (user, team) = (UserId(clock.id()), TeamId(clock.id()));
    let server = Arc::new(Server {
        id: ServerId(clock.id()),
        name: names.server.clone(),
        transport: transport(args),
        era: args.era.into(),
        tasks: if args.wait_for_tasks { TasksSetting::Wait } else { TasksSetting::Relay },
        roots: args.roots,
        review: Review::Off,
        labels: BTreeSet::new(),
        tool_labels: BTreeMap::new(),
    });
    let assignment = Arc::new(Assignment {
        id: AssignmentId(clock.id()),
        alias: names.server.clone(),
        server: Arc::clone(&server),
        scheme: Scheme::Open,
        tools: Provision::All,
        prompts: Provision::All,
        resources: Provision::All,
    });
    let (gateway, teams) = (GatewayId(clock.id()), BTreeSet::from([team]));
    let provisioned = [Provisioned::of(&assignment)];
    let policy = Policy::compile(gateway, &teams, &provisioned).map_err(Failure::other)?;
    let id = ConnectionId(clock.id());
    let connection = Connection { id, app, user, identities: HashMap::new() };
    let gateway = Arc::new(Gateway {
        id: gateway,
        name: names.gateway.clone(),
        assignments: vec![assignment],
        teams: teams.clone(),
        addresses: Addresses::default(),
        autonomy: Duration::ZERO,
        connections: Table::from([(app, connection)]),
        rules: Arc::from([]),
        policy,
    });
    let person =
        User { id: user, name: names.workspace.clone(), teams, attributes: Default::default() };
    let own = App {
        id: app,
        name: names.workspace.clone(),
        owner: user,
        addresses: Addresses::default(),
        picked: None,
        labels: BTreeSet::new(),
    };
    let workspace = Arc::new(Workspace {
        id: WorkspaceId(clock.id()),
        name: names.workspace.clone(),
        durability: Durability::Written,
        addresses: Addresses::default(),
        users: Table::from([(user, person)]),
        apps: Table::from([(app, own)]),
        servers: Table::from([(server.id, server)]),
        identities: Table::new(),
        teams: Table::new(),
        authority: Arc::default(),
        policies: Arc::default(),
        gateways: Table::from([(names.gateway.clone(), gateway)]),
        lobby: Lobby::default(),
        limits: Vec::new(),
    });
    let workspaces = Table::from([(names.workspace.clone(), workspace)]);
    let config = Arc::new(Config { workspaces, tokens: Table::new() });
    Ok(Snapshot { epoch: 1, stamp: 0, config, switches: Arc::<Switches>::default() })
}

fn transport(args: &DevArgs) -> Transport {
    match (&args.upstream, args.command.split_first()) {
        (Some(url), _) => Transport::Http { url: url.clone() },
        (None, Some((command, rest))) => Transport::Stdio {
            command: command.clone(),
            args: rest.to_vec(),
            env: Default::default(),
        },
        (None, None) => unreachable!("the command line asks for one of them"),
    }
}

fn fresh_key() -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    plane::random(&mut key)?;
    Ok(key)
}

/// A gate that nothing moves, secrets where there are none, and counters where nothing is limited.
struct Still(Arc<Snapshot>);

impl Gate for Still {
    fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0)
    }

    fn current(&self) -> Answer<'_, Result<Arc<Snapshot>, GateClosed>> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0))))
    }

    fn replaced<'a>(&'a self, _: &'a Arc<Snapshot>) -> Answer<'a, ()> {
        Box::pin(std::future::pending())
    }
}

impl Secrets for Still {
    fn open(&self, _: WorkspaceId, _: &Identity) -> Result<SecretHeaders, Unopenable> {
        Err(Unopenable)
    }
}

impl Counters for Still {
    fn charge(&self, _: WorkspaceId, _: Vec<Charge>) -> Answer<'_, Result<(), Uncharged>> {
        Box::pin(std::future::ready(Err(Uncharged::Unavailable)))
    }

    fn settle(&self, _: WorkspaceId, _: Vec<Charge>) {}
}

/// There is one gateway, and what is picked is kept nowhere.
impl Picks for Still {
    fn pick(&self, _: WorkspaceId, _: AppId, _: GatewayId) -> Answer<'_, Result<(), NotPicked>> {
        Box::pin(std::future::ready(Err(NotPicked::Unavailable)))
    }
}

/// Nothing waits for approval here.
impl Definitions for Still {
    fn is_news(&self, _: ServerId, _: PinKey) -> bool {
        false
    }

    fn note(&self, _: WorkspaceId, _: ServerId, _: Vec<Sighting>) {}
}

/// The key of a store that is gone when we are.
struct OneKey {
    id: Uuid,
    key: [u8; 32],
}

impl DataKeys for OneKey {
    fn current(&self, _: Uuid, _: i32) -> Result<DataKey, KeyUnavailable> {
        Ok(DataKey { id: self.id, key: Zeroizing::new(self.key) })
    }

    fn open(&self, key: Uuid) -> Result<Option<DataKey>, KeyUnavailable> {
        Ok((key == self.id).then(|| DataKey { id: self.id, key: Zeroizing::new(self.key) }))
    }
}
