//! `ostiary serve`: opens everything in the order in which it depends on one another, serves, and
//! closes it the other way round.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use control::{Control, ControlOptions, Ownership, Serving};
use db::Db;
use ostiary::listener::{Bound, Ending};
use ostiary::peers::Peers;
use proxy::wire::Guard;
use proxy::{Ports, Proxy};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use vault::{Place, Vault};

use crate::activation;
use crate::cli::ServeArgs;
use crate::clock::SystemClock;
use crate::commands::audit::KEY_FILE;
use crate::commands::files;
use crate::config::Config;
use crate::door::{self, Doors, End, Signals};
use crate::entrance;
use crate::failure::Failure;
use crate::handover::{Doorbell, Manner, Predecessor};
use crate::metrics::MetricsToken;
use crate::notice;
use crate::pages;
use crate::plane::{self, Bench, Wiring};
use crate::print;

/// Runs until it is told to stop, or another process has followed it.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let handed = activation::socket()?;
    let config = Config::load(args).map_err(Failure::configuration)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(serve(config, args, handed))
}

async fn serve(
    mut config: Config,
    args: &ServeArgs,
    handed: Option<TcpListener>,
) -> Result<ExitCode, Failure> {
    if config.allow_loopback_upstreams {
        tracing::warn!(
            "OSTIARY_ALLOW_LOOPBACK_UPSTREAMS is set: plain-HTTP loopback servers are let through"
        );
    }
    // Read and bound before anything is written, so that a refusal leaves no trace.
    let texts =
        args.apply.iter().map(|it| files::read_checked(it)).collect::<Result<Vec<_>, _>>()?;
    let mut signals = Signals::heed()?;
    let (mut bound, predecessor) = entrance::take(&config, args, handed).await?;
    config.listen = bound.local_addr();
    let (room, connections) = Predecessor::room();
    if let Some(predecessor) = predecessor.as_ref().filter(|it| it.manner == Manner::After) {
        House::check(&config).await?;
        predecessor.make_room().await?;
        predecessor.wait(room.clone()).await;
    }
    let mut house = match &predecessor {
        Some(_) => House::open_soon(&config).await?,
        None => House::open(&config, Some(serving(&config))).await?,
    };
    // Shown before anything else can fail: nobody could ask for it again.
    if let Some(token) = house.control.first_admin_token()
        && let Some(text) = token.expose_text()
    {
        print::line(format_args!("admin token (shown once): {text}"));
    }
    for text in &texts {
        if let Err(failure) = house.files(text, &Ownership::default(), false).await {
            house.close().await?;
            return Err(failure);
        }
    }
    let _waiting = match predecessor {
        None => None,
        Some(predecessor) => {
            bound = bound.with_connections(connections);
            match follow(predecessor, room).await {
                Ok(waiting) => Some(waiting),
                Err(failure) => {
                    house.close().await?;
                    return Err(failure);
                }
            }
        }
    };
    loop {
        match live(&config, house, bound, &mut signals).await? {
            End::Told => return Ok(ExitCode::SUCCESS),
            End::Followed(successor, socket) => {
                let Err(connections) = successor.let_go().await else {
                    return Ok(ExitCode::SUCCESS);
                };
                tracing::warn!("Going on, since the successor has not come to serve");
                house = House::open_soon(&config).await?;
                bound = entrance::again(&config, socket, connections)?;
            }
        }
    }
}

/// Follows one who has let go, or one who is still there: what it gives away comes while the task
/// lives.
async fn follow(
    predecessor: Predecessor,
    room: mpsc::Sender<TcpStream>,
) -> Result<Option<AbortOnDropHandle<()>>, Failure> {
    if predecessor.manner == Manner::After {
        predecessor.serve().await;
        return Ok(None);
    }
    predecessor.make_room().await?;
    let waiting = Handle::current().spawn(async move { predecessor.wait(room).await });
    Ok(Some(AbortOnDropHandle::new(waiting)))
}

