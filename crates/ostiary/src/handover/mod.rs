//! One process follows another at the same address, and no connection is refused or lost.
//!
//! The one that serves listens on a socket in its data folder, which only its own user can use. A
//! successor comes there, and they speak in this order, a byte for each message:
//!
//! 1. the successor says which protocol it speaks, and whether it has a data folder of its own
//! 2. it is given the listening socket, which from now on outlives either of them
//! 3. it checks whatever it can, and says that it is prepared
//! 4. the other accepts nothing more, lets what is under way end, gives away connections that are
//!    between two requests, closes database and log, and says that it has let go
//! 5. the successor opens them, and says that it serves; whoever has come meanwhile has waited
//!
//! With a data folder of its own the successor opens everything before it says that it is prepared,
//! serves from then on, and nobody waits; that needs a database that both may use.
//!
//! One who breaks off before the third step has changed nothing. After it, where the successor ends
//! without serving, the one before it opens everything once more and goes on.

mod predecessor;
mod successor;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use predecessor::Predecessor;
pub(crate) use successor::{Doorbell, Successor, start};

/// Whether the successor opens what its predecessor has closed, or has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    After,
    Beside,
}

/// What is said. Each belongs to one side and one step.
mod word {
    /// The protocol. A process that does not know it closes.
    pub(super) const VERSION: u8 = 1;
    pub(super) const AFTER: u8 = b'a';
    pub(super) const BESIDE: u8 = b'b';
    /// With the listening socket.
    pub(super) const SOCKET: u8 = b's';
    pub(super) const PREPARED: u8 = b'p';
    /// With a connection.
    pub(super) const CONNECTION: u8 = b'c';
    pub(super) const GONE: u8 = b'g';
    pub(super) const SERVING: u8 = b'v';
}

/// Who rings says at once what for, and answers a greeting.
const GREETING: Duration = Duration::from_secs(10);
/// A successor reads files and asks the database, or opens it.
const PREPARING: Duration = Duration::from_secs(120);
/// The longest grace, and then some.
const LEAVING: Duration = Duration::from_secs(4_000);
/// It may have to bring the schema up to date.
const OPENING: Duration = Duration::from_secs(600);

fn place(data: &Path) -> PathBuf {
    data.join("handover.sock")
}
