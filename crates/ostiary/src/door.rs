//! Who answers a request: the data plane for `/mcp/…` and `/sse/…`, the pages for everything else.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use http::{Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use ostiary::listener::{App, Bound, Settings};
use proxy::{Proxy, Worker};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::failure::Failure;
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
    type Body = Either<proxy::Body, axum::body::Body>;

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Self::Body> {
        let path = request.uri().path();
        if path.starts_with("/mcp/") || path.starts_with("/sse/") {
            return self.worker.handle(request, peer).await.map(Either::Left);
        }
        Box::pin(self.page(request, peer)).await.map(Either::Right)
    }

    async fn finish(&self) {
        self.worker.finish().await;
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
        let answering = self.runtime.spawn(pages.oneshot(request));
        match answering.await {
            Ok(Ok(response)) => response,
            // A page has panicked: it has been logged, and is one failed request.
            Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

fn status(status: StatusCode) -> Response<axum::body::Body> {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = status;
    response
}

/// Takes the port, with as many open files as the system lets us have: each client and each of its
/// calls needs one.
pub(crate) async fn bind(settings: Settings) -> Result<Bound, Failure> {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, files) {
        tracing::warn!(%error, "The limit of open files stays as it is");
    }
    ostiary::listener::bind(settings).await.map_err(Failure::configuration)
}

/// Serves until the process is told to stop.
pub(crate) async fn serve(bound: Bound, doors: Doors, mut signals: Signals) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let proxy = Arc::clone(&doors.proxy);
    let runtime = Handle::current();
    let make = move |_| {
        Arc::new(Door {
            worker: doors.wiring.worker(&doors.proxy),
            pages: doors.pages.clone(),
            runtime: runtime.clone(),
        })
    };
    let serving = bound.serve(make, stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        outcome = &mut serving => return outcome.map_err(Failure::other),
        () = signals.received() => {}
    }
    tracing::info!("Stopping: requests under way may finish");
    // First, since they are held by nobody's request.
    proxy.drain().await;
    stop.cancel();
    serving.await.map_err(Failure::other)
}

/// How the process is told to stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on SIGINT and SIGTERM are wishes that wait to be heard, and end nothing by
    /// themselves: to be called before anybody is told that we run.
    pub(crate) fn heed() -> Result<Self, Failure> {
        let terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for either.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
