//! The data plane with its defaults, and one application per worker thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use control::{ServerState, ServerStatus, Status};
use domain::ports::{Answer, TestCalls};
use domain::{Answered, NotCalled, ServerId, TestCall, Tested};
use proxy::wire::{ChildLimits, Guard, HttpWire, ProcessLimits, WireLimits};
use proxy::{Hosts, Options, Worker};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

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
        runtime: Handle::current(),
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

    /// What looks and calls for administrators, in the place of apps. Calls are made for as long as what
    /// is given lives.
    pub(crate) fn lend(
        &self,
        control: &control::Control,
        proxy: &Arc<proxy::Proxy>,
    ) -> Result<Bench, Failure> {
        control.set_previews(Arc::new(proxy::Previewer::new(self.worker(proxy))));
        let (wire, hop) = self.wires();
        let (bench, runtime) = Bench::set_up().map_err(Failure::other)?;
        let tester = Arc::new(proxy::Tester::new(Arc::clone(proxy), wire, hop));
        control.set_test_calls(Arc::new(AtBench { tester, runtime }));
        Ok(bench)
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

/// The thread on which calls are made in the place of apps: a disk that does not answer holds whoever
/// writes the beginning of a call, and must hold nobody else by it.
pub(crate) struct Bench {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// Makes calls there.
struct AtBench {
    tester: Arc<proxy::Tester>,
    runtime: Handle,
}

/// Blocking work that a call has begun is not waited for longer than this.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

impl Bench {
    fn set_up() -> std::io::Result<(Self, Handle)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (at_end, ended) = oneshot::channel();
        std::thread::Builder::new().name("test-calls".to_owned()).spawn(move || {
            let _at_end: oneshot::Sender<()> = at_end;
            // It is told, or whoever would tell it has gone.
            drop(runtime.block_on(stopped));
            runtime.shutdown_timeout(LAST_PATIENCE);
        })?;
        Ok((Self { stop, ended }, handle))
    }

    /// Ends it: to be called when nothing is left to be done there.
    pub(crate) async fn close(self) {
        drop(self.stop);
        // Nothing is ever sent: the sender goes with the thread.
        self.ended.await.unwrap_or_default();
    }
}

impl TestCalls for AtBench {
    /// Whoever drops it gives the call up.
    fn call(&self, test: TestCall) -> Answer<'_, Result<Tested, NotCalled>> {
        let tester = Arc::clone(&self.tester);
        let calling = self.runtime.spawn(async move { tester.call(test).await });
        let calling = AbortOnDropHandle::new(calling);
        Box::pin(async move {
            // What has died there may have called before.
            let nothing = |_| Ok(Tested { tool: None, answer: Answered::Nothing });
            calling.await.unwrap_or_else(nothing)
        })
    }
}

/// What the data plane knows of servers, for the control plane to show.
pub(crate) struct Watching(pub(crate) Arc<proxy::Proxy>);

impl ServerStatus for Watching {
    fn status(&self, server: ServerId) -> Option<Status> {
        let health = self.0.health(server)?;
        let state = match health.failures {
            0 if health.last_answer.is_none() => return None,
            0 => ServerState::Up,
            1 | 2 => ServerState::Failing,
            _ => ServerState::Down,
        };
        Some(Status { state, detail: health.error, tools: self.0.tools_of(server) })
    }
}

/// Fills a key with random bytes.
pub(crate) fn random(key: &mut [u8; 32]) -> Result<(), Failure> {
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(key.as_mut_slice(), flags).map_err(Failure::other)?;
    Ok(())
}