/// Serves until it is to end, and has closed everything then.
async fn live(
    config: &Config,
    house: House,
    bound: Bound,
    signals: &mut Signals,
) -> Result<End, Failure> {
    let is_stalled = || {
        let (log, content) = (house.log.clone(), Arc::clone(&house.content));
        move || log.is_blocked() || content.is_blocked()
    };
    let bound = bound.let_go_when(is_stalled());
    let for_peers = match entrance::for_peers(config, &house.peers).await {
        Ok(for_peers) => for_peers.map(|it| it.let_go_when(is_stalled())),
        Err(failure) => {
            house.close().await?;
            return Err(failure);
        }
    };
    if let Some(for_peers) = &for_peers {
        let address = for_peers.local_addr();
        tracing::info!(%address, "Other replicas pass on what belongs here");
        house.proxy.be_reached_at(address);
    }
    let ending = Arc::<Ending>::default();
    let doors = Doors {
        wiring: house.wiring.clone(),
        proxy: Arc::clone(&house.proxy),
        pages: Some(pages::router(&house, Arc::clone(&ending))),
    };
    let doorbell = Doorbell::hang(&config.data);
    if let Err(error) = &doorbell {
        tracing::warn!(%error, "No other process can take over from this one");
    }
    let safe = if config.tls.is_some() { "s" } else { "" };
    print::word(format_args!("listening on http{safe}://{}", bound.local_addr()));
    notice::ready();
    let (doorbell, drain, leave) = (doorbell.ok(), config.drain, &|| house.control.leave());
    let wishes = door::Wishes { signals, doorbell, ending, drain, leave };
    let end = tokio::select! {
        end = door::serve(bound, for_peers, doors, wishes) => end,
        end = probing(&house, config.probe) => Ok(end),
    };
    house.close().await?;
    end
}

/// Looks after servers that nobody calls, for as long as it is polled.
async fn probing(house: &House, every: Duration) -> End {
    if !every.is_zero() {
        proxy::probing::run(house.wiring.worker(&house.proxy), every).await;
    }
    std::future::pending().await
}

/// What the others are told of this process.
fn serving(config: &Config) -> Serving {
    let name = config.replica_name.clone();
    let name = name.unwrap_or_else(|| replica_name(config.listen));
    Serving { name, canary: config.canary }
}

/// What tells this process from others, where nobody has said it.
fn replica_name(address: SocketAddr) -> String {
    let system = rustix::system::uname();
    format!("{}:{}", system.nodename().to_string_lossy(), address.port())
}

/// Everything that is open.
pub(crate) struct House {
    pub(crate) control: Arc<Control>,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) log: audit::Log,
    pub(crate) hosts: proxy::Hosts,
    pub(crate) proxies: proxy::Proxies,
    pub(crate) content: Arc<audit::ContentStore>,
    pub(crate) metrics_token: Option<MetricsToken>,
    db: Db,
    wiring: Wiring,
    peers: Peers,
    tasks: TaskTracker,
    bench: Bench,
}

impl House {
    /// Whether it could be opened, as far as that can be said while another process has it open.
    async fn check(config: &Config) -> Result<(), Failure> {
        stored_seed(&config.data, &config.vault)?;
        Db::check(&config.database).await.map_err(Failure::configuration)
    }

