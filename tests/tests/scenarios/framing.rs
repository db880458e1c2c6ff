//! Servers whose answers are HTTP that two readers could take for different things.

use std::sync::{Arc, Mutex};

use tests::text::find_raw;
use tests::{Client, Era, Gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What is said in answer to a call, `ID` standing for its id and `BODY` for a good answer's body.
const SPOILED: &[&str] = &[
    "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: LENGTH\r\ncontent-length: 1\r\n\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: LENGTH, LENGTH\r\n\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: +LENGTH\r\n\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\ntransfer-encoding: xchunked\r\n\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: 9999\r\n\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\nmcp: a\r\n b\r\ncontent-length: LENGTH\r\n\r\nBODY",
    "HTTP/1.1 200 OK\r\nJSON\r\nno colon\r\ncontent-length: LENGTH\r\n\r\nBODY",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\nBODY",
    "HTTP/2.0 200 OK\r\nJSON\r\ncontent-length: LENGTH\r\n\r\nBODY",
    "ICY 200 OK\r\nJSON\r\ncontent-length: LENGTH\r\n\r\nBODY",
    "BODY",
    "",
];

#[tokio::test]
async fn h017_an_answer_of_doubtful_framing_is_a_failure_and_harms_no_other() {
    let server = Server::start().await;
    let gateway = Gateway::dev_in_era(&server.url, "modern").await;
    let mut rows: Vec<String> = SPOILED.iter().map(|it| (*it).to_owned()).collect();
    let good = "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: LENGTH\r\n\r\nBODY";
    rows.push("HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n".repeat(1_000) + good);
    rows.push(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\nBODY", "x".repeat(1 << 20)));
    for client in Client::of_each_era(&gateway).await {
        client.warm_up().await;
        for row in &rows {
            let known = gateway.records().len();
            *server.next.lock().unwrap() = Some(row.clone());
            let answer = client.send(client.tool("echo", r#"{"lost":true}"#)).await;
            let blamed = if client.era == Era::Modern { "502/1502" } else { "200/1502" };
            let shown: String = row.chars().take(120).collect();
            assert_eq!(answer.verdict(), blamed, "{client}: {shown}: {}", answer.text());
            let records = gateway.records_since(known);
            let ends: Vec<_> = records.iter().map(|it| (it.kind, it.end())).collect();
            assert_eq!(ends, [("intent", ""), ("outcome", "upstream")], "{client}: {shown}");
            own_answer(&client, &shown).await;
        }
    }
}

#[tokio::test]
async fn h069_an_answer_that_nobody_has_asked_for_is_nobodys() {
    let server = Server::start().await;
    let gateway = Gateway::dev_in_era(&server.url, "modern").await;
    for client in Client::of_each_era(&gateway).await {
        client.warm_up().await;
        for planted in ["PLANTED", "PLANTEDNEXT"] {
            let good = "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: LENGTH\r\n\r\nBODY";
            let ahead =
                format!("HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: EXTENT\r\n\r\n{planted}");
            *server.next.lock().unwrap() = Some(format!("{good}{ahead}"));
            // This one is answered, or the server is blamed for it; what counts are the next ones.
            let answer = client.send(client.tool("echo", r#"{"lost":true}"#)).await;
            assert!(!answer.text().contains("planted"), "{client}: {}", answer.text());
            for _ in 0..3 {
                own_answer(&client, "an answer ahead").await;
            }
        }
    }
}

/// A call gets its own answer, and not what is left of another's.
async fn own_answer(client: &Client, row: &str) {
    let post = client.tool("echo", "{}");
    let nonce = format!(r#"{{"nonce":{}}}"#, post.id);
    let answer = client.send(client.tool("echo", &nonce)).await;
    assert_eq!(answer.verdict(), "200", "{client}: {row}: {}", answer.text());
    let echo = format!(r#""structuredContent":{nonce}"#);
    assert!(answer.text().contains(&echo), "{client}: {row}: {}", answer.text());
}

/// A modern server that can be told what to say next, byte by byte.
struct Server {
    url: String,
    next: Arc<Mutex<Option<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let next: Arc<Mutex<Option<String>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let spoiled = Arc::clone(&next);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&spoiled)));
            }
        });
        Self { url, next, _tasks: tasks }
    }
}

/// Answers requests until something spoiled has been said, or nobody asks any more.
async fn serve(mut stream: TcpStream, next: Arc<Mutex<Option<String>>>) {
    let mut read = Vec::new();
    while let Some(body) = request(&mut stream, &mut read).await {
        let method = find_raw(&body, &["method"]).unwrap_or_default();
        let spoiled = match method.as_str() {
            r#""tools/call""# => next.lock().unwrap().take(),
            _ => None,
        };
        let is_last = spoiled.as_ref().is_some_and(|it| !it.contains("PLANTED"));
        let text = spoiled.unwrap_or_else(|| {
            "HTTP/1.1 200 OK\r\nJSON\r\ncontent-length: LENGTH\r\n\r\nBODY".to_owned()
        });
        // A gateway that has heard enough listens no more.
        if stream.write_all(filled(&text, &body, &method).as_bytes()).await.is_err() || is_last {
            return;
        }
    }
}

/// The body of the next request.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |it| it.parse().unwrap());
            if length <= rest.len() {
                let whole = head.len() + 4 + length;
                let request: Vec<u8> = read.drain(..whole).collect();
                return Some(String::from_utf8(request[head.len() + 4..].to_vec()).unwrap());
            }
        }
        let mut piece = [0; 4_096];
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => read.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

fn filled(text: &str, request: &str, method: &str) -> String {
    const HINTS: &str = r#""resultType":"complete","ttlMs":60000,"cacheScope":"private""#;

    let id: u64 = find_raw(request, &["id"]).and_then(|it| it.parse().ok()).unwrap_or_default();
    let result = match method {
        r#""server/discover""# => format!(
            r#"{{{HINTS},"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}}}}"#
        ),
        r#""tools/list""# => {
            format!(r#"{{{HINTS},"tools":[{{"name":"echo","inputSchema":{{}}}}]}}"#)
        }
        _ => {
            let arguments = find_raw(request, &["params", "arguments"]).unwrap_or_default();
            let kind = r#""resultType":"complete","content":[]"#;
            format!(r#"{{{kind},"structuredContent":{arguments}}}"#)
        }
    };
    let body =
        |id: u64, result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let planted = r#"{"resultType":"complete","content":[{"type":"text","text":"planted"}]}"#;
    let planted = body(if text.contains("PLANTEDNEXT") { id + 1 } else { id }, planted);
    let body = body(id, &result);
    text.replace("EXTENT", &planted.len().to_string())
        .replace("PLANTEDNEXT", &planted)
        .replace("PLANTED", &planted)
        .replace("LENGTH", &body.len().to_string())
        .replace("JSON", "content-type: application/json")
        .replace("BODY", &body)
}
