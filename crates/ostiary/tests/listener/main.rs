//! The listener through real sockets: what gets in, what is turned away, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod door;
mod floods;
mod framing;
mod life;
mod tls;
