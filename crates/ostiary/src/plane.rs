//! The data plane with its defaults, and one application per worker thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proxy::wire::{ChildLimits, Guard, HttpWire, ProcessLimits, WireLimits};
use proxy::{Hosts, Options, Worker};
use tokio_util::task::TaskTracker;

use crate::failure::Failure;

/// What a listener needs to know of itself.
pub(crate) fn hosts(listen: SocketAddr, extra: &[String], secure: bool) -> Hosts {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
    if !listen.ip().is_loopback() {
        names.clear();
        if !listen.ip().is_unspecified() {
            names.push(match listen.ip() {
                std::net::IpAddr::V4(ip) => ip.to_string(),
                std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
    }
    names.extend(extra.iter().map(|it| it.to_ascii_lowercase()));
    Hosts { names, secure }
}

/// The data plane's own keys. All who serve one installation have the same.
pub(crate) struct Keys {
    pub(crate) rule_salt: [u8; 32],
    pub(crate) sealing_key: [u8; 32],
}

/// Defaults with the reasons beside them.
pub(crate) fn options(hosts: Hosts, keys: Keys, tasks: TaskTracker) -> Options {
    let Keys { rule_salt, sealing_key } = keys;
    Options {
        hosts,
        proxies: proxy::Proxies::default(),
        anonymous: None,
        largest_request: 8 << 20,
        body_patience: Duration::from_secs(30),
        // The official SDKs wait as long for a server to say which era it speaks.
        probe: Duration::from_secs(10),
        listing: Duration::from_secs(10),
        // Tools that run longer without a word are better served by tasks.
        silence: Duration::from_secs(300),
        // People answer, and the official SDKs wait as long for them.
        answers: Duration::from_secs(600),
        longest_task: Duration::from_secs(3_600),
        rule_salt,
        sealing_key,
        keep_sessions: Duration::from_secs(60),
        // Ten apps with as many as one may have.
        most_sessions: 100_000,
        // Thirty-two apps with as many as one may have.
        most_held_calls: 2_048,
        runtime: tokio::runtime::Handle::current(),
        tasks,
        launcher: Some(vec!["/proc/self/exe".to_owned(), "launch-child".to_owned()]),
        child: ChildLimits::default(),
        process: ProcessLimits::default(),
    }
}

/// How upstreams are reached: one set of connections per worker.
#[derive(Clone)]
pub(crate) struct Wiring {
    guard: Guard,
    tls: Arc<rustls::ClientConfig>,
    /// To other replicas, where there may be some.
    hop: Option<Arc<rustls::ClientConfig>>,
}

impl Wiring {
    pub(crate) fn new(
        guard: Guard,
        hop: Option<Arc<rustls::ClientConfig>>,
    ) -> Result<Self, Failure> {
        let tls = proxy::wire::client_config(&[]).map_err(Failure::configuration)?;
        Ok(Self { guard, tls: Arc::new(tls), hop })
    }

    pub(crate) fn worker(&self, proxy: &Arc<proxy::Proxy>) -> Arc<Worker> {
        let (wire, hop) = self.wires();
        Worker::new(Arc::clone(proxy), wire, hop)
    }

    /// What looks and calls for administrators, in the place of apps.
    pub(crate) fn lend(&self, control: &control::Control, proxy: &Arc<proxy::Proxy>) {
        control.set_previews(Arc::new(proxy::Previewer::new(self.worker(proxy))));
        let (wire, hop) = self.wires();
        control.set_test_calls(Arc::new(proxy::Tester::new(Arc::clone(proxy), wire, hop)));
    }

    fn wires(&self) -> (HttpWire, Option<HttpWire>) {
        let limits = WireLimits {
            head: Duration::from_secs(600),
            quiet: Duration::from_secs(600),
            total: Duration::from_secs(3_600),
            ..WireLimits::default()
        };
        let wire = HttpWire::new(self.guard.clone(), Arc::clone(&self.tls), limits);
        (wire, self.hop.clone().map(proxy::hop::wire))
    }
}

/// Fills a key with random bytes.
pub(crate) fn random(key: &mut [u8; 32]) -> Result<(), Failure> {
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(key.as_mut_slice(), flags).map_err(Failure::other)?;
    Ok(())
}
