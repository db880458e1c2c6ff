//! A server on standard streams that somebody else plays, at a port of this machine.
//!
//!     stdio_wire PORT
//!
//! What comes in goes there, and what comes from there goes out.
#![expect(clippy::unwrap_used, reason = "what cannot be done is the end of it")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::exit;

fn main() {
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let there = TcpStream::connect(("127.0.0.1", port)).unwrap();
    there.set_nodelay(true).unwrap();
    let back = there.try_clone().unwrap();
    std::thread::spawn(move || {
        // Whoever plays it has ended it.
        copy(back, io::stdout().lock());
        exit(0);
    });
    copy(io::stdin().lock(), &there);
    there.shutdown(Shutdown::Write).unwrap();
}

/// To the end of either. The library's own copying lets the kernel wait for more before it hands on
/// what it has.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut piece = [0; 64 << 10];
    loop {
        match from.read(&mut piece) {
            Ok(read) if 0 < read => {
                let written = to.write_all(&piece[..read]).and_then(|()| to.flush());
                if written.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}
