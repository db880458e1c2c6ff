//! The configuration file: TOML, read strictly, with every number within its bounds.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

/// What a file says that has been checked; what it does not say is as usual.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where to listen, unless the command line says it.
    pub listen: Option<SocketAddr>,
    /// Host names under which clients reach us, beside loopback ones.
    pub hosts: Vec<String>,
    /// The listener's certificate.
    pub tls: Option<Tls>,
    /// Whether something before us has the certificate.
    pub behind_tls_proxy: bool,
    /// Threads that serve clients; as many as there are processors where absent.
    pub workers: Option<usize>,
    /// Networks that upstreams may be in though they are private.
    pub allowed_networks: Vec<IpNet>,
    /// Proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// The longest body of a request.
    pub largest_request_bytes: usize,
    /// How long a client may take to answer what a server asks it in a call.
    pub answers: Duration,
    /// How long a call waits for a task that its server has made of it.
    pub longest_task: Duration,
    /// How long a session with a server in which clients can be asked is kept while nobody uses it.
    pub keep_sessions: Duration,
    /// How often servers are asked how they are; zero for never.
    pub probe: Duration,
    /// How long the listener stays open after it has said that it is not ready any more.
    pub drain: Duration,
    /// How long what is under way may take to end.
    pub grace: Duration,
    /// How often a cut-off is tried; zero for never.
    pub canary: Duration,
    /// Its name among the replicas, where it is not to be made up.
    pub replica_name: Option<String>,
    /// Where other replicas reach this one.
    pub replica_listen: Option<SocketAddr>,
    /// How many sessions legacy clients may have open.
    pub most_sessions: usize,
    /// How many calls may wait for their clients.
    pub most_held_calls: usize,
    /// The file with what shows the metrics, beside admin tokens, and nothing else.
    pub metrics_token_file: Option<PathBuf>,
    /// Where all replicas count what is used; the database where absent.
    pub counters: Option<Counters>,
}

/// A Valkey or Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// A name or an address.
    pub host: String,
    /// 6379 where nothing is said.
    pub port: u16,
    /// Whether it is `rediss:`.
    pub is_tls: bool,
    /// `default` where absent.
    pub user: Option<String>,
    /// Which of its databases.
    pub database: u32,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The file with what has signed its certificate; what the system trusts where absent.
    pub ca_file: Option<PathBuf>,
}

/// Where the listener's certificate chain and key are, in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, the listener's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What stands in the file. Private: others see [`ConfigFile`] only.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    listen: Option<SocketAddr>,
    #[serde(default)]
    hosts: Vec<String>,
    tls: Option<Tls>,
    #[serde(default)]
    behind_tls_proxy: bool,
    workers: Option<usize>,
    #[serde(default)]
    allowed_networks: Vec<IpNet>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    largest_request_bytes: Option<usize>,
    answer_seconds: Option<u64>,
    task_seconds: Option<u64>,
    keep_sessions_seconds: Option<u64>,
    probe_seconds: Option<u64>,
    drain_seconds: Option<u64>,
    grace_seconds: Option<u64>,
    canary_seconds: Option<u64>,
    replica_name: Option<String>,
    replica_listen: Option<SocketAddr>,
    most_sessions: Option<usize>,
    most_held_calls: Option<usize>,
    metrics_token_file: Option<PathBuf>,
    counters: Option<String>,
    counters_password_file: Option<PathBuf>,
    counters_ca_file: Option<PathBuf>,
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not TOML, or has a key that there is not, or a value of another type.
    #[error("{0}")]
    Text(String),
    /// Something in `hosts` is none.
    #[error("`hosts` holds `{host}`, which is not a host name without port")]
    Host {
        /// What stands there.
        host: String,
    },
    /// `counters` is no address.
    #[error(
        "`counters` must be `redis://` or `rediss://`, a host and perhaps a user, a port and the \
             number of a database, as in `rediss://gateway@valkey.internal:6379/0`; its password is in \
             `counters_password_file`, and `counters_ca_file` is for `rediss://`"
    )]
    Counters,
    /// Something in `trusted_proxies` is no network.
    #[error("`trusted_proxies`: {why}")]
    Proxy {
        /// What is wrong with it.
        why: String,
    },
    /// `replica_name` is none.
    #[error("`replica_name` must be 1 to 100 letters, digits and `-._:`")]
    ReplicaName,
    /// `replica_listen` is no address of this machine alone.
    #[error(
        "`replica_listen` must be an address at which other replicas reach this one and a port, as in \
             `10.0.0.5:8081`"
    )]
    ReplicaListen,
    /// A number is out of its bounds.
    #[error("`{key}` must be from {least} to {most}")]
    Number {
        /// Of which key.
        key: &'static str,
        /// The least that it may be.
        least: u64,
        /// And the most.
        most: u64,
    },
}

