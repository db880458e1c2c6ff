//! A connection to Valkey or Redis, on which commands of many calls are under way at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::resp::{self, Malformed, Reply};
use crate::limits::CounterStore;

/// Ends with whoever holds it.
pub(super) struct Link {
    asks: mpsc::Sender<Ask>,
    task: JoinHandle<()>,
    /// Of the script that it was given.
    script: String,
    generation: String,
}

struct Ask {
    command: Vec<u8>,
    answer: oneshot::Sender<Reply>,
}

/// Why the store did not do what was asked of it, or may not have.
#[derive(Debug, thiserror::Error)]
pub(super) enum Away {
    #[error("it cannot be reached")]
    Unreachable(#[from] std::io::Error),
    #[error("it does not answer")]
    Silent,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("it says: {0}")]
    Refused(String),
    #[error("it does not keep what it is given")]
    Forgetful,
}

/// How long it may take until the store is there.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an answer may take. It is there in a millisecond, or not at all.
const ANSWER: Duration = Duration::from_secs(1);

/// How many commands wait to be sent, and how many answers are waited for; more are refused.
const MOST_WAITING: usize = 4_096;

/// How much may have come that is no whole reply.
const MOST_UNREAD: usize = 4 << 20;

impl Link {
    /// Connects, says who we are, and hands over the script.
    pub(super) async fn open(
        store: &CounterStore,
        script: &str,
        tasks: &TaskTracker,
    ) -> Result<Self, Away> {
        let opening = tokio::time::timeout(CONNECT, Self::open_now(store, script, tasks));
        opening.await.unwrap_or(Err(Away::Silent))
    }

    async fn open_now(
        store: &CounterStore,
        script: &str,
        tasks: &TaskTracker,
    ) -> Result<Self, Away> {
        let stream = TcpStream::connect((store.host.as_str(), store.port)).await?;
        stream.set_nodelay(true)?;
        let (asks, inbox) = mpsc::channel(MOST_WAITING);
        let task = match &store.tls {
            None => tasks.spawn(run(stream, inbox)),
            Some(config) => {
                let name = ServerName::try_from(store.host.clone())
                    .map_err(|error| std::io::Error::other(error.to_string()))?;
                let connector = TlsConnector::from(Arc::clone(config));
                tasks.spawn(run(connector.connect(name, stream).await?, inbox))
            }
        };
        let mut link = Self { asks, task, script: String::new(), generation: String::new() };
        if let Some(password) = &store.password {
            let user = store.user.as_deref().unwrap_or("default");
            let parts: [&[u8]; 3] = [b"AUTH", user.as_bytes(), password.expose()];
            link.ask(resp::command(parts.into_iter())).await?;
        }
        if store.database != 0 {
            let number = store.database.to_string();
            let parts: [&[u8]; 2] = [b"SELECT", number.as_bytes()];
            link.ask(resp::command(parts.into_iter())).await?;
        }
        let load: [&[u8]; 3] = [b"SCRIPT", b"LOAD", script.as_bytes()];
        match link.ask(resp::command(load.into_iter())).await? {
            Reply::Text(hash) => link.script = hash,
            _ => return Err(Malformed.into()),
        }
        let run = link.information("server", "run_id").await?;
        let history = link.information("replication", "master_replid").await?;
        link.generation = format!("{run}{history}");
        Ok(link)
    }

    /// Another one whenever the server has been started or promoted: what it has from before may be
    /// of some time ago.
    pub(super) fn generation(&self) -> &str {
        &self.generation
    }

    /// What the server says of itself: enough of a random number to know it by.
    async fn information(&self, section: &str, field: &str) -> Result<String, Away> {
        const DIGITS: usize = 16;

        let parts: [&[u8]; 2] = [b"INFO", section.as_bytes()];
        let Reply::Text(text) = self.ask(resp::command(parts.into_iter())).await? else {
            return Err(Malformed.into());
        };
        let value = |line: &str| {
            Some(line.strip_prefix(field)?.strip_prefix(':')?.get(..DIGITS)?.to_owned())
        };
        let is_known = |it: &String| it.bytes().all(|it| it.is_ascii_hexdigit());
        Ok(text.lines().find_map(value).filter(is_known).ok_or(Malformed)?)
    }

    /// Runs the script. What it answers is numbers.
    pub(super) async fn run(&self, keys: &[Vec<u8>], args: &[String]) -> Result<Vec<i64>, Away> {
        let count = keys.len().to_string();
        let head: [&[u8]; 3] = [b"EVALSHA", self.script.as_bytes(), count.as_bytes()];
        let parts: Vec<&[u8]> = head
            .into_iter()
            .chain(keys.iter().map(AsRef::as_ref))
            .chain(args.iter().map(String::as_bytes))
            .collect();
        match self.ask(resp::command(parts.into_iter())).await? {
            Reply::Numbers(numbers) => Ok(numbers),
            _ => Err(Malformed.into()),
        }
    }

    async fn ask(&self, command: Vec<u8>) -> Result<Reply, Away> {
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(Ask { command, answer }).map_err(|_| Away::Silent)?;
        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Ok(Reply::Error(text))) => Err(Away::Refused(text)),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) | Err(_) => Err(Away::Silent),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends what is asked and hands out what comes, which is in the same order. Its end is the end of
/// all who wait.
async fn run(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut inbox: mpsc::Receiver<Ask>) {
    let mut waiting: VecDeque<oneshot::Sender<Reply>> = VecDeque::new();
    let mut unread = BytesMut::new();
    loop {
        let outcome = tokio::select! {
            asked = inbox.recv(), if waiting.len() < MOST_WAITING => {
                let Some(asked) = asked else { return };
                send(&mut stream, asked, &mut inbox, &mut waiting).await
            }
            read = stream.read_buf(&mut unread) => match read {
                Ok(0) => return,
                Ok(_) => hand_out(&mut unread, &mut waiting),
                Err(error) => Err(error.into()),
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "The connection to the store of counters has broken");
            return;
        }
    }
}

/// With whatever else has been asked by now.
async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    asked: Ask,
    inbox: &mut mpsc::Receiver<Ask>,
    waiting: &mut VecDeque<oneshot::Sender<Reply>>,
) -> Result<(), Away> {
    const TOGETHER: usize = 64 << 10;

    let Ask { mut command, answer } = asked;
    waiting.push_back(answer);
    while command.len() < TOGETHER && waiting.len() < MOST_WAITING {
        let Ok(another) = inbox.try_recv() else { break };
        command.extend_from_slice(&another.command);
        waiting.push_back(another.answer);
    }
    let sending = async {
        stream.write_all(&command).await?;
        stream.flush().await
    };
    tokio::time::timeout(ANSWER, sending).await.map_err(|_| Away::Silent)??;
    Ok(())
}

fn hand_out(
    unread: &mut BytesMut,
    waiting: &mut VecDeque<oneshot::Sender<Reply>>,
) -> Result<(), Away> {
    while let Some((reply, length)) = resp::parse(unread)? {
        unread.advance(length);
        let waits = waiting.pop_front().ok_or(Malformed)?;
        // Whoever has asked may have gone.
        drop(waits.send(reply));
    }
    if MOST_UNREAD < unread.len() { Err(Malformed.into()) } else { Ok(()) }
}
