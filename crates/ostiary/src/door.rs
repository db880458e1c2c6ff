//! Who answers a request: the data plane for `/mcp/…` and `/sse/…`, the pages for everything else.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use futures::TryFutureExt;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use ostiary::listener::{App, Bound, Ending};
use proxy::{Proxy, Worker};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tower::ServiceExt;

use crate::failure::Failure;
use crate::handover::{self, Doorbell, Successor};
use crate::notice;
use crate::plane::Wiring;

/// Makes each worker thread's door.
pub(crate) struct Doors {
    pub(crate) wiring: Wiring,
    pub(crate) proxy: Arc<Proxy>,
    /// Absent in development mode, which has nothing but the data plane.
    pub(crate) pages: Option<Router>,
}

struct Door {
    worker: Arc<Worker>,
    pages: Option<Router>,
    /// Where the pages run: they wait for databases, and the workers must not.
    runtime: Handle,
}

impl App for Door {
    type Body = Either<proxy::Released, axum::body::Body>;

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Self::Body> {
        let path = request.uri().path();
        let is_data = path.starts_with("/mcp/") || path.starts_with("/sse/");
        if is_data && (self.pages.is_none() || !is_visit(&request)) {
            return self.worker.handle(request, peer).await.map(Either::Left);
        }
        Box::pin(self.page(request, peer)).await.map(Either::Right)
    }

    async fn finish(&self) {
        self.worker.finish().await;
    }

    fn end(&self) {
        self.worker.end();
    }
}

/// Where other replicas come in: to nothing but the data plane.
struct BackDoor(Arc<Worker>);

impl App for BackDoor {
    type Body = proxy::Released;

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        _: SocketAddr,
    ) -> Response<Self::Body> {
        self.0.handle_passed_on(request).await
    }

    async fn finish(&self) {
        self.0.finish().await;
    }

    fn end(&self) {
        self.0.end();
    }
}

