//! Where connections may go, and to whom.
#![expect(clippy::unwrap_used, unreachable_pub, dead_code, reason = "shared with other tests")]

mod wire_peer;

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxy::wire::{
    Fault, Guard, HttpWire, Lookup, Resolve, Wait, WireError, WireLimits, client_config,
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use wire_peer::{Peer, answer, development, fetch, tls};

/// Answers each lookup with the next of its lists, the last one for ever.
struct Fickle {
    answers: Vec<Vec<IpAddr>>,
    lookups: AtomicUsize,
}

impl Fickle {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|it| it.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        Arc::new(Self { answers, lookups: AtomicUsize::new(0) })
    }
}

impl Resolve for Fickle {
    fn lookup<'a>(&'a self, _host: &'a str) -> Lookup<'a> {
        let turn = self.lookups.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(turn).or(self.answers.last()).cloned();
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

fn wire_with(guard: Guard, resolver: Arc<dyn Resolve>) -> HttpWire {
    HttpWire::with_resolver(guard, tls(), WireLimits::default(), resolver)
}

#[tokio::test]
async fn h103_h104_h105_a_name_that_leads_to_a_special_address_is_blocked() {
    for address in [
        "127.0.0.1",
        "0.0.0.0",
        "::",
        "::1",
        "10.0.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::1",
        "fe80::1",
        "224.0.0.1",
    ] {
        let guard = Guard::default();
        let endpoint = guard.parse_url("https://mcp.example.com/").unwrap();
        let wire = wire_with(guard, Fickle::new(&[&[address]]));
        let error = wire.checkout(&endpoint).await.err().unwrap();
        let WireError::Blocked { address: blocked, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*blocked, address.parse::<IpAddr>().unwrap());
        assert_eq!((error.fault(), error.may_retry()), (Fault::Registration, false));
    }
}

#[tokio::test]
async fn h103_localhost_is_blocked_by_its_address_not_by_its_name() {
    let endpoint = Guard::default().parse_url("https://localhost/").unwrap();
    let wire = HttpWire::new(Guard::default(), tls(), WireLimits::default());
    let error = wire.checkout(&endpoint).await.err().unwrap();
    assert!(matches!(error, WireError::Blocked { rule: "a loopback address", .. }), "{error:?}");
}

#[tokio::test]
async fn h106_a_name_is_resolved_once_for_the_check_and_the_connection() {
    let peer = Peer::saying(answer("200 OK", "x"));
    let endpoint =
        development().parse_url(&format!("http://localhost:{}/", peer.address.port())).unwrap();
    let resolver = Fickle::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let wire = wire_with(development(), Arc::clone(&resolver) as Arc<dyn Resolve>);
    assert_eq!(fetch(&wire, &endpoint).await.unwrap(), "x");
    assert_eq!(resolver.lookups.load(Ordering::SeqCst), 1);
    wire.close_idle();
    let rebound = fetch(&wire, &endpoint).await.unwrap_err();
    assert!(matches!(rebound, WireError::Blocked { rule: "a private address", .. }), "{rebound:?}");
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn h106_of_several_addresses_only_those_that_pass_are_connected_to() {
    let peer = Peer::saying(answer("200 OK", "x"));
    let url = format!("http://localhost:{}/", peer.address.port());
    let endpoint = development().parse_url(&url).unwrap();
    let mixed = &["169.254.169.254", "10.0.0.1", "127.0.0.1"];
    let wire = wire_with(development(), Fickle::new(&[mixed]));
    assert_eq!(fetch(&wire, &endpoint).await.unwrap(), "x");
}

#[tokio::test]
async fn plain_http_never_leaves_the_machine_whatever_a_name_leads_to() {
    let guard = Guard { allow_loopback: true, allowed: vec!["10.0.0.0/8".parse().unwrap()] };
    for address in ["10.0.0.1", "8.8.8.8"] {
        let endpoint = guard.parse_url("http://localhost/").unwrap();
        let wire = wire_with(guard.clone(), Fickle::new(&[&[address]]));
        let error = wire.checkout(&endpoint).await.err().unwrap();
        assert!(matches!(error, WireError::Blocked { .. }), "{address}: {error:?}");
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error_of_its_own() {
    let endpoint = Guard::default().parse_url("https://mcp.example.com/").unwrap();
    let wire = wire_with(Guard::default(), Fickle::new(&[&[]]));
    let error = wire.checkout(&endpoint).await.err().unwrap();
    assert!(matches!(error, WireError::Dns { .. }), "{error:?}");
}

struct Stuck;

impl Resolve for Stuck {
    fn lookup<'a>(&'a self, _host: &'a str) -> Lookup<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_ends_in_time_whatever_it_waits_for() {
    let limit = WireLimits::default().connect;
    let endpoint = Guard::default().parse_url("https://mcp.example.com/").unwrap();
    let error = wire_with(Guard::default(), Arc::new(Stuck)).checkout(&endpoint).await;
    assert_eq!(error.err(), Some(WireError::Timeout { what: Wait::Connect, limit }));
    // Accepts, and never says a word of TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let wire = HttpWire::new(development(), tls(), WireLimits::default());
    let error = wire.checkout(&development().parse_url(&url).unwrap()).await;
    assert_eq!(error.err(), Some(WireError::Timeout { what: Wait::Connect, limit }));
}

/// Whoever signs for `mcp.test`.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certify(&self, edit: impl Fn(&mut CertificateParams)) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names = ["mcp.test".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        edit(&mut params);
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// Trusts this authority, and finds every name on loopback.
    fn wire(&self) -> HttpWire {
        let roots: [CertificateDer<'static>; 1] = [self.0.der().clone()];
        let config = Arc::new(client_config(&roots).unwrap());
        let limits = WireLimits { connect: Duration::from_secs(20), ..WireLimits::default() };
        HttpWire::with_resolver(development(), config, limits, Fickle::new(&[&["127.0.0.1"]]))
    }
}

/// Speaks TLS with this certificate and HTTP inside.
fn tls_peer(
    (certificate, key): (Certificate, KeyPair),
    versions: &'static [&'static rustls::SupportedProtocolVersion],
) -> Peer {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    Peer::start(move |connection| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, &mut connection.stream);
        let (mut request, mut byte) = (Vec::new(), [0]);
        while let Ok(1) = stream.read(&mut byte) {
            request.push(byte[0]);
            if request.ends_with(b"\r\n\r\n{}") {
                request.clear();
                let said = stream.write_all(answer("200 OK", "sealed").as_bytes());
                if said.and_then(|()| stream.flush()).is_err() {
                    return;
                }
            }
        }
    })
}

async fn fetch_tls(wire: &HttpWire, host: &str, peer: &Peer) -> Result<bytes::Bytes, WireError> {
    let url = format!("https://{host}:{}/", peer.address.port());
    fetch(wire, &development().parse_url(&url).unwrap()).await
}

const NEW: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
const OLD: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

#[tokio::test]
async fn an_upstream_that_proves_its_name_is_spoken_to_over_tls() {
    let authority = Authority::new();
    for versions in [NEW, OLD] {
        let peer = tls_peer(authority.certify(|_| {}), versions);
        let wire = authority.wire();
        for host in ["mcp.test", "mcp.test", "127.0.0.1"] {
            assert_eq!(fetch_tls(&wire, host, &peer).await.unwrap(), "sealed", "{host}");
        }
        assert_eq!(peer.connections(), 2, "one for each origin");
    }
}

#[tokio::test]
async fn h113_an_upstream_that_cannot_prove_its_name_is_refused_and_told_apart() {
    let authority = Authority::new();
    let wire = authority.wire();
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["mcp.test".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap(), key)
    };
    for (certificate, reason) in [
        (
            authority.certify(|params| params.not_after = date_time_ymd(2001, 1, 1)),
            "its certificate has expired",
        ),
        (
            authority.certify(|params| params.not_before = date_time_ymd(4000, 1, 1)),
            "its certificate is not valid yet",
        ),
        (
            authority.certify(|params| {
                *params = CertificateParams::new(["other.test".to_owned()]).unwrap();
            }),
            "its certificate is for another name",
        ),
        (
            Authority::new().certify(|_| {}),
            "its certificate is not signed by an authority that is trusted here",
        ),
        (self_signed, "its certificate is not signed by an authority that is trusted here"),
    ] {
        let peer = tls_peer(certificate, rustls::ALL_VERSIONS);
        let error = fetch_tls(&wire, "mcp.test", &peer).await.unwrap_err();
        assert_eq!(error, WireError::Tls { reason: reason.to_owned() });
        assert_eq!((error.code(), error.may_retry()), ("upstream_tls", false));
    }
}

#[tokio::test]
async fn h113_old_tls_and_what_is_no_tls_are_refused_without_a_fallback() {
    /// What a server says that knows no TLS above 1.0.
    const PROTOCOL_VERSION: &[u8] = &[21, 3, 1, 0, 2, 2, 70];
    let wire = Authority::new().wire();
    for (said, reason) in [
        (PROTOCOL_VERSION, "it offers no TLS version and cipher that are accepted here"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak TLS"),
    ] {
        let peer = Peer::start(move |connection| {
            let mut hello = [0; 8192];
            assert!(connection.stream.read(&mut hello).unwrap() > 0);
            connection.say(said);
            connection.is_closed();
        });
        let error = fetch_tls(&wire, "mcp.test", &peer).await.unwrap_err();
        assert_eq!(error, WireError::Tls { reason: reason.to_owned() });
        assert_eq!(peer.connections(), 1, "{reason}");
    }
    let silent = Peer::start(|_| {});
    let error = fetch_tls(&wire, "mcp.test", &silent).await.unwrap_err();
    assert!(matches!(error, WireError::Tls { .. }), "{error:?}");
}
