//! Everything that is served beside the data plane: the admin API, health, metrics, the console.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use control::{ClientAddress, Control};
use ostiary::listener::Ending;
use proxy::{Hosts, Proxies, Proxy};

use crate::console;
use crate::metrics::{self, MetricsToken};
use crate::serve::House;

/// What the pages look at.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) control: Arc<Control>,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) log: audit::Log,
    pub(crate) metrics_token: Option<MetricsToken>,
    content: Arc<audit::ContentStore>,
    hosts: Arc<Hosts>,
    ending: Arc<Ending>,
    proxies: Arc<Proxies>,
    /// That a proxy is not trusted; once is enough.
    has_warned: Arc<AtomicBool>,
}

/// The router of one house.
pub(crate) fn router(house: &House, ending: Arc<Ending>) -> Router {
    let pages = Pages {
        control: Arc::clone(&house.control),
        proxy: Arc::clone(&house.proxy),
        log: house.log.clone(),
        metrics_token: house.metrics_token.clone(),
        content: Arc::clone(&house.content),
        hosts: Arc::new(house.hosts.clone()),
        ending,
        proxies: Arc::new(house.proxies.clone()),
        has_warned: Arc::default(),
    };
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .fallback(page)
        .with_state(pages.clone())
        .merge(house.control.router())
        .layer(middleware::from_fn_with_state(pages, guard))
}

/// Host and origin before anything else, and headers that keep a browser from helping an attacker.
async fn guard(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err(reason) = pages.hosts.admit(&parts) {
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>().copied() {
        if pages.proxies.disregards(peer.ip(), &parts.headers)
            && !pages.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%peer, "A request says that a proxy sends it, which the configuration does \
                not trust; if it is yours, name it there, or all who come by it share their attempts to \
                sign in");
        }
        match pages.proxies.client(peer.ip(), &parts.headers) {
            Ok(client) => {
                parts.extensions.insert(ClientAddress(client));
            }
            Err(bad) => return (StatusCode::BAD_REQUEST, bad.to_string()).into_response(),
        }
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 6] = [
        (
            CONTENT_SECURITY_POLICY,
            include_str!("../../../console/content-security-policy.txt").trim_ascii_end(),
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The process runs.
async fn alive() -> &'static str {
    "ok\n"
}

/// Calls can be served: the log takes records, the gate tells what holds, and this process is to stay.
async fn ready(State(pages): State<Pages>) -> Response {
    if pages.ending.is_leaving() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if let audit::Condition::Refusing { reason } = pages.log.health().condition {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("log: {reason}\n")).into_response();
    }
    if let Some(reason) = pages.content.refusal() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("content: {reason}\n")).into_response();
    }
    match pages.control.is_open().await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("gate: {error}\n")).into_response(),
    }
}

/// The console: a file of it, or its front page, which finds its own way.
async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_asset = path.starts_with("assets/");
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let found = console::file(path, accepted)
        .or_else(|| (!is_asset).then(|| console::file("index.html", accepted))?);
    let Some(file) = found else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let keep = if is_asset { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers =
        [(CONTENT_TYPE, file.media), (CACHE_CONTROL, keep), (VARY, ACCEPT_ENCODING.as_str())];
    let coding = file.coding.map(|it| [(CONTENT_ENCODING, it)]);
    (headers, coding, file.bytes).into_response()
}
