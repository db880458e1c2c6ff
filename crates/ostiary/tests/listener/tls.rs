//! TLS: what is spoken over it, and its certificate's life.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ostiary::listener::{ListenError, Settings, TlsFiles, bind};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::door::{self, Door, PATIENCE, answer, eventually, hear};

/// A listener with TLS, and whom to trust to reach it.
pub(crate) struct Lock {
    pub(crate) door: Door,
    files: TlsFiles,
    trusted: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

impl Lock {
    pub(crate) async fn open(edit: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
        };
        let trusted = write_pair(&files);
        let tls = files.clone();
        let door = door::open(|settings| {
            settings.tls = Some(tls);
            settings.limits.certificate_check = Duration::from_millis(5);
            edit(settings);
        })
        .await;
        Self { door, files, trusted, _folder: folder }
    }

    pub(crate) async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        let config = Arc::new(trusting(&self.trusted, protocol));
        self.connect_with(&config).await.unwrap()
    }

    async fn connect_with(
        &self,
        config: &Arc<ClientConfig>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.door.connect().await;
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }
}

#[tokio::test]
async fn http1_is_spoken_over_tls_as_strictly() {
    let lock = Lock::open(|_| {}).await;
    let mut stream = lock.connect("http/1.1").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
    assert!(answer(&mut stream).await.ends_with("POST /1 2"));
    stream.write_all(b"GET /2 HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(hear(&mut stream).await.starts_with("HTTP/1.1 400 "));

    let mut big = lock.connect("http/1.1").await;
    big.write_all(b"GET /big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(hear(&mut big).await.len() > door::BIG);
    lock.door.end().await;
}

#[tokio::test]
async fn http2_is_spoken_where_both_want_it() {
    let lock = Lock::open(|_| {}).await;
    let mut peer = Peer::new(lock.connect("h2").await).await;
    let request = |method: Method, target: &str| {
        Request::builder().method(method).uri(format!("https://localhost{target}"))
    };
    let plain = request(Method::POST, "/1").body("hello").unwrap();
    assert_eq!(peer.ask(plain).await, (StatusCode::OK, "POST /1 5".into()));

    let with = |name: &str, value: &str| request(Method::GET, "/x").header(name, value);
    let many = (0..101)
        .fold(request(Method::GET, "/x"), |request, n| request.header(format!("x-{n}"), "y"));
    let cases = [
        (with("mcp_name", "a"), StatusCode::BAD_REQUEST),
        (with("host", "other"), StatusCode::BAD_REQUEST),
        (request(Method::TRACE, "/x"), StatusCode::METHOD_NOT_ALLOWED),
        (request(Method::from_bytes(b"BREW").unwrap(), "/x"), StatusCode::METHOD_NOT_ALLOWED),
        (with("x", &"y".repeat(40 << 10)), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (many, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (request(Method::GET, "/panic"), StatusCode::INTERNAL_SERVER_ERROR),
        (with("host", "LOCALHOST"), StatusCode::OK),
    ];
    for (request, status) in cases {
        let request = request.body("").unwrap();
        let words = format!("{request:.300?}");
        assert_eq!(peer.ask(request).await.0, status, "{words}");
    }
    assert_eq!(lock.door.targets(), ["/1", "/x"]);
    let big = request(Method::GET, "/big").body("").unwrap();
    assert_eq!(peer.ask(big).await.1.len(), door::BIG);
    lock.door.end().await;
}

#[tokio::test]
async fn a_stop_lets_http2_streams_finish() {
    let lock = Lock::open(|_| {}).await;
    let mut peer = Peer::new(lock.connect("h2").await).await;
    let request = Request::post("https://localhost/1").body("x").unwrap();
    assert_eq!(peer.ask(request).await.0, StatusCode::OK);
    lock.door.end().await;
}

#[tokio::test]
async fn a_quiet_http2_connection_is_closed() {
    let short = Duration::from_secs(1);
    let lock = Lock::open(|settings| settings.limits.idle_timeout = short).await;
    let mut peer = Peer::new(lock.connect("h2").await).await;
    let request = Request::get("https://localhost/1").body("").unwrap();
    assert_eq!(peer.ask(request).await.0, StatusCode::OK);
    let ended = tokio::time::timeout(PATIENCE, peer.driving.join_next()).await;
    assert!(ended.is_ok(), "the connection is closed");
    lock.door.end().await;
}

#[tokio::test]
async fn who_greets_and_says_nothing_is_closed() {
    let short = Duration::from_secs(1);
    let lock = Lock::open(|settings| settings.limits.header_timeout = short).await;
    let mut silent = lock.connect("h2").await;
    hear(&mut silent).await;
    let mut silent = lock.connect("http/1.1").await;
    assert_eq!(hear(&mut silent).await, "");
    lock.door.end().await;
}

#[tokio::test]
async fn tls_before_1_2_is_refused() {
    let lock = Lock::open(|_| {}).await;
    // TLS 1.1, with a suite and a signature that it had, and nothing else.
    let mut hello = vec![0x16, 3, 1, 0, 55, 1, 0, 0, 51, 3, 2];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xc0, 0x14, 1, 0]);
    hello.extend_from_slice(&[0, 8, 0, 13, 0, 4, 0, 2, 4, 1]);
    let mut stream = lock.door.connect().await;
    stream.write_all(&hello).await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.ok();
    // A fatal alert, `protocol_version`.
    assert_eq!((heard.first(), heard.get(5..7)), (Some(&0x15), Some(&[2, 70][..])));
    lock.door.end().await;
}

#[tokio::test]
async fn plain_words_on_a_tls_port_reach_nobody() {
    let lock = Lock::open(|_| {}).await;
    let heard = lock.door.talk("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!heard.contains("HTTP/"), "{heard}");
    assert_eq!(lock.door.targets(), [""; 0]);
    lock.door.end().await;
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_ended_and_holds_up_nobody() {
    let short = Duration::from_secs(2);
    let lock = Lock::open(|settings| {
        settings.workers = 1;
        settings.limits.handshake_timeout = short;
    })
    .await;
    let mut stuck = lock.door.connect().await;
    stuck.write_all(&[0x16, 3, 1, 2]).await.unwrap();
    let mut other = lock.connect("http/1.1").await;
    other.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut other).await.ends_with("GET /1 0"));
    assert_eq!(hear(&mut stuck).await, "");
    lock.door.end().await;
}

#[tokio::test]
async fn h031_nothing_may_be_said_before_the_handshake_has_ended() {
    let lock = Lock::open(|_| {}).await;
    let mut config = trusting(&lock.trusted, "http/1.1");
    config.enable_early_data = true;
    let config = Arc::new(config);
    for round in 1..=3 {
        let mut stream = lock.connect_with(&config).await.unwrap();
        // With a ticket that allowed it, the handshake would have offered early data.
        stream.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(hear(&mut stream).await.ends_with("GET /1 0"));
        let session = stream.get_ref().1;
        assert!(!session.is_early_data_accepted(), "round {round}");
        let kind = session.handshake_kind();
        assert_eq!(kind == Some(rustls::HandshakeKind::Resumed), round > 1, "{kind:?}");
    }
    lock.door.end().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_over_and_a_broken_one_is_not() {
    let mut lock = Lock::open(|_| {}).await;
    let mut old = lock.connect("http/1.1").await;

    let new = write_pair(&lock.files);
    let config = Arc::new(trusting(&new, "http/1.1"));
    let taken_over = async {
        while lock.connect_with(&config).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_over).await.expect("the new certificate is used");
    lock.trusted = new;
    old.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut old).await.ends_with("GET /1 0"));

    // Another key than the certificate's; half a certificate; nothing at all.
    let other = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let half = |path: &Path| {
        let whole = std::fs::read(path).unwrap();
        std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
    };
    std::fs::write(&lock.files.key, other.signing_key.serialize_pem()).unwrap();
    still_greets(&lock).await;
    half(&lock.files.certificate);
    still_greets(&lock).await;
    std::fs::remove_file(&lock.files.certificate).unwrap();
    still_greets(&lock).await;

    let repaired = write_pair(&lock.files);
    let config = Arc::new(trusting(&repaired, "http/1.1"));
    let taken_over = async {
        while lock.connect_with(&config).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_over).await.expect("the repaired pair is used");
    lock.door.end().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_keeps_the_door_shut() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("certificate.pem"),
        key: folder.path().join("key.pem"),
    };
    let mut settings = Settings::new(([127, 0, 0, 1], 0).into());
    settings.tls = Some(files.clone());
    let missing = bind(settings.clone()).await.err().unwrap();
    assert!(missing.to_string().contains("certificate.pem"), "{missing}");
    std::fs::write(&files.certificate, "nothing").unwrap();
    let empty = bind(settings.clone()).await.err().unwrap();
    assert!(empty.to_string().contains("it holds no certificate"), "{empty}");
    write_pair(&files);
    std::fs::write(&files.key, "nothing").unwrap();
    let keyless = bind(settings).await.err().unwrap();
    assert!(matches!(&keyless, ListenError::Tls { path, .. } if *path == files.key), "{keyless}");
}

