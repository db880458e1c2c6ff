//! Two workspaces that are full of everything.
//!
//! What is in one is in the other by the same name, and once more by a name that only it has. Each
//! text of a workspace holds its word, so that it is known wherever it turns up.

use std::collections::BTreeMap;
use std::sync::Arc;

use audit::{Durability, Entry, Kind, Leaf};
use axum::http::{Method, Request, header};
use domain::ports::{Answer, Previews};
use domain::{AppId, Clock as _, GatewayId, NoPreview, Preview, Previewed, Shown, WorkspaceId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::samples::{self, Sample, Section};
use crate::testing::{Api, Told};

/// A control plane with the two.
pub(super) struct World {
    pub(super) api: Api,
    pub(super) ours: Tenant,
    pub(super) theirs: Tenant,
}

/// A workspace, and who is in it.
pub(super) struct Tenant {
    pub(super) name: &'static str,
    pub(super) id: Uuid,
    /// In each of its texts.
    pub(super) word: &'static str,
    /// What other workspaces have by the same names, by its kind.
    pub(super) usual: BTreeMap<&'static str, Known>,
    /// What has a name of its own.
    pub(super) own: BTreeMap<&'static str, Known>,
    /// Of somebody who may do everything in it.
    pub(super) admin: String,
    /// Of somebody who may do everything with one gateway, one server and one team.
    pub(super) narrow: String,
    /// Of somebody who holds no role, but is in a team and owns an app.
    pub(super) member: String,
    /// Of an app.
    pub(super) app: String,
}

/// How a thing is named.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) id: String,
}

/// What things are called, and where they are shown; what is below something, below the thing of
/// that name.
const THINGS: &[(&str, &str, &str)] = &[
    ("app", "bot", "apps/{app}"),
    ("assignment", "jira", "gateways/{gateway}/assignments/{assignment}"),
    ("callers", "callers", "policies/{callers}"),
    ("connection", "main", "apps/{app}/connections/{connection}"),
    ("gateway", "main", "gateways/{gateway}"),
    ("grant", "given", "role-grants/{grant}"),
    ("identity", "ann-jira", "identities/{identity}"),
    ("limit", "few", "limits/{limit}"),
    ("other", "bob", "users/{other}"),
    ("places", "places", "policies/{places}"),
    ("policy", "hours", "policies/{policy}"),
    ("role", "keeper", "roles/{role}"),
    ("rule", "mail", "gateways/{gateway}/rules/{rule}"),
    ("server", "jira", "servers/{server}"),
    ("shared", "jira-bot", "identities/{shared}"),
    ("team", "dev", "teams/{team}"),
    ("token", "ci", "apps/{app}/tokens/{token}"),
    ("user", "ann", "users/{user}"),
    ("user_token", "ci", "users/{user}/admin-tokens/{user_token}"),
];

/// The hash of the definition that both have seen.
const USUAL_HASH: u8 = 7;

impl World {
    pub(super) async fn on_each_database() -> Vec<Self> {
        let mut all = Vec::new();
        for api in Api::on_each_database().await {
            all.push(Self::on(api).await);
        }
        all
    }

    pub(super) async fn on(api: Api) -> Self {
        api.control.set_previews(Arc::new(Seen));
        api.control.set_test_calls(Arc::new(Told));
        api.given("/workspaces", json!({"name": "elsewhere"})).await;
        let ours = Tenant::fill(&api, "default", "plain", "ours").await;
        let theirs = Tenant::fill(&api, "elsewhere", "canary", "theirs").await;
        Self { api, ours, theirs }
    }
}

impl Tenant {
    async fn fill(api: &Api, name: &'static str, word: &'static str, prefix: &str) -> Self {
        let id = api.get(&format!("/workspaces/{name}")).await.json()["id"].clone();
        let id: Uuid = id.as_str().unwrap().parse().unwrap();
        let nobody = || BTreeMap::new();
        let mut it = Self {
            name,
            id,
            word,
            usual: nobody(),
            own: nobody(),
            admin: String::new(),
            narrow: String::new(),
            member: String::new(),
            app: String::new(),
        };
        let creations: Vec<Sample> =
            samples::all().into_iter().filter(|it| it.section == Section::Creations).collect();
        for prefix in ["".to_owned(), format!("{prefix}-")] {
            let called = |usual: &str| format!("{prefix}{usual}");
            for sample in &creations {
                let (path, body) = sample.filled(word, |hole| match hole.kind {
                    "workspace" => name.to_owned(),
                    kind => called(THINGS.iter().find(|it| it.0 == kind).unwrap().1),
                });
                let mut body: Value = serde_json::from_str(&body.unwrap()).unwrap();
                for member in ["name", "alias"] {
                    if let Some(usual) = body[member].as_str() {
                        body[member] = called(usual).into();
                    }
                }
                let made = api.given(&path, body).await;
                if path.ends_with("/tokens") {
                    made["secret"].as_str().unwrap().clone_into(&mut it.app);
                }
            }
            let mut known = BTreeMap::from([("workspace", Known::of(name, id))]);
            for (kind, usual, path) in THINGS {
                let path = THINGS.iter().fold((*path).to_owned(), |path, (kind, usual, _)| {
                    path.replace(&format!("{{{kind}}}"), &called(usual))
                });
                let shown = api.get(&it.at(&path)).await.json();
                let id = shown["id"].as_str().unwrap_or_else(|| panic!("{path}: {shown}"));
                known.insert(kind, Known { name: called(usual), id: id.to_owned() });
            }
            it.add_what_happens(api, &mut known, !prefix.is_empty()).await;
            *(if prefix.is_empty() { &mut it.usual } else { &mut it.own }) = known;
        }
        it.admin = api.given_admin_in(name, "root", &[("workspace-admin", "workspace")]).await;
        let few = ["gateway/main", "server/jira", "team/dev"];
        let few = few.map(|it| ("workspace-admin", it));
        it.narrow = api.given_admin_in(name, "desk", &few).await;
        let own = api.given(&it.at("users/ann/admin-tokens"), json!({"name": "own"})).await;
        own["secret"].as_str().unwrap().clone_into(&mut it.member);
        it.begin_a_session(api).await;
        it
    }