    /// Opens what another process has just closed: the system may not have noticed yet.
    async fn open_soon(config: &Config) -> Result<Self, Failure> {
        const TRIES: u32 = 50;
        for _ in 0..TRIES {
            if let Ok(house) = Self::open(config, Some(serving(config))).await {
                return Ok(house);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self::open(config, Some(serving(config))).await
    }

    /// Opens it to serve, or for a command that only looks after it.
    pub(crate) async fn open(config: &Config, serving: Option<Serving>) -> Result<Self, Failure> {
        let is_new = make_private(&config.data)?;
        let clock = Arc::new(SystemClock);
        let vault = Arc::clone(&config.vault);
        // Before the database is touched: this is where a foreign key shows.
        let seed = stored_seed(&config.data, &vault)?;
        let db = match Db::open(&config.database).await {
            Ok(db) => db,
            Err(error) => {
                if is_new {
                    // Gone if it is empty still, as it is where the database is elsewhere.
                    std::fs::remove_dir(&config.data).ok();
                }
                return Err(Failure::configuration(error));
            }
        };
        let signer = signer(&config.data, &vault, seed)?;
        let mut log = audit::Options::new(config.data.join("log"));
        // A thread that a disk may hold must not be the only one.
        log.callers_write = config.workers > 1;
        let log = audit::Log::open(log, signer, Arc::<SystemClock>::clone(&clock))
            .map_err(Failure::configuration)?;
        let control = Control::open(ControlOptions {
            db: db.clone(),
            vault: Arc::clone(&vault),
            log: log.clone(),
            clock: Arc::<SystemClock>::clone(&clock),
            counters: config.counters.clone(),
            allow_loopback: config.allow_loopback_upstreams,
            is_secure: config.is_secure(),
            serving,
        });
        let control = Arc::new(control.await.map_err(Failure::configuration)?);
        match Self::furnish(config, &control, (&db, &log), clock) {
            Ok(house) => {
                house.control.set_content(Arc::clone(&house.content)).await;
                Ok(house)
            }
            Err(failure) => {
                // Others would wait for it.
                control.close().await;
                Err(failure)
            }
        }
    }

    /// What needs what others have, too, to be open.
    fn furnish(
        config: &Config,
        control: &Arc<Control>,
        (db, log): (&Db, &audit::Log),
        clock: Arc<SystemClock>,
    ) -> Result<Self, Failure> {
        let vault = &config.vault;
        let secure = config.is_secure();
        let content = Arc::new(content_store(config, control, &clock)?);
        let tasks = TaskTracker::new();
        let hosts = plane::hosts(config.listen, &config.hosts, secure);
        let proxies = proxy::Proxies { trusted: config.trusted_proxies.clone() };
        let keys = plane::Keys {
            rule_salt: vault.derive("rule hashes"),
            sealing_key: vault.derive("sealed tokens"),
        };
        let mut options = plane::options(hosts.clone(), keys, tasks.clone());
        options.proxies.clone_from(&proxies);
        options.largest_request = config.largest_request_bytes;
        options.answers = config.answers;
        options.longest_task = config.longest_task;
        options.keep_sessions = config.keep_sessions;
        options.most_sessions = config.most_sessions;
        options.most_held_calls = config.most_held_calls;
        let ports = Ports {
            gate: control.gate(),
            secrets: control.secrets(),
            counters: control.counters(),
            definitions: control.definitions(),
            picks: control.picks(),
            clock,
            log: log.clone(),
            content: Some(Arc::clone(&content)),
        };
        let proxy = Proxy::new(ports, options);
        control.set_traffic(proxy.traffic());
        control.set_server_status(Arc::new(plane::Watching(Arc::clone(&proxy))));
        control.set_offers(Arc::<Proxy>::clone(&proxy));
        let guard = Guard {
            allow_loopback: config.allow_loopback_upstreams,
            allowed: config.allowed_networks.clone(),
        };
        let peers = Peers::of(&vault.derive("way between replicas")).map_err(Failure::other)?;
        let client = config.replica_listen.map(|_| Arc::clone(&peers.client));
        let wiring = Wiring::new(guard, client)?;
        let bench = wiring.lend(control, &proxy)?;
        let metrics_token = config.metrics_token.clone();
        let (control, db, log) = (Arc::clone(control), db.clone(), log.clone());
        Ok(Self {
            control,
            proxy,
            log,
            hosts,
            proxies,
            content,
            metrics_token,
            db,
            wiring,
            peers,
            tasks,
            bench,
        })
    }

    /// Applies a text, or says what applying it would do.
    pub(crate) async fn files(
        &self,
        text: &str,
        ownership: &Ownership,
        dry: bool,
    ) -> Result<Value, Failure> {
        let objects = if dry {
            self.control.diff_files(text, ownership, &files::resolve).await
        } else {
            self.control.apply_files(text, ownership, &files::resolve).await
        };
        Ok(json!({"objects": objects.map_err(Failure::configuration)?}))
    }

    pub(crate) async fn export(&self, workspace: &str) -> Result<String, Failure> {
        self.control.export_files(workspace).await.map_err(Failure::other)
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.control.close().await;
        self.proxy.close().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.bench.close().await;
        self.content.close().map_err(Failure::other)?;
        self.log.close().map_err(Failure::other)?;
        self.control.finish().await;
        // Last, since all may ask it. Without an answer in time the next start makes its file whole.
        if tokio::time::timeout(Duration::from_secs(5), self.db.close()).await.is_err() {
            tracing::warn!("The database was still in use at the end");
        }
        Ok(())
    }
}

/// The key that signs the log's checkpoints, if it has been made.
fn content_store(
    config: &Config,
    control: &Control,
    clock: &Arc<SystemClock>,
) -> Result<audit::ContentStore, Failure> {
    let mut options = audit::ContentOptions::new(config.data.join("content"));
    // Room for many large results at once: what does not fit is refused.
    options.queue_bytes = 256 << 20;
    options.callers_write = config.workers > 1;
    audit::ContentStore::open(options, control.data_keys(), Arc::<SystemClock>::clone(clock))
        .map_err(Failure::configuration)
}

fn stored_seed(data: &Path, vault: &Vault) -> Result<Option<[u8; 32]>, Failure> {
    let path = data.join(SEED_FILE);
    let sealed = match std::fs::read(&path) {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A new one could not go on with a log that another has signed.
            if data.join(KEY_FILE).exists() {
                return Err(Failure::Configuration(format!(
                    "`{}` is missing: restore it from a backup of the data folder",
                    path.display()
                )));
            }
            return Ok(None);
        }
        Err(error) => return Err(Failure::configuration(error)),
    };
    let opened = vault.open(SEED_PLACE, &sealed).map_err(|_| {
        Failure::Configuration(format!(
            "the master key does not open `{}`: give the key that the data folder was made with",
            path.display()
        ))
    })?;
    let seed = opened.expose().try_into().map_err(Failure::configuration)?;
    Ok(Some(seed))
}

/// Signs the log's checkpoints. Its key is made once and sealed: it must outlive the master key, or
/// nobody could follow the log across a rotation.
fn signer(data: &Path, vault: &Vault, seed: Option<[u8; 32]>) -> Result<audit::Signer, Failure> {
    let seed = match seed {
        Some(seed) => seed,
        None => {
            let mut seed = [0; 32];
            plane::random(&mut seed)?;
            let sealed = vault.seal(SEED_PLACE, &seed).map_err(Failure::configuration)?;
            write_new(&data.join(SEED_FILE), sealed.as_bytes()).map_err(Failure::configuration)?;
            seed
        }
    };
    let signer = audit::Signer::from_seed("ostiary", &seed);
    let public = data.join(KEY_FILE);
    if !public.exists() {
        write_new(&public, format!("{}\n", signer.verifier_key()).as_bytes())
            .map_err(Failure::configuration)?;
    }
    Ok(signer)
}

const SEED_FILE: &str = "signer.sealed";
const SEED_PLACE: Place<'static> =
    Place { workspace: [0; 16], kind: "log", record: [0; 16], field: "signer" };

/// The folder, for us alone: it holds the log and the sealed secrets. Whether it was missing.
fn make_private(data: &Path) -> Result<bool, Failure> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    let folder = data.display();
    if !data.is_dir() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
        return made.map(|()| true).map_err(|error| {
            Failure::Configuration(format!("the data folder `{folder}` cannot be made: {error}"))
        });
    }
    let mode = std::fs::metadata(data).map_err(Failure::configuration)?.permissions().mode();
    // A group may be how a volume is given to the one who runs the gateway.
    if mode & 0o007 == 0 {
        return Ok(false);
    }
    Err(Failure::Configuration(format!(
        "the data folder {folder} is open to other users of this machine; close it with \
         `chmod 700 {folder}`"
    )))
}

/// Whole or not at all.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let draft = path.with_extension("draft");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
