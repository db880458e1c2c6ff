//! Servers on standard streams. The process is a wire to a port here, so that what arrives at any of
//! them is seen in one place.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tests::Era;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::scene::SERVERS;
use crate::server::{Server, Voice};

/// Plays a server on a port of its own, until it is dropped.
pub(crate) struct Pipe {
    pub(crate) port: u16,
    _playing: JoinSet<()>,
}

impl Pipe {
    pub(crate) async fn start(server: &Arc<Server>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Arc::clone(server);
        let mut playing = JoinSet::new();
        playing.spawn(async move {
            let mut processes = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                processes.spawn(play(Arc::clone(&server), stream));
            }
        });
        Self { port, _playing: playing }
    }
}

/// One process.
async fn play(server: Arc<Server>, stream: TcpStream) {
    let (reader, mut writer) = stream.into_split();
    let (out, mut said) = mpsc::channel::<String>(1_000);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(line) = said.recv().await {
            if writer.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let (server, out) = (Arc::clone(&server), out.clone());
        if message["method"] == "tools/call" {
            let voice = Voice::Pipe(out);
            tasks.spawn(async move { server.call(&message, None, voice).await });
        } else if let Some(result) = introduction(&server, &message) {
            let said = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            drop(out.send(format!("{said}\n")).await);
        } else if message.get("id").is_some() && message.get("method").is_some() {
            let error = json!({"code": -32601, "message": "no such method"});
            let said = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
            drop(out.send(format!("{said}\n")).await);
        } else if message.get("method").is_none() {
            server.hears(message);
        }
        while tasks.try_join_next().is_some() {}
    }
}

/// What it says of itself.
fn introduction(server: &Server, message: &Value) -> Option<Value> {
    let is_modern = SERVERS[server.number].1 == Era::Modern;
    let capabilities = json!({"tools": {}});
    match message["method"].as_str()? {
        "server/discover" if is_modern => Some(json!({
            "resultType": "complete", "ttlMs": 60_000, "cacheScope": "private",
            "supportedVersions": ["2026-07-28"], "capabilities": capabilities,
        })),
        "initialize" if !is_modern => Some(json!({
            "protocolVersion": message["params"]["protocolVersion"], "capabilities": capabilities,
            "serverInfo": {"name": "a pipe", "version": "1"},
        })),
        "tools/list" => {
            let tools = json!([{"name": "echo", "inputSchema": {"type": "object"}}]);
            Some(if is_modern {
                json!({
                    "resultType": "complete", "ttlMs": 60_000, "cacheScope": "private",
                    "tools": tools,
                })
            } else {
                json!({ "tools": tools })
            })
        }
        _ => None,
    }
}