    /// Where something of it is.
    pub(super) fn at(&self, path: &str) -> String {
        format!("/workspaces/{}/{path}", self.name)
    }

    /// What is there once it is used: definitions that are seen, units that are counted, calls that
    /// are recorded, cut-offs, sets of files, answers that are kept.
    async fn add_what_happens(
        &self,
        api: &Api,
        known: &mut BTreeMap<&'static str, Known>,
        is_own: bool,
    ) {
        let id = |kind: &str| known[kind].id.parse::<Uuid>().unwrap();
        let [server, limit, user] = ["server", "limit", "user"].map(id);
        let hash = if is_own { 0xa0 | self.id.as_bytes()[15] } else { USUAL_HASH };
        let pin = api.clock.id();
        let mut tx = api.fresh.db.begin().await.unwrap();
        let insert = db::sql(
            "INSERT INTO pins (workspace_id, id, server_id, kind, name, hash, definition, bytes,
                               marks, state, first_seen, last_seen)
             VALUES ($1, $2, $3, 'tool', $4, $5, $6, 2, '', 'pending', $7, $7)",
        );
        let insert = insert.bind(self.id).bind(pin).bind(server).bind("search");
        let definition = json!({"description": self.word, "name": "search"}).to_string();
        let insert = insert.bind(vec![hash; 32]).bind(definition).bind(api.clock.now());
        tx.execute(insert).await.unwrap();
        let insert = db::sql(
            "INSERT INTO limit_counters
               (workspace_id, limit_id, holder_id, tool, moment, units, ends_at)
             VALUES ($1, $2, $3, $4, $5, 1, $6)",
        );
        let insert = insert.bind(self.id).bind(limit).bind(user).bind(self.word);
        let ends_at = api.clock.now() + chrono::TimeDelta::days(1);
        tx.execute(insert.bind(api.clock.now()).bind(ends_at)).await.unwrap();
        tx.commit().await.unwrap();
        let hash = format!("sha256:{}", hex::encode([hash; 32]));
        known.insert("pin", Known::of(&pin.to_string(), pin));
        known.insert("hash", Known { name: hash.clone(), id: hash });

        self.record_a_call(api, known).await;
        let connection = format!("apps/{}/connections/{}", known["app"].id, known["connection"].id);
        let pick = api.patch(&self.at(&connection), json!({"picked": true})).await;
        assert_eq!(pick.status, 200, "{}", pick.text);
        let tool = format!("{}/{}", known["server"].name, self.word);
        let cut = json!({"kind": "tool", "name": tool, "reason": self.word});
        assert_eq!(api.post(&self.at("cutoffs"), cut).await.status, 200);
        let team = format!("filed-{}", known["team"].name);
        let files = json!({"text": format!("kind: Team\nname: {team}\n"), "owner": "files"});
        let key = format!("\"{team}\"");
        let request = Request::post(format!("/api/v1{}", self.at("apply")))
            .header(header::AUTHORIZATION, format!("Bearer {}", api.token))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(files.to_string().into());
        let reply = api.send(request.unwrap()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    async fn record_a_call(&self, api: &Api, known: &BTreeMap<&'static str, Known>) {
        let leaf = Leaf::new(Kind::Intent)
            .call(api.clock.id())
            .str("method", "tools/call")
            .str("offer", "tool")
            .str("app", &known["app"].id)
            .str("app_name", &known["app"].name)
            .str("gateway", &known["gateway"].name)
            .str("server", &known["server"].name)
            .str("assignment", &known["assignment"].name)
            .str("name", self.word)
            .finish();
        let entry = Entry { workspace: self.id, kind: Kind::Intent, leaf };
        api.log.append(entry, Durability::Written).await.unwrap();
    }

    async fn begin_a_session(&self, api: &Api) {
        let body = Some(json!({"token": self.admin}));
        let reply = api.ask_as(&self.admin, Method::POST, "/session", body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        // And one of the same user's account. Another one has an account, too.
        let password = format!("a few plain words {}", self.word);
        for token in [&self.admin, &self.member] {
            let body = Some(json!({ "password": password }));
            let reply = api.ask_as(token, Method::PUT, "/session/password", body).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
        let body = json!({"workspace": self.name, "name": "root", "password": password});
        let reply = api.ask_as("", Method::POST, "/session/password", Some(body)).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
}

impl Known {
    fn of(name: &str, id: Uuid) -> Self {
        Self { name: name.to_owned(), id: id.to_string() }
    }
}

/// Shows of whom it has been asked.
struct Seen;

impl Previews for Seen {
    fn preview(
        &self,
        workspace: WorkspaceId,
        gateway: GatewayId,
        app: AppId,
    ) -> Answer<'_, Result<Preview, NoPreview>> {
        let name = format!("{}/{}/{}", workspace.0, gateway.0, app.0);
        let shown = vec![Shown { name, tokens: 1, ..Shown::default() }];
        let tools = Previewed { shown, hidden: Vec::new() };
        Box::pin(std::future::ready(Ok(Preview { tools, ..Preview::default() })))
    }
}
