//! Temporary accept loop, replaced by the listener.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use proxy::Proxy;
use tokio::net::{TcpListener, TcpStream};

use crate::failure::Failure;
use crate::plane::Wiring;

pub(crate) struct Bound(TcpListener, SocketAddr);
impl Bound {
    pub(crate) fn local_addr(&self) -> SocketAddr { self.1 }
}
pub(crate) async fn bind(at: SocketAddr) -> Result<Bound, Failure> {
    let l = TcpListener::bind(at).await.map_err(Failure::configuration)?;
    let a = l.local_addr().map_err(Failure::configuration)?;
    Ok(Bound(l, a))
}
#[expect(clippy::disallowed_methods, reason = "temporary")]
pub(crate) async fn serve(bound: Bound, proxy: Arc<Proxy>, wiring: Wiring, _c: Option<()>) {
    let mut senders = Vec::new();
    for _ in 0..2 {
        let (tx, mut rx) = tokio::sync::mpsc::channel::<(std::net::TcpStream, SocketAddr)>(64);
        senders.push(tx);
        let (proxy, wiring) = (Arc::clone(&proxy), wiring.clone());
        std::thread::spawn(move || {
            let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("rt");
            rt.block_on(async move {
                let worker = wiring.worker(&proxy);
                while let Some((stream, peer)) = rx.recv().await {
                    stream.set_nonblocking(true).ok();
                    let stream = TcpStream::from_std(stream).expect("std");
                    stream.set_nodelay(true).ok();
                    let worker = Arc::clone(&worker);
                    tokio::spawn(async move {
                        let svc = service_fn(move |req| {
                            let worker = Arc::clone(&worker);
                            async move { Ok::<_, std::convert::Infallible>(worker.handle(req, peer).await) }
                        });
                        hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), svc).await.ok();
                    });
                }
            });
        });
    }
    let mut n = 0;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return,
            got = bound.0.accept() => {
                if let Ok((s, p)) = got { n += 1; let s = s.into_std().expect("std"); senders[n % 2].send((s, p)).await.ok(); }
            }
        }
    }
}
