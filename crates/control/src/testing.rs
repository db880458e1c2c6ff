//! Set-up for the tests of all slices: a control plane on each database, asked as clients ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audit::{Log, Options, Signer};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use chrono::{DateTime, TimeZone as _, Utc};
use db::testing::Fresh;
use domain::ports::{Answer, Listed, Offers, TestCalls, Traffic};
use domain::{
    Answered, Clock, DefinitionHash, Described, IdentityId, NotCalled, PinKey, PinKind, Server,
    Snapshot, TestCall, Tested,
};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;
use vault::{MasterKey, Vault};

use crate::{Control, ControlOptions};

/// A control plane with an administrator.
pub(crate) struct Api {
    pub(crate) control: Control,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) traffic: Arc<TestTraffic>,
    pub(crate) log: Log,
    pub(crate) fresh: Fresh,
    pub(crate) token: String,
    router: axum::Router,
    /// Of the log, and of what is kept beside it.
    pub(crate) folder: tempfile::TempDir,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Counts ids up from one and moves only when it is told to.
#[derive(Default)]
pub(crate) struct TestClock {
    ids: AtomicU64,
    passed_ms: AtomicU64,
}

/// Remembers what it was told to settle by. Each time one call ends.
#[derive(Default)]
pub(crate) struct TestTraffic {
    pub(crate) settled: Mutex<Vec<Arc<Snapshot>>>,
}

/// A server that lists one tool.
pub(crate) struct Lists;

/// Answers calls in the place of apps with what they were.
pub(crate) struct Told;

impl Api {
    pub(crate) async fn on_each_database() -> Vec<Self> {
        let mut all = Vec::new();
        for fresh in db::testing::databases().await {
            all.push(Self::on(fresh).await);
        }
        all
    }

    pub(crate) async fn on_sqlite() -> Self {
        Self::on(db::testing::sqlite().await).await
    }

    pub(crate) async fn on(fresh: Fresh) -> Self {
        let clock = Arc::<TestClock>::default();
        let folder = log_folder();
        let log = Log::open(
            Options::new(folder.path().join("log")),
            Signer::from_seed("test", &[7; 32]),
            Arc::<TestClock>::clone(&clock),
        )
        .unwrap();
        let control = Control::open(options(&fresh, &clock, &log)).await.unwrap();
        let kept = audit::ContentOptions::new(folder.path().join("content"));
        let clock_ = Arc::<TestClock>::clone(&clock);
        let content = audit::ContentStore::open(kept, control.data_keys(), clock_).unwrap();
        control.set_content(Arc::new(content)).await;
        let traffic = Arc::<TestTraffic>::default();
        control.set_traffic(Arc::<TestTraffic>::clone(&traffic));
        let token = control.first_admin_token().unwrap().expose_text().unwrap().to_owned();
        let router = control.router();
        Self { control, clock, traffic, log, fresh, token, router, folder }
    }

    /// What is in the published configuration now.
    pub(crate) async fn snapshot(&self) -> Arc<Snapshot> {
        self.control.gate().current().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str) -> Reply {
        self.ask(Method::PUT, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, None).await
    }

    /// Asks as the administrator; paths that do not begin with `/` are in the workspace `default`.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.ask_as(&self.token, method, path, body).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Reply { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// What is answered to a request of which no end is waited for.
    pub(crate) async fn status(&self, request: Request<Body>) -> StatusCode {
        self.router.clone().oneshot(request).await.unwrap().status()
    }

