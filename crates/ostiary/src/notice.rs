//! What the service manager is told, if it wants to know (systemd, sd_notify(3)).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::env;

/// Where it listens: a path, or a name that begins with `@`.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";

/// This process serves from now on, whichever process has been started first.
pub(crate) fn ready() {
    tell(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// This process is about to end.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

/// A manager that does not hear us decides by itself what to think of that.
fn tell(state: &str) {
    let Some(place) = env(VARIABLE) else { return };
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let told = address.and_then(|it| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &it));
    if let Err(error) = told {
        tracing::warn!(%error, "The service manager could not be told: {}", state.escape_default());
    }
}