impl Door {
    async fn page(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<axum::body::Body> {
        let Some(pages) = self.pages.clone() else {
            return status(StatusCode::NOT_FOUND);
        };
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let gone = control::Gone::default();
        let _waits = gone.0.clone().drop_guard();
        request.extensions_mut().insert(gone);
        let answering = self.runtime.spawn(pages.oneshot(request));
        match answering.await {
            Ok(Ok(response)) => response,
            // A page has panicked: it has been logged, and is one failed request.
            Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Whether somebody opens a picker's URL in a browser, who is shown the console there. Clients accept no
/// pages.
fn is_visit<B>(request: &Request<B>) -> bool {
    let workspace = request.uri().path().strip_prefix("/mcp/");
    let accept = request.headers().get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
    request.method() == Method::GET
        && workspace.is_some_and(|it| !it.is_empty() && !it.contains('/'))
        && !request.headers().contains_key(AUTHORIZATION)
        && accept.flat_map(|it| it.split([',', ';'])).any(|it| it.trim() == "text/html")
}

fn status(status: StatusCode) -> Response<axum::body::Body> {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = status;
    response
}

/// Lets this process have as many open files as the system allows: each client and each of its calls
/// needs one.
pub(crate) fn open_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, files) {
        tracing::warn!(%error, "The limit of open files stays as it is");
    }
}

/// What may end the serving, and how.
pub(crate) struct Wishes<'a> {
    pub(crate) signals: &'a mut Signals,
    /// Absent where nobody can take over.
    pub(crate) doorbell: Option<Doorbell>,
    pub(crate) ending: Arc<Ending>,
    /// How long to go on accepting while clients and balancers are told that this ends.
    pub(crate) drain: Duration,
    /// What is to be done when requests are only let finish.
    pub(crate) leave: &'a (dyn Fn() + Send + Sync),
}

/// How the serving has ended.
pub(crate) enum End {
    Told,
    /// This process is waiting for it with everything that it has closed; the socket still listens.
    Followed(Successor, TcpListener),
}

/// Serves until the process is told to stop, or has a successor.
pub(crate) async fn serve(
    bound: Bound,
    for_peers: Option<Bound>,
    doors: Doors,
    wishes: Wishes<'_>,
) -> Result<End, Failure> {
    let Wishes { signals, doorbell, ending, drain, leave } = wishes;
    let proxy = Arc::clone(&doors.proxy);
    let (wiring, plane) = (doors.wiring.clone(), Arc::clone(&doors.proxy));
    let make_back = move |_| Arc::new(BackDoor(wiring.worker(&plane)));
    let runtime = Handle::current();
    let make = move |_| {
        Arc::new(Door {
            worker: doors.wiring.worker(&doors.proxy),
            pages: doors.pages.clone(),
            runtime: runtime.clone(),
        })
    };
    let socket = bound.socket().map_err(Failure::other)?;
    let behind = async {
        match for_peers {
            Some(bound) => bound.serve(make_back, Arc::clone(&ending)).await,
            None => Ok(()),
        }
    };
    let serving = async { tokio::try_join!(bound.serve(make, Arc::clone(&ending)), behind) };
    let serving = serving.map_ok(drop);
    tokio::pin!(serving);
    let mut end = tokio::select! {
        outcome = &mut serving => return outcome.map(|()| End::Told).map_err(Failure::other),
        end = wish(signals, doorbell, socket) => end,
    };
    if let End::Followed(successor, _) = &mut end {
        tracing::info!("Making room for a successor: requests under way may finish");
        leave();
        let mut connections = ending.hand_on();
        let all = async { tokio::join!(serving, proxy.drain()).0 };
        tokio::pin!(all);
        let outcome = loop {
            tokio::select! {
                biased;
                Some(connection) = connections.recv() => successor.give(connection).await,
                outcome = &mut all => break outcome,
            }
        };
        // Nobody is left who could send more.
        while let Ok(connection) = connections.try_recv() {
            successor.give(connection).await;
        }
        return outcome.map(|()| end).map_err(Failure::other);
    }
    notice::stopping();
    ending.leave();
    if !drain.is_zero() {
        tracing::info!(?drain, "Not ready any more: clients are asked to go elsewhere");
        tokio::select! {
            outcome = &mut serving => return outcome.map(|()| end).map_err(Failure::other),
            () = tokio::time::sleep(drain) => {}
            () = signals.received() => {}
        }
    }
    tracing::info!("Stopping: requests under way may finish");
    leave();
    // First, since they are held by nobody's request.
    proxy.drain().await;
    ending.stop();
    serving.await.map(|()| end).map_err(Failure::other)
}

/// Waits until the process is told to stop, or another is prepared to follow it. One that cannot, or
/// does not come, changes nothing.
///
/// From then on nobody else can follow. Where nobody does, this handle of the socket is gone, which
/// would otherwise keep it open when nobody accepts any more: whoever came then would wait in vain.
async fn wish(signals: &mut Signals, doorbell: Option<Doorbell>, socket: TcpListener) -> End {
    loop {
        let rung = async {
            match &doorbell {
                Some(doorbell) => doorbell.rung().await,
                None => std::future::pending().await,
            }
        };
        let successor = tokio::select! {
            biased;
            is_end = signals.heard() => {
                if is_end {
                    return End::Told;
                }
                if doorbell.is_some() {
                    tracing::info!("Starting a successor");
                    if let Err(error) = handover::start() {
                        tracing::error!(%error, "A successor could not be started");
                    }
                }
                continue;
            }
            successor = rung => successor,
        };
        tokio::select! {
            () = signals.received() => return End::Told,
            prepared = successor.prepare(&socket) => match prepared {
                Ok(()) => return End::Followed(successor, socket),
                Err(error) => {
                    tracing::warn!(%error, "Going on, since a successor has not been prepared");
                }
            },
        }
    }
}

/// How the process is told to stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// To start a successor.
    follow: Signal,
}

impl Signals {
    /// From now on SIGINT, SIGTERM and SIGUSR2 are wishes that wait to be heard, and end nothing by
    /// themselves: to be called before anybody is told that we run.
    pub(crate) fn heed() -> Result<Self, Failure> {
        let terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
        let follow = signal(SignalKind::user_defined2()).map_err(Failure::other)?;
        Ok(Self { terminate, interrupt, follow })
    }

    /// Waits until the process is told to stop.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for any; whether it is to stop, and not to start a successor.
    async fn heard(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => true,
            _ = self.follow.recv() => false,
        }
    }
}
