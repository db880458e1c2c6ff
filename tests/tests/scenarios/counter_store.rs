//! Replicas that count together in Valkey or Redis.

use std::os::unix::fs::PermissionsExt as _;

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tests::valkey::Valkey;
use tests::wait::within;
use tests::{Client, Documents, Served, Site, Upstream};

const MAIN: &str = "/mcp/default/main/target";

const PASSWORD: &str = "counters-have-a-password";

const USED: &str = "ostiary_counter_store_used";
const FALLBACKS: &str = "ostiary_counter_store_fallbacks_total";

/// What a gateway is configured with to count there.
fn configuration(site: &Site, port: u16) -> String {
    let file = site.home().join("counters-password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    format!("counters = 'redis://127.0.0.1:{port}/1'\ncounters_password_file = '{file}'\n")
}

/// Two processes on one database, which count in one store.
struct Pair {
    sites: [Site; 2],
    upstream: Upstream,
    served: [Served; 2],
    token: String,
}

impl Pair {
    async fn start(port: u16) -> Option<Self> {
        let url = db::testing::postgres_url().await?;
        let sites = [url.clone(), url].map(|it| Site::new(Some(it)));
        let upstream = Upstream::of_both_eras().echoing().start().await;
        let documents = Documents::of_two_people("target", &upstream.url);
        let first = sites[0].start_configured(&documents, &configuration(&sites[0], port)).await;
        let second = sites[1].start_configured(&documents, &configuration(&sites[1], port)).await;
        let token = first.token("bot", "t").await;
        assert_eq!(second.page("/readyz").await, 200);
        Some(Self { sites, upstream, served: [first, second], token })
    }

    fn clients(&self) -> [Client; 2] {
        [0, 1].map(|i| Client::modern_with_token(&self.served[i], MAIN, &self.token))
    }

    async fn limit(&self, name: &str, allowance: Value) {
        let scope = json!({"type": "app"});
        let limit = json!({"name": name, "scope": scope, "unit": "calls", "allowance": allowance});
        self.served[0].must(Method::POST, "limits", Some(limit)).await;
        assert_eq!(self.served[1].page("/readyz").await, 200);
    }

    /// How many of so many calls are let through, of each client in turn, some at once.
    async fn admitted(&self, clients: &[Client; 2], calls: usize) -> usize {
        let mut admitted = 0;
        for begun in (0..calls).step_by(AT_ONCE) {
            let some = begun..calls.min(begun + AT_ONCE);
            let some = some.map(|i| clients[i % 2].send(clients[i % 2].tool("echo", "{}")));
            let statuses: Vec<u16> = join_all(some).await.iter().map(|it| it.status).collect();
            assert!(statuses.iter().all(|it| [200, 429].contains(it)), "{statuses:?}");
            admitted += statuses.iter().filter(|it| **it == 200).count();
        }
        admitted
    }

    fn calls(&self) -> usize {
        self.upstream.seen_of("tools/call").len()
    }

    /// Waits until the first counts there, or does not.
    async fn until(&self, is_used: u64) {
        let looking = async { while self.served[0].metrics().await[USED] != is_used {} };
        within("the store of counters", looking).await;
    }
}

/// Few enough that none waits for long on a busy machine.
const AT_ONCE: usize = 32;

fn monthly(amount: u64) -> Value {
    json!({"type": "quota", "amount": amount, "per": "month"})
}

#[tokio::test]
async fn of_calls_at_once_over_two_processes_exactly_as_many_are_let_through_as_a_limit_allows() {
    let valkey = Valkey::start(PASSWORD).await;
    let Some(pair) = Pair::start(valkey.port).await else { return };
    pair.until(1).await;
    let clients = pair.clients();
    for client in &clients {
        client.warm_up().await;
    }
    pair.limit("few", monthly(100)).await;
    assert_eq!(pair.admitted(&clients, 160).await, 100);
    let rate = json!({"type": "rate", "amount": 1, "per": "day", "burst": 70});
    pair.limit("slow", rate).await;
    pair.served[0].must(Method::DELETE, "limits/few", None).await;
    assert_eq!(pair.served[1].page("/readyz").await, 200);
    assert_eq!(pair.admitted(&clients, 160).await, 70);
    assert_eq!(pair.calls(), 170);
    let metrics = pair.served[0].metrics().await;
    assert_eq!((metrics[USED], metrics[FALLBACKS]), (1, 0));
    // Who has used how much stands in the database within a second.
    let looking = async {
        loop {
            let usage = pair.served[0].must(Method::GET, "limits/slow/usage", None).await;
            if usage["items"][0]["used"] == 70 {
                return;
            }
        }
    };
    within("what is used", looking).await;
}

/// H179: it forgets everything, it is away, it comes back with nothing.
#[tokio::test]
async fn h179_a_quota_holds_when_the_store_forgets_goes_away_and_comes_back() {
    let valkey = Valkey::start(PASSWORD).await;
    let port = valkey.port;
    let Some(pair) = Pair::start(port).await else { return };
    pair.until(1).await;
    pair.limit("few", monthly(60)).await;
    let clients = pair.clients();
    for client in &clients {
        client.warm_up().await;
    }
    assert_eq!(pair.admitted(&clients, 20).await, 20);
    valkey.forget(PASSWORD).await;
    assert_eq!(pair.admitted(&clients, 10).await, 10);
    valkey.stop().await;
    assert_eq!(pair.admitted(&clients, 10).await, 10);
    pair.until(0).await;
    assert!(pair.served[0].metrics().await[FALLBACKS] > 0);
    let valkey = Valkey::start_at(port, PASSWORD).await;
    // The other one goes on without it for a while.
    pair.until(1).await;
    let mut admitted = 40;
    for _ in 0..4 {
        admitted += pair.admitted(&clients, 20).await;
    }
    assert_eq!((admitted, pair.calls()), (60, 60));
    valkey.stop().await;
}

/// H179: the same while calls are under way, of which some are charged where nobody knows of it.
#[tokio::test]
async fn h179_a_quota_holds_for_calls_that_are_under_way_while_the_store_goes() {
    let valkey = Valkey::start(PASSWORD).await;
    let port = valkey.port;
    let Some(pair) = Pair::start(port).await else { return };
    pair.until(1).await;
    pair.limit("many", monthly(400)).await;
    let clients = pair.clients();
    for client in &clients {
        client.warm_up().await;
    }
    let mut admitted = tokio::join!(pair.admitted(&clients, 60), valkey.forget(PASSWORD)).0;
    admitted += tokio::join!(pair.admitted(&clients, 60), valkey.stop()).0;
    assert_eq!(admitted, 120);
    let (more, valkey) =
        tokio::join!(pair.admitted(&clients, 60), Valkey::start_at(port, PASSWORD));
    admitted += more;
    pair.until(1).await;
    loop {
        match pair.admitted(&clients, 40).await {
            0 => break,
            more => admitted += more,
        }
    }
    // What is lost are units that calls under way had, and those that were kept there.
    assert!((300..=400).contains(&admitted), "{admitted}");
    assert_eq!(admitted, pair.calls());
    valkey.stop().await;
}

/// Over TLS with a certificate that is told to be trusted, and not over TLS with any other.
#[tokio::test]
async fn a_store_is_reached_over_tls_by_its_certificate() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let made = || rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (own, other) = (made(), made());
    let certificate = write("certificate.pem", &own.cert.pem());
    let key = write("key.pem", &own.signing_key.serialize_pem());
    let other = write("other.pem", &other.cert.pem());
    let valkey = Valkey::start_secured(PASSWORD, (&certificate, &key)).await;
    for (trusted, is_used) in [(&certificate, 1), (&other, 0)] {
        let site = Site::new(None);
        let plain = configuration(&site, valkey.port).replace("redis:", "rediss:");
        let configured = format!("{plain}counters_ca_file = '{}'\n", trusted.display());
        let served = site.start_configured("", &configured).await;
        assert_eq!(served.metrics().await[USED], is_used, "{}", site.words());
    }
    let site = Site::new(None);
    let served = site.start_configured("", &configuration(&site, valkey.port)).await;
    assert_eq!(served.metrics().await[USED], 0, "without TLS");
}

/// A gateway that cannot reach it starts nevertheless, says so, and counts as without it.
#[tokio::test]
async fn h179_a_store_that_is_not_there_keeps_no_gateway_from_starting() {
    let Some(pair) = Pair::start(9).await else { return };
    pair.limit("few", monthly(5)).await;
    let clients = pair.clients();
    for client in &clients {
        client.warm_up().await;
    }
    let mut admitted = 0;
    while admitted < 5 {
        admitted += pair.admitted(&clients, 8).await;
    }
    assert_eq!((admitted, pair.calls()), (5, 5));
    assert_eq!(pair.served[0].metrics().await[USED], 0);
    let words = pair.sites[0].words();
    assert!(words.contains("The store of counters is away"), "{words}");
    assert!(!words.contains(PASSWORD));
}