impl ConfigFile {
    /// Reads the text of a file; an empty one says that all is as usual.
    ///
    /// # Errors
    /// Where it is not what it should be.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text: Text = toml::from_str(text)
            .map_err(|error: toml::de::Error| Invalid::Text(error.message().to_owned()))?;
        if let Some(host) = text.hosts.iter().find(|it| !is_host(it)) {
            return Err(Invalid::Host { host: host.clone() });
        }
        let files = (text.counters_password_file, text.counters_ca_file);
        let counters = counters(text.counters.as_deref(), files)?;
        if !text.replica_name.as_deref().is_none_or(is_replica_name) {
            return Err(Invalid::ReplicaName);
        }
        if !text.replica_listen.is_none_or(is_reachable) {
            return Err(Invalid::ReplicaListen);
        }
        let largest = ("largest_request_bytes", text.largest_request_bytes);
        let workers = text.workers.map(|it| within(("workers", Some(it)), it, 1..=256));
        Ok(Self {
            listen: text.listen,
            hosts: text.hosts,
            tls: text.tls,
            behind_tls_proxy: text.behind_tls_proxy,
            workers: workers.transpose()?,
            allowed_networks: text.allowed_networks,
            trusted_proxies: text
                .trusted_proxies
                .iter()
                .map(|it| proxy(it))
                .collect::<Result<_, _>>()?,
            largest_request_bytes: within(largest, 8 << 20, 1024..=1 << 30)?,
            answers: seconds(("answer_seconds", text.answer_seconds), 600, 1..=3_600)?,
            longest_task: seconds(("task_seconds", text.task_seconds), 3_600, 1..=DAY)?,
            keep_sessions: seconds(
                ("keep_sessions_seconds", text.keep_sessions_seconds),
                60,
                1..=DAY,
            )?,
            probe: seconds(("probe_seconds", text.probe_seconds), 60, 0..=DAY)?,
            drain: seconds(("drain_seconds", text.drain_seconds), 0, 0..=3_600)?,
            grace: seconds(("grace_seconds", text.grace_seconds), 30, 1..=3_600)?,
            canary: seconds(("canary_seconds", text.canary_seconds), 60, 0..=DAY)?,
            replica_name: text.replica_name,
            replica_listen: text.replica_listen,
            most_sessions: within(("most_sessions", text.most_sessions), 100_000, 1..=10_000_000)?,
            most_held_calls: within(("most_held_calls", text.most_held_calls), 2_048, 1..=65_536)?,
            metrics_token_file: text.metrics_token_file,
            counters,
        })
    }
}

/// Secrets are not in addresses, which are printed and passed around.
fn counters(
    address: Option<&str>,
    (password_file, ca_file): (Option<PathBuf>, Option<PathBuf>),
) -> Result<Option<Counters>, Invalid> {
    let Some(address) = address else {
        let is_lost = password_file.is_some() || ca_file.is_some();
        return if is_lost { Err(Invalid::Counters) } else { Ok(None) };
    };
    let (scheme, rest) = address.split_once("://").ok_or(Invalid::Counters)?;
    let is_tls = match scheme {
        "redis" => false,
        "rediss" => true,
        _ => return Err(Invalid::Counters),
    };
    let (rest, database) = match rest.split_once('/') {
        None | Some((_, "")) => (rest.trim_end_matches('/'), 0),
        Some((rest, number)) => (rest, number.parse().map_err(|_| Invalid::Counters)?),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some((user, rest)) => (Some(user.to_owned()), rest),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => {
            (host, port.parse().map_err(|_| Invalid::Counters)?)
        }
        _ => (rest, 6379),
    };
    let is_user = user.as_deref().is_none_or(|it| {
        !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    });
    if !is_host(host) || !is_user || ca_file.is_some() && !is_tls {
        return Err(Invalid::Counters);
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Some(Counters { host, port, is_tls, user, database, password_file, ca_file }))
}

