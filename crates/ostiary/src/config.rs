//! The configuration: a file, the environment and the command line, checked once at start.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use control::CounterStore;
use ipnet::IpNet;
use ostiary::config_file::{ConfigFile, Invalid, Tls, is_reachable};
use vault::{MasterKey, Vault};

use crate::cli::ServeArgs;
use crate::counters;
use crate::metrics::MetricsToken;

/// Configuration that has been checked. Holding one means there is nothing left to validate.
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) database: String,
    pub(crate) vault: Arc<Vault>,
    /// Where to listen, if anything says so. A socket that is handed over must be of this address.
    pub(crate) asked_listen: Option<SocketAddr>,
    /// Where we listen.
    pub(crate) listen: SocketAddr,
    /// Host names under which clients reach us, beside loopback ones.
    pub(crate) hosts: Vec<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) behind_tls_proxy: bool,
    pub(crate) workers: usize,
    pub(crate) allow_loopback_upstreams: bool,
    /// Its name among the replicas, where it is not to be made up.
    pub(crate) replica_name: Option<String>,
    /// Where other replicas reach this one, if they do.
    pub(crate) replica_listen: Option<SocketAddr>,
    /// How often a cut-off is tried; zero for never.
    pub(crate) canary: Duration,
    pub(crate) allowed_networks: Vec<IpNet>,
    /// The proxies before us whose word is taken for where a request comes from.
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) largest_request_bytes: usize,
    /// How long a client may take to answer what a server asks it in a call.
    pub(crate) answers: Duration,
    /// How long a call waits for a task that its server has made of it.
    pub(crate) longest_task: Duration,
    /// How long a session with a server in which clients can be asked is kept while nobody uses it.
    pub(crate) keep_sessions: Duration,
    /// How often servers are asked how they are; zero for never.
    pub(crate) probe: Duration,
    /// How long the listener stays open after it has said that it is not ready any more.
    pub(crate) drain: Duration,
    /// How long what is under way may take to end.
    pub(crate) grace: Duration,
    /// How many sessions legacy clients may have open.
    pub(crate) most_sessions: usize,
    /// How many calls may wait for their clients.
    pub(crate) most_held_calls: usize,
    /// What shows the metrics, beside admin tokens, and nothing else.
    pub(crate) metrics_token: Option<MetricsToken>,
    /// Where all replicas count what is used; the database where absent.
    pub(crate) counters: Option<CounterStore>,
}

