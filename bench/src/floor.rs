//! The floor: a proxy that does nothing but carry bytes, as well as hyper can.
//!
//! Each connection of a client has its own connection to the upstream, on the same thread, so there
//! is no pool, no lock and no copy. Whatever a gateway costs, it costs at least this.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderName};
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;

use crate::accept;

/// Forwards to `upstream` from a free port; with an acceptor, clients speak TLS.
pub(crate) fn start(
    cores: &[usize],
    upstream: SocketAddr,
    tls: Option<TlsAcceptor>,
) -> Result<SocketAddr> {
    accept::start(cores, move |stream| {
        let tls = tls.clone();
        async move {
            // An error here is a connection that its client or the upstream closed.
            let _closed = match tls {
                None => serve(TokioIo::new(stream), upstream).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(TokioIo::new(stream), upstream).await,
                    Err(error) => Err(error.into()),
                },
            };
        }
    })
}

async fn serve(client: impl Read + Write + Unpin, upstream: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // One request at a time is all that HTTP/1 has, so nobody ever waits for this lock.
    let sender = Rc::new(Mutex::new(sender));
    let service = service_fn(move |request| {
        let sender = Rc::clone(&sender);
        async move { forward(&mut *sender.lock().await, request).await }
    });
    let server = hyper::server::conn::http1::Builder::new().serve_connection(client, service);
    let (from, to) = futures::future::join(server, connection).await;
    Ok(from.and(to)?)
}

async fn forward(
    upstream: &mut SendRequest<Incoming>,
    mut request: Request<Incoming>,
) -> hyper::Result<Response<Incoming>> {
    for name in HOP_BY_HOP {
        request.headers_mut().remove(name);
    }
    upstream.ready().await?;
    let mut response = upstream.send_request(request).await?;
    for name in HOP_BY_HOP {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

const HOP_BY_HOP: &[HeaderName] = &[header::CONNECTION, header::TRANSFER_ENCODING];