/// Where a trusted proxy is. Whoever would trust everybody believes what clients claim.
fn proxy(text: &str) -> Result<IpNet, Invalid> {
    let network: domain::Network = text
        .parse()
        .map_err(|why: domain::InvalidNetwork| Invalid::Proxy { why: why.to_string() })?;
    let network = IpNet::from(network);
    if network.prefix_len() == 0 {
        let why = format!("`{network}` is everybody, whose word nobody can take");
        return Err(Invalid::Proxy { why });
    }
    Ok(network)
}

/// Whether it is a host name or an address, without a port.
fn is_host(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.[]:".contains(&b);
    let port = !host.starts_with('[') && host.contains(':');
    !host.is_empty() && host.bytes().all(plain) && !port
}

/// It stands in tables, logs and answers, as it is.
fn is_replica_name(name: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-._:".contains(&it);
    (1..=100).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Whether others can be told to come there.
pub fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_unspecified() && !ip.is_multicast() && !is_link_local
}

/// In seconds.
const DAY: u64 = 86_400;

/// A number of seconds within its bounds.
fn seconds(
    (key, given): (&'static str, Option<u64>),
    usual: u64,
    allowed: RangeInclusive<u64>,
) -> Result<Duration, Invalid> {
    let (least, most) = (*allowed.start(), *allowed.end());
    let number = given.unwrap_or(usual);
    let is_within = allowed.contains(&number);
    is_within.then(|| Duration::from_secs(number)).ok_or(Invalid::Number { key, least, most })
}

/// A number within its bounds.
fn within(
    (key, given): (&'static str, Option<usize>),
    usual: usize,
    allowed: RangeInclusive<usize>,
) -> Result<usize, Invalid> {
    let (least, most) = (*allowed.start() as u64, *allowed.end() as u64);
    let number = given.unwrap_or(usual);
    allowed.contains(&number).then_some(number).ok_or(Invalid::Number { key, least, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_not_a_shrug() {
        let error = ConfigFile::parse("lissten = '127.0.0.1:1'").unwrap_err();
        assert!(error.to_string().contains("lissten"), "{error}");
    }

    #[test]
    fn a_store_of_counters_is_an_address_without_a_secret() {
        let parsed = |text: &str| {
            let found = ConfigFile::parse(&format!("counters = '{text}'")).unwrap();
            let it = found.counters.unwrap();
            (it.is_tls, it.host, it.port, it.user, it.database)
        };
        let host = "valkey.internal".to_owned();
        assert_eq!(parsed("redis://valkey.internal"), (false, host.clone(), 6379, None, 0));
        let user = Some("gateway".to_owned());
        assert_eq!(parsed("rediss://gateway@valkey.internal:7000/3"), (true, host, 7000, user, 3));
        assert_eq!(parsed("redis://[::1]:7000/"), (false, "::1".into(), 7000, None, 0));
        for text in [
            "valkey.internal",
            "http://valkey.internal",
            "redis://",
            "redis://user:secret@valkey.internal",
            "redis://@valkey.internal",
            "redis://valkey.internal:port",
            "redis://valkey.internal/db",
            "redis://valkey.internal/0?a=b",
        ] {
            let refused = ConfigFile::parse(&format!("counters = '{text}'"));
            assert_eq!(refused, Err(Invalid::Counters), "{text}");
        }
        for text in [
            "counters_password_file = 'a'",
            "counters_ca_file = 'a'",
            "counters = 'redis://a'\ncounters_ca_file = 'a'",
        ] {
            assert_eq!(ConfigFile::parse(text), Err(Invalid::Counters), "{text}");
        }
    }

    #[test]
    fn a_number_out_of_its_bounds_is_named_with_them() {
        let error = ConfigFile::parse("probe_seconds = 86401").unwrap_err();
        assert_eq!(error.to_string(), "`probe_seconds` must be from 0 to 86400");
        for text in ["trusted_proxies = ['0.0.0.0/0']", "trusted_proxies = ['10.0.0.1/8']"] {
            assert!(ConfigFile::parse(text).is_err(), "{text}");
        }
        let proxies = ConfigFile::parse("trusted_proxies = ['10.0.0.0/8', '::1']").unwrap();
        assert_eq!(proxies.trusted_proxies.len(), 2);
        for text in [
            "workers = 0",
            "answer_seconds = 0",
            "most_sessions = -1",
            "hosts = ['a:1']",
            "replica_name = 'a b'",
            "replica_listen = '0.0.0.0:8081'",
            "replica_listen = '[::]:8081'",
            "replica_listen = '169.254.1.1:8081'",
            "replica_listen = '10.0.0.5'",
        ] {
            assert!(ConfigFile::parse(text).is_err(), "{text}");
        }
    }
}