/// Why the configuration is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration `{path}`")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration `{path}` is not valid: {reason}")]
    Parse { path: PathBuf, reason: String },
    #[error("set OSTIARY_MASTER_KEY or OSTIARY_MASTER_KEY_FILE; `ostiary keys generate` makes one")]
    NoKey,
    #[error("set one of OSTIARY_MASTER_KEY and OSTIARY_MASTER_KEY_FILE, not both")]
    TwoKeys,
    #[error("the master key is refused")]
    Key(#[source] vault::KeyError),
    #[error("OSTIARY_DATABASE_URL must begin with `sqlite:` or `postgres:`")]
    Database,
    #[error(transparent)]
    File(Invalid),
    #[error("`metrics_token_file` must name a file that other users cannot read, with {} to {} visible characters", .allowed.start(), .allowed.end())]
    MetricsToken { allowed: RangeInclusive<usize> },
    #[error(
        "`counters_password_file` must name a file that other users cannot read, with one line"
    )]
    CountersPassword,
    #[error("what signs the certificate of `counters` cannot be used")]
    CountersTls(#[source] rustls::Error),
    #[error("`replica_listen` is for several processes, and only one can use SQLite")]
    Alone,
    #[error("{name} must be 1 or unset")]
    Switch { name: &'static str },
}

impl Config {
    /// Reads and checks everything. Writes nothing.
    pub(crate) fn load(args: &ServeArgs) -> Result<Self, ConfigError> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => ConfigFile::parse("").map_err(ConfigError::File)?,
        };
        let metrics_token =
            file.metrics_token_file.as_deref().map(MetricsToken::read).transpose()?;
        let database = database(&args.data)?;
        let replica_listen = match env("OSTIARY_REPLICA_LISTEN") {
            None => file.replica_listen,
            Some(text) => {
                let address = text.parse().ok().filter(|it| is_reachable(*it));
                Some(address.ok_or(ConfigError::File(Invalid::ReplicaListen))?)
            }
        };
        if replica_listen.is_some() && !is_postgres(&database) {
            return Err(ConfigError::Alone);
        }
        Ok(Self {
            database,
            vault: Arc::new(Vault::new(master_key()?, 1)),
            data: args.data.clone(),
            asked_listen: args.listen.or(file.listen),
            listen: args.listen.or(file.listen).unwrap_or_else(default_listen),
            hosts: file.hosts,
            tls: file.tls,
            behind_tls_proxy: file.behind_tls_proxy,
            workers: file.workers.unwrap_or_else(default_workers),
            allow_loopback_upstreams: is_on("OSTIARY_ALLOW_LOOPBACK_UPSTREAMS")?,
            replica_name: file.replica_name,
            replica_listen,
            canary: file.canary,
            allowed_networks: file.allowed_networks,
            trusted_proxies: file.trusted_proxies,
            largest_request_bytes: file.largest_request_bytes,
            answers: file.answers,
            longest_task: file.longest_task,
            keep_sessions: file.keep_sessions,
            probe: file.probe,
            drain: file.drain,
            grace: file.grace,
            most_sessions: file.most_sessions,
            most_held_calls: file.most_held_calls,
            metrics_token,
            counters: file.counters.map(counters::store).transpose()?,
        })
    }
}

impl Config {
    /// The configuration of a command that works on a data folder while no gateway runs.
    pub(crate) fn for_data(data: &Path) -> Result<Self, ConfigError> {
        Self::load(&ServeArgs::only(data))
    }

    /// Whether administrators reach it by HTTPS.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some() || self.behind_tls_proxy
    }
}

fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    ConfigFile::parse(&text).map_err(|why| match why {
        Invalid::Text(reason) => ConfigError::Parse { path: path.into(), reason },
        Invalid::Counters
        | Invalid::Host { .. }
        | Invalid::ReplicaName
        | Invalid::ReplicaListen
        | Invalid::Number { .. }
        | Invalid::Proxy { .. } => ConfigError::File(why),
    })
}

/// The master key that the environment gives or names.
pub(crate) fn master_key() -> Result<MasterKey, ConfigError> {
    match (env("OSTIARY_MASTER_KEY"), env("OSTIARY_MASTER_KEY_FILE")) {
        (Some(text), None) => MasterKey::from_base64(&text).map_err(ConfigError::Key),
        (None, Some(path)) => MasterKey::from_file(Path::new(&path)).map_err(ConfigError::Key),
        (Some(_), Some(_)) => Err(ConfigError::TwoKeys),
        (None, None) => Err(ConfigError::NoKey),
    }
}

/// The database that the environment names, or the one in the data folder.
pub(crate) fn database(data: &Path) -> Result<String, ConfigError> {
    match env("OSTIARY_DATABASE_URL") {
        None => Ok(format!("sqlite:{}", data.join("ostiary.db").display())),
        Some(url) if url.starts_with("sqlite:") || is_postgres(&url) => Ok(url),
        Some(_) => Err(ConfigError::Database),
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

fn is_on(name: &'static str) -> Result<bool, ConfigError> {
    match env(name).as_deref() {
        None => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(ConfigError::Switch { name }),
    }
}

/// An environment variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "this is the door to the environment")]
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

/// Loopback, so that a first start exposes nothing.
fn default_listen() -> SocketAddr {
    ([127, 0, 0, 1], 8080).into()
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(64)
}
