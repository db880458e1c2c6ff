//! Ports for programs that have to be told theirs.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that nobody has at the moment. It is not one of those that a system gives to whoever connects
/// (from 32768 on Linux), so that only a program that asks for this one takes it in between.
#[must_use]
pub fn free() -> u16 {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Each test has a process of its own, and they run side by side.
    let first = u16::try_from(std::process::id() % 500).unwrap() * 16;
    loop {
        let port = 12_000 + (first + ASKED.fetch_add(1, Ordering::Relaxed)) % 8_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
