use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

/// A Valkey or Redis on loopback that keeps what it is told to save. Ends with this value.
pub(super) struct Valkey {
    pub(super) port: u16,
    process: Child,
    home: Arc<TempDir>,
}

/// What one has left behind that is stopped.
pub(super) struct Stopped {
    port: u16,
    home: Arc<TempDir>,
}

impl Valkey {
    pub(super) fn start() -> Self {
        // Below those that a system gives to whoever connects, since it starts again where it was. Each
        // test has a process of its own, and they run side by side.
        let first = 30_000 + u16::try_from(std::process::id() % 1_400).unwrap();
        for port in first..first + 20 {
            if TcpListener::bind(("127.0.0.1", port)).is_err() {
                continue;
            }
            // Another process may take the port in between: then it does not start.
            if let Some(started) = Self::start_at(port, Arc::new(tempfile::tempdir().unwrap())) {
                return started;
            }
        }
        panic!("no Valkey starts");
    }

    /// At once, and what it has not saved is lost.
    pub(super) fn stop(self) -> Stopped {
        Stopped { port: self.port, home: Arc::clone(&self.home) }
    }

    fn start_at(port: u16, home: Arc<TempDir>) -> Option<Self> {
        let spawned = ["valkey-server", "redis-server"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(["--port", &port.to_string()]).current_dir(home.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let process = spawned.expect("install redis-server: scripts/tools.sh test");
        let mut started = Self { port, process, home };
        loop {
            if started.process.try_wait().unwrap().is_some() {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(started);
            }
            std::thread::yield_now();
        }
    }

    /// What it answers to a command of plain words.
    pub(super) fn say(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }
}

impl Stopped {
    /// On the same port, with what was saved.
    pub(super) fn start(self) -> Valkey {
        Valkey::start_at(self.port, self.home).expect("the port is free again")
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
