//! Ports for programs that have to be told theirs.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where nobody listens: a port that no program is given unless it asks for it.
pub const NOBODY: &str = "http://127.0.0.1:9/mcp";

/// A port that nobody has at the moment. It is not one of those that a system gives to whoever connects
/// (from 32768 on Linux), so that only a program that asks for this one takes it in between.
#[must_use]
pub fn free() -> u16 {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Each test has a process of its own, and they run side by side.
    let first = u16::try_from(std::process::id() % 2_000).unwrap() * 4;
    loop {
        let port = 12_000 + (first + ASKED.fetch_add(1, Ordering::Relaxed)) % 8_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
