//! The side of the one that serves: it waits for a successor, and makes room for it.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;

use super::wire::{Wire, odd};
use super::{GREETING, Manner, OPENING, PREPARING, place, word};
use crate::activation;

/// Where successors ring. Gone with this value.
pub(crate) struct Doorbell {
    listener: UnixListener,
    path: PathBuf,
}

/// A process that wants to follow this one.
pub(crate) struct Successor {
    wire: Wire,
    manner: Manner,
    /// What it has been given, for as long as it may not come to serve.
    given: Vec<TcpStream>,
}

/// How soon the door is opened again after it could not be.
const AGAIN: Duration = Duration::from_millis(50);

impl Doorbell {
    /// Makes the socket. Whoever does so has locked the data folder, so one that is there already
    /// belongs to nobody any more.
    pub(crate) fn hang(data: &Path) -> io::Result<Self> {
        let path = place(data);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// The next one who comes and says what it wants. Cancel-safe, but for whoever is speaking.
    pub(crate) async fn rung(&self) -> Successor {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Without descriptors they would be told to go away as quickly as they ring.
                    tracing::warn!(%error, "Nobody who rings can be heard for now");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            match Self::answer(stream).await {
                Ok(successor) => return successor,
                Err(error) => {
                    tracing::warn!(%error, "Somebody rang who cannot take over");
                    // For want of open files, say, they stand there still.
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn answer(stream: UnixStream) -> io::Result<Successor> {
        let wire = Wire::with_own(stream)?;
        let (version, _) = wire.hear_within(GREETING).await?;
        if version != word::VERSION {
            return Err(odd());
        }
        let manner = match wire.hear_within(GREETING).await? {
            (word::AFTER, None) => Manner::After,
            (word::BESIDE, None) => Manner::Beside,
            _ => return Err(odd()),
        };
        Ok(Successor { wire, manner, given: Vec::new() })
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        // One that cannot be removed is replaced by the next.
        std::fs::remove_file(&self.path).unwrap_or_default();
    }
}

impl Successor {
    /// Lets it have the socket, and waits until it is prepared. Nothing has changed until then.
    pub(crate) async fn prepare(&self, socket: &TcpListener) -> io::Result<()> {
        self.wire.say(word::SOCKET, Some(socket.as_fd())).await?;
        match self.wire.hear_within(PREPARING).await? {
            (word::PREPARED, None) => Ok(()),
            _ => Err(odd()),
        }
    }

    /// Lets it have a connection. One that it cannot take is closed.
    pub(crate) async fn give(&mut self, connection: TcpStream) {
        let saying = self.wire.say(word::CONNECTION, Some(connection.as_fd()));
        match tokio::time::timeout(GREETING, saying).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "A connection could not be handed over"),
            Err(_) => tracing::warn!("A connection was not taken over in time"),
        }
        if self.manner == Manner::After {
            self.given.push(connection);
        }
    }

    /// Tells it that everything is its own now, and waits until it serves. Where it ends before, gives
    /// back what it has been given, of which it has read nothing.
    pub(crate) async fn let_go(self) -> Result<(), Vec<TcpStream>> {
        let serving = async {
            self.wire.say(word::GONE, None).await?;
            match self.manner {
                Manner::Beside => Ok((word::SERVING, None)),
                Manner::After => self.wire.hear_within(OPENING).await,
            }
        };
        match serving.await {
            Ok((word::SERVING, None)) => Ok(()),
            // One that serves beside us has been doing so for a while.
            _ if self.manner == Manner::Beside => Ok(()),
            Ok(_) => Err(self.given),
            Err(error) => {
                tracing::warn!(%error, "The successor has said nothing any more");
                Err(self.given)
            }
        }
    }
}

/// Starts this program once more as it was started, whatever has become of its file since, as the
/// successor of this process. Whether it comes to anything is seen when it rings.
pub(crate) fn start() -> io::Result<()> {
    let mut words = std::env::args_os();
    let program = words.next().ok_or(io::ErrorKind::NotFound)?;
    let is_ours = |it: &std::ffi::OsString| it.as_encoded_bytes().starts_with(b"--take-over");
    let mut command = Command::new(program);
    command.args(words.filter(|it| !is_ours(it))).arg("--take-over").stdin(Stdio::null());
    for name in activation::VARIABLES {
        command.env_remove(name);
    }
    // It outlives us. Where it does not, the runtime takes note of its end.
    command.spawn().map(drop)
}
