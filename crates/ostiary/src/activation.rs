//! A listening socket that the service manager has opened before us, and keeps while we are
//! restarted (systemd, sd_listen_fds(3)).

use std::net::TcpListener;

use listenfd::ListenFd;

use crate::config::env;
use crate::failure::Failure;

/// What it tells us by.
pub(crate) const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// Takes the socket, if there is one for this very process. To be called first, once, and before
/// there are threads: the variables are taken away, so that nothing we start finds them.
///
/// # Errors
/// There are several sockets, or something that is none.
pub(crate) fn socket() -> Result<Option<TcpListener>, Failure> {
    let [count, process, names] = VARIABLES.map(env);
    // Without a process they may be meant for anybody, and an ancestor has forgotten them.
    let is_ours = process.is_some_and(|it| it == std::process::id().to_string());
    if !is_ours {
        return Ok(None);
    }
    let named = names.as_deref().unwrap_or("without a name");
    let refused = |why: &str| Failure::Configuration(format!("LISTEN_FDS (`{named}`): {why}"));
    if count.as_deref() != Some("1") {
        return Err(refused("exactly one socket can be handed over; give one ListenStream="));
    }
    if names.as_deref().is_some_and(|it| it.contains(':')) {
        return Err(refused("there must be as many names as there are sockets"));
    }
    // Closed in what we start, and checked to be a TCP socket.
    let taken = ListenFd::from_env().take_tcp_listener(0);
    let socket = taken.map_err(|error| refused(&error.to_string()))?;
    socket.map(Some).ok_or_else(|| refused("there is no socket"))
}