#[tokio::test]
async fn the_bridge_speaks_to_those_alone_whom_the_system_trusts() {
    let (lock, other) = (Lock::open(|_| {}).await, Lock::open(|_| {}).await);
    let url = format!("https://localhost:{}/mcp/a/b", lock.door.address.port());
    for (trusted, target, says) in [
        (&other.files.certificate, None, "invalid peer certificate"),
        (&lock.files.certificate, Some("/mcp/a/b"), "without the answer"),
    ] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ostiary"));
        command.args(["bridge", &url]).env("OSTIARY_TOKEN", "t").env("SSL_CERT_FILE", trusted);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut bridge = command.spawn().unwrap();
        let line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n";
        bridge.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
        let output = tokio::time::timeout(PATIENCE, bridge.wait_with_output()).await;
        let output = output.expect("its end").unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(says), "{said}");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(lock.door.targets().first().map(String::as_str), target);
    }
    lock.door.end().await;
    other.door.end().await;
}

/// Some rounds of looking at the files later, the certificate is still the one that is trusted.
async fn still_greets(lock: &Lock) {
    let mut rounds = 0;
    eventually("some time has passed", || {
        rounds += 1;
        rounds > 10
    })
    .await;
    lock.connect("http/1.1").await;
}

fn write_pair(files: &TlsFiles) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn trusting(certificate: &CertificateDer<'static>, protocol: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}

/// A well-behaved client of HTTP/2.
struct Peer {
    sender: http2::SendRequest<Full<Bytes>>,
    driving: JoinSet<hyper::Result<()>>,
}

impl Peer {
    async fn new(stream: TlsStream<TcpStream>) -> Self {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        Self { sender, driving }
    }

    async fn ask(&mut self, request: Request<&'static str>) -> (StatusCode, String) {
        let request = request.map(|body| Full::new(Bytes::from_static(body.as_bytes())));
        let response = tokio::time::timeout(PATIENCE, self.sender.send_request(request)).await;
        let response = response.expect("an answer").unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}