    /// Asks as whoever has this token.
    pub(crate) async fn ask_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(address(path))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |it| Body::from(it.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    /// A new user with these roles, each on something; gives a token of theirs.
    pub(crate) async fn given_admin(&self, user: &str, roles: &[(&str, &str)]) -> String {
        self.given_admin_in("default", user, roles).await
    }

    pub(crate) async fn given_admin_in(
        &self,
        workspace: &str,
        user: &str,
        roles: &[(&str, &str)],
    ) -> String {
        let here = format!("/workspaces/{workspace}");
        self.given(&format!("{here}/users"), json!({ "name": user })).await;
        for (i, (role, on)) in roles.iter().enumerate() {
            let name = format!("{user}-{i}");
            let grant = json!({"name": name, "role": role, "user": user, "on": on});
            self.given(&format!("{here}/role-grants"), grant).await;
        }
        let path = format!("{here}/users/{user}/admin-tokens");
        let made = self.given(&path, json!({"name": "cli"})).await;
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Makes something that a test takes for granted.
    pub(crate) async fn given(&self, path: &str, body: Value) -> Value {
        let reply = self.post(path, body.clone()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{path} {body}: {}", reply.text);
        reply.json()
    }

    /// The names in a list, read in pages of so many.
    pub(crate) async fn pages(&self, token: &str, list: &str, limit: usize) -> Vec<String> {
        let mut names = Vec::new();
        let mut path = format!("{list}?limit={limit}");
        loop {
            let page = self.ask_as(token, Method::GET, &path, None).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            names.extend(items.iter().map(|it| it["name"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("{list}?limit={limit}&cursor={cursor}"),
                None => return names,
            }
        }
    }

    /// Five calls a day, for everybody together: the limit `few`.
    pub(crate) async fn given_a_limit(&self) {
        let allowance = json!({"type": "quota", "amount": 5, "per": "day"});
        let scope = json!({"type": "workspace"});
        let limit = json!({"name": "few", "scope": scope, "unit": "calls", "allowance": allowance});
        self.given("limits", limit).await;
    }

    /// One that refuses nothing that is called: the policy `hours`.
    pub(crate) async fn given_a_policy(&self) {
        let text = "forbid(principal, action, resource) when { context.hour > 23 };";
        self.given("policies", json!({"name": "hours", "text": text})).await;
    }

    /// Ann, in the team `dev`, owns the app `bot`, which is connected to the gateway `main`,
    /// which has the server `jira`, with the identity `ann-jira` of her own.
    pub(crate) async fn given_a_chain(&self) {
        self.given("users", json!({"name": "ann"})).await;
        self.given("teams", json!({"name": "dev", "members": ["ann"]})).await;
        let transport = json!({"type": "http", "url": "https://jira.example/mcp"});
        self.given("servers", json!({"name": "jira", "transport": transport})).await;
        let headers = json!({"Authorization": "Bearer hunter2"});
        let identity =
            json!({"name": "ann-jira", "server": "jira", "owner": "ann", "headers": headers});
        self.given("identities", identity).await;
        self.given("gateways", json!({"name": "main", "teams": ["dev"]})).await;
        let assignment = json!({"server": "jira", "scheme": "own"});
        self.given("gateways/main/assignments", assignment).await;
        let app = json!({"name": "bot", "owner": "ann", "purpose": "triage"});
        self.given("apps", app).await;
        let connection = json!({"gateway": "main", "identities": ["ann-jira"]});
        self.given("apps/bot/connections", connection).await;
    }
}

/// The id of the pin that a test is given.
pub(crate) const PIN: &str = "00000000-0000-7000-8000-000000000001";

impl Api {
    /// The server `jira` of [`Api::given_a_chain`] has listed something that waits.
    pub(crate) async fn given_a_pin(&self) {
        let insert = db::sql(
            "INSERT INTO pins (workspace_id, id, server_id, kind, name, hash, definition, bytes,
                               marks, state, first_seen, last_seen)
             SELECT workspace_id, $1, id, 'tool', 'search', $2, '{}', 2, '', 'pending', $3, $3
             FROM servers WHERE name = 'jira'",
        );
        let mut tx = self.fresh.db.begin().await.unwrap();
        let insert = insert.bind(PIN.parse::<Uuid>().unwrap()).bind(vec![7_u8; 32]);
        tx.execute(insert.bind(self.clock.now())).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// What a control plane on a database is made of.
pub(crate) fn options(fresh: &Fresh, clock: &Arc<TestClock>, log: &Log) -> ControlOptions {
    ControlOptions {
        db: fresh.db.clone(),
        vault: Arc::new(vault()),
        log: log.clone(),
        clock: Arc::<TestClock>::clone(clock),
        counters: None,
        allow_loopback: true,
        is_secure: false,
        serving: None,
    }
}

/// The same vault each time.
pub(crate) fn vault() -> Vault {
    let key = "yLk0fX0eQe3v2jA6mF1nC9uTqWzR4sVbPdGhJ7xK5oY=";
    Vault::new(MasterKey::from_base64(key).unwrap(), 1)
}

fn log_folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

fn address(path: &str) -> String {
    if path.starts_with('/') {
        format!("/api/v1{path}")
    } else {
        format!("/api/v1/workspaces/default/{path}")
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {:?}", self.text))
    }

    /// The status and the problem's code.
    pub(crate) fn problem(&self) -> (u16, String) {
        let body = self.json();
        (self.status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap();
        self.passed_ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn passed(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap() + self.passed()
    }

    fn elapsed(&self) -> Duration {
        self.passed()
    }

    fn id(&self) -> Uuid {
        let n = 1 + self.ids.fetch_add(1, Ordering::SeqCst);
        Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(n))
    }
}

impl audit::Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// Stands still: a write under way must not look stuck because a test moves the day on.
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

impl Traffic for TestTraffic {
    fn settle(&self, snapshot: Arc<Snapshot>) -> Answer<'_, usize> {
        self.settled.lock().push(snapshot);
        Box::pin(std::future::ready(1))
    }

    fn renew(&self, _: Duration) {}
}

impl Offers for Lists {
    fn tool(&self, _server: &Server, _identity: Option<IdentityId>, name: &str) -> Listed {
        if name != "search" {
            return Listed::Missing;
        }
        let pin = PinKey { kind: PinKind::Tool, hash: DefinitionHash([7; 32]) };
        let described = Described { name: name.into(), ..Described::default() };
        Listed::As { pin, described }
    }
}

impl TestCalls for Told {
    fn call(&self, test: TestCall) -> Answer<'_, Result<Tested, NotCalled>> {
        let TestCall { workspace, gateway, app, arguments, .. } = test;
        let (workspace, gateway, app) = (workspace.0, gateway.0, app.0);
        let result = json!({ "of": [workspace, gateway, app], "told": arguments });
        let answer = Answered::Result(result.to_string());
        Box::pin(std::future::ready(Ok(Tested { tool: None, answer })))
    }
}
