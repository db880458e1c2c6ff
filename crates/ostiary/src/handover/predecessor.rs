//! The side of the one that takes over.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::wire::{Wire, odd};
use super::{GREETING, LEAVING, Manner, place, word};
use crate::failure::Failure;

/// The process that serves until we do.
pub(crate) struct Predecessor {
    wire: Wire,
    pub(crate) manner: Manner,
}

/// Connections that have been given away and wait until they are served; the listener takes no more.
const CONNECTIONS: usize = 16_384;

impl Predecessor {
    /// Goes to the one that serves with a data folder, and gets its listening socket.
    pub(crate) async fn meet(data: &Path, manner: Manner) -> Result<(Self, TcpListener), Failure> {
        let met = async {
            let wire = Wire::with_own(UnixStream::connect(place(data)).await?)?;
            wire.say(word::VERSION, None).await?;
            let wish = if manner == Manner::After { word::AFTER } else { word::BESIDE };
            wire.say(wish, None).await?;
            match wire.hear_within(GREETING).await? {
                (word::SOCKET, Some(socket)) => Ok((wire, TcpListener::from(socket))),
                _ => Err(odd()),
            }
        };
        let (wire, socket) = met.await.map_err(|error: io::Error| {
            let data = data.display();
            Failure::Unavailable(format!(
                "no gateway with the data folder `{data}` can be followed: {error}"
            ))
        })?;
        Ok((Self { wire, manner }, socket))
    }

    /// Says that we are prepared; from now on the other one makes room.
    pub(crate) async fn make_room(&self) -> Result<(), Failure> {
        self.wire.say(word::PREPARED, None).await.map_err(Failure::other)
    }

    /// Takes the connections that it gives away, until it has let go or ended. Where it does neither,
    /// what it has locked shows it.
    pub(crate) async fn wait(&self, connections: mpsc::Sender<TcpStream>) {
        tokio::time::timeout(LEAVING, self.take(connections)).await.unwrap_or_default();
    }

    async fn take(&self, connections: mpsc::Sender<TcpStream>) {
        loop {
            match self.wire.hear().await {
                Ok(Some((word::CONNECTION, Some(connection)))) => {
                    // What finds no room is more than the listener would take.
                    connections.try_send(TcpStream::from(connection)).unwrap_or_default();
                }
                Ok(Some((word::GONE, None)) | None) => return,
                Ok(Some(_)) => tracing::warn!("The process before this one said something odd"),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!("A connection could not be taken over: too many files are open");
                }
                Err(_) => return,
            }
        }
    }

    /// Where connections are kept until they are served.
    pub(crate) fn room() -> (mpsc::Sender<TcpStream>, mpsc::Receiver<TcpStream>) {
        mpsc::channel(CONNECTIONS)
    }

    /// Says that we serve, so that it can end.
    pub(crate) async fn serve(&self) {
        // One that has ended need not be told.
        self.wire.say(word::SERVING, None).await.unwrap_or_default();
    }
}
