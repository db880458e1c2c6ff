//! A Valkey or Redis, as the store in which replicas count together.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::port;
use crate::wait::eventually;

/// On loopback, and keeps nothing. Ends with this value.
pub struct Valkey {
    pub port: u16,
    process: Child,
    _home: TempDir,
}

impl Valkey {
    /// On a free port, with a password.
    pub async fn start(password: &str) -> Self {
        Self::start_at(port::free(), password).await
    }

    /// On a port that another one has had.
    pub async fn start_at(port: u16, password: &str) -> Self {
        Self::start_with(port, &["--port", &port.to_string(), "--requirepass", password]).await
    }

    /// The same with TLS alone, by a certificate and its key in PEM.
    pub async fn start_secured(password: &str, (certificate, key): (&Path, &Path)) -> Self {
        let (port, files) = (port::free(), [certificate, key].map(|it| it.to_str().unwrap()));
        let port_text = port.to_string();
        let words = ["--port", "0", "--tls-port", &port_text, "--requirepass", password];
        let tls = ["--tls-cert-file", files[0], "--tls-key-file", files[1]];
        let open = ["--tls-auth-clients", "no"];
        Self::start_with(port, &[&words[..], &tls[..], &open[..]].concat()).await
    }

    async fn start_with(port: u16, words: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let spawned = ["valkey-server", "redis-server"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(words);
            command.current_dir(home.path()).kill_on_drop(true).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let mut process = spawned.expect("install redis-server: scripts/tools.sh test");
        eventually("the store of counters", || {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {ended:?}");
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        Self { port, process, _home: home }
    }

    /// At once, with all that it has counted.
    pub async fn stop(mut self) {
        self.process.kill().await.unwrap();
        eventually("its end", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err().then_some(())
        })
        .await;
    }

    /// Forgets everything.
    pub async fn forget(&self, password: &str) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let say = format!("AUTH {password}\r\nFLUSHALL\r\nQUIT\r\n");
        stream.write_all(say.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "+OK\r\n+OK\r\n+OK\r\n");
    }
}
