//! One thread for each core, each with a runtime of its own, and connections dealt out in turn.
//!
//! Letting the kernel deal them out would leave one thread with twice the connections of another,
//! which with 64 of them is likely.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use crate::{cores, report};

/// Accepts on a free port of loopback, for as long as the process lives, and says where.
///
/// `serve` runs on the thread that a connection was dealt to.
pub(crate) fn start<S, F>(cores: &[usize], serve: S) -> Result<SocketAddr>
where
    S: Fn(TcpStream) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding to loopback")?;
    let address = listener.local_addr()?;
    let mut queues = Vec::new();
    for core in cores {
        let (queue, dealt) = mpsc::channel(WAITING);
        let (serve, core) = (serve.clone(), *core);
        thread::Builder::new().name(format!("core-{core}")).spawn(move || {
            if let Err(error) = work(core, dealt, serve) {
                report::complain(&format!("{error:#}"));
            }
        })?;
        queues.push(queue);
    }
    thread::Builder::new().name("accept".into()).spawn(move || {
        for (turn, stream) in listener.incoming().enumerate() {
            let queue = queues.get(turn % queues.len());
            // A connection that broke before it was accepted is its client's loss.
            let (Some(queue), Ok(stream)) = (queue, stream) else { continue };
            if queue.blocking_send(stream).is_err() {
                return;
            }
        }
    })?;
    Ok(address)
}

fn work<S, F>(core: usize, mut dealt: mpsc::Receiver<std::net::TcpStream>, serve: S) -> Result<()>
where
    S: Fn(TcpStream) -> F,
    F: Future<Output = ()> + 'static,
{
    cores::pin(&[core])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut open = JoinSet::new();
        while let Some(stream) = dealt.recv().await {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            open.spawn_local(serve(TcpStream::from_std(stream)?));
            while open.try_join_next().is_some() {}
        }
        Ok(())
    })
}

/// Connections that wait for their thread. More than a benchmark opens at once, so that none waits
/// in the kernel, whose queue is short.
const WAITING: usize = 16_384;
