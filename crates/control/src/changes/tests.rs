use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::MOST_OF_ONE;
use crate::testing::Api;

/// What somebody reads.
pub(crate) struct Stream {
    body: Body,
    text: String,
}

/// One event: what it is called, its id, and what it says.
type Told = (String, u64, Value);

#[tokio::test]
async fn each_thing_that_changes_is_told_of_by_name() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let mut stream = follow(&api, &api.token, None).await.unwrap();
        let id = api.given("users", json!({"name": "eve"})).await["id"].clone();
        let (event, epoch, told) = stream.next().await;
        assert_eq!((event.as_str(), epoch), ("change", api.snapshot().await.epoch));
        assert_eq!(told, json!({"kind": "user", "id": id, "name": "eve", "change": "put"}));

        let limit = json!({"name": "few", "scope": {"type": "workspace"}, "unit": "calls",
                           "allowance": {"type": "quota", "amount": 5, "per": "day"}});
        let role = json!({"name": "reader", "capabilities": ["servers:read"]});
        let grant =
            json!({"name": "eve-reads", "role": "reader", "user": "eve", "on": "workspace"});
        let text = "forbid(principal, action, resource) when { context.hour > 23 };";
        let steps: Vec<(Method, &str, Option<Value>, &[&str])> = vec![
            (Method::PATCH, "users/eve", Some(json!({"name": "eva"})), &["put user eva"]),
            (Method::POST, "limits", Some(limit), &["put limit few"]),
            (Method::DELETE, "limits/few", None, &["deleted limit few"]),
            (Method::POST, "roles", Some(role), &["put role reader"]),
            (Method::POST, "policies", Some(json!({"name": "p", "text": text})), &["put policy p"]),
            (Method::DELETE, "policies/p", None, &["deleted policy -"]),
            (Method::PATCH, "gateways/main", Some(json!({"name": "m"})), &["put gateway m"]),
            (Method::PATCH, "servers/jira", Some(json!({"name": "j"})), &["put server j"]),
            (Method::PATCH, "identities/ann-jira", Some(json!({"name": "k"})), &["put identity k"]),
            (Method::POST, "apps/bot/tokens", Some(json!({"name": "t"})), &["put token t"]),
            (Method::DELETE, "apps/bot/tokens/t", None, &["deleted token -"]),
            (Method::DELETE, "apps/bot/connections/m", None, &["deleted connection bot/m"]),
            (Method::DELETE, "apps/bot", None, &["deleted app bot"]),
            (Method::DELETE, "teams/dev/members/ann", None, &["put team dev", "put user ann"]),
            (Method::DELETE, "users/eva", None, &["deleted user eva"]),
            (Method::POST, "role-grants", Some(grant), &["put role_grant eve-reads"]),
        ];
        let mut steps = steps;
        // It is for somebody who is there.
        let last = steps.pop().unwrap();
        steps.insert(4, (last.0, last.1, last.2.map(|it| rename(it, "eva")), last.3));
        steps.insert(
            15,
            (Method::DELETE, "role-grants/eve-reads", None, &["deleted role_grant eve-reads"]),
        );
        for (method, path, body, expected) in steps {
            let reply = api.ask(method.clone(), path, body).await;
            assert!(reply.status.is_success(), "{method} {path}: {}", reply.text);
            let epoch = api.snapshot().await.epoch;
            let told = stream.up_to(epoch).await;
            for it in expected {
                assert!(told.iter().any(|told| told == it), "{method} {path}: {told:?}");
            }
        }
    }
}

#[tokio::test]
async fn cutoffs_are_told_of_with_what_they_are_of_and_pins_with_their_server() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let mut stream = follow(&api, &api.token, None).await.unwrap();
        let tool = json!({"kind": "tool", "name": "jira/search"});
        let cases = [
            (
                "cutoffs",
                json!({"kind": "server", "name": "jira"}),
                vec!["put cutoff jira", "put server jira"],
            ),
            (
                "cutoffs",
                json!({"kind": "server", "name": "jira", "reason": "x"}),
                vec!["put cutoff jira", "put server jira"],
            ),
            (
                "restores",
                json!({"kind": "server", "name": "jira"}),
                vec!["deleted cutoff jira", "put server jira"],
            ),
            ("cutoffs", tool.clone(), vec!["put cutoff jira/search"]),
            ("restores", tool, vec!["deleted cutoff jira/search"]),
            (
                "cutoffs",
                json!({"kind": "assignment", "name": "main/jira"}),
                vec!["put cutoff main/jira", "put gateway main"],
            ),
        ];
        for (path, body, expected) in cases {
            assert_eq!(api.post(path, body.clone()).await.status, 200, "{body}");
            let epoch = api.snapshot().await.epoch;
            assert_eq!(stream.up_to(epoch).await, expected, "{path} {body}");
        }
        api.given_a_pin().await;
        let (_, _, told) = stream.next().await;
        assert_eq!((&told["kind"], &told["name"]), (&json!("pins"), &json!("jira")));
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_they_may_not_see() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let role = json!({"name": "servers", "capabilities": ["servers:read"]});
        api.given("roles", role).await;
        let kim = api.given_admin("kim", &[("servers", "workspace")]).await;
        let ann = api.given_admin("ann2", &[]).await;
        let mut streams =
            [follow(&api, &kim, None).await.unwrap(), follow(&api, &ann, None).await.unwrap()];
        api.given("users", json!({"name": "secret"})).await;
        assert_eq!(api.post("cutoffs", json!({"kind": "app", "name": "bot"})).await.status, 200);
        api.given_a_pin().await;
        assert_eq!(api.patch("servers/jira", json!({"name": "wiki"})).await.status, 200);
        assert_eq!(api.patch("users/ann2", json!({"name": "anna"})).await.status, 200);
        assert_eq!(api.patch("servers/wiki", json!({"name": "last"})).await.status, 200);
        let [of_kim, of_ann] = &mut streams;
        assert_eq!(of_kim.some(2).await, ["put server wiki", "put server last"]);
        assert_eq!(of_ann.some(1).await, ["put user anna"]);
        // What they could see and cannot any more is gone for them.
        let team = json!({"name": "two", "members": ["anna"]});
        api.given("teams", team).await;
        assert_eq!(of_ann.next().await.0, "reset", "they may see other things now");
        assert_eq!(api.put("gateways/main/teams/two").await.status, 200);
        assert_eq!(of_ann.some(1).await, ["put gateway main"]);
        assert_eq!(api.delete("gateways/main/teams/two").await.status, 200);
        assert_eq!(of_ann.some(1).await, ["deleted gateway main"]);
    }
}

#[tokio::test]
async fn whoever_was_away_goes_on_where_they_were_or_begins_anew() {
    for api in Api::on_each_database().await {
        let mut stream = follow(&api, &api.token, None).await.unwrap();
        api.given("users", json!({"name": "ann"})).await;
        let (_, seen, _) = stream.next().await;
        drop(stream);
        api.given("users", json!({"name": "bob"})).await;
        api.given("teams", json!({"name": "dev", "members": ["bob"]})).await;
        let mut stream = follow(&api, &api.token, Some(&seen.to_string())).await.unwrap();
        assert_eq!(stream.some(1).await, ["put user bob"]);
        let newest = api.snapshot().await.epoch;
        assert!(stream.up_to(newest).await.contains(&"put team dev".to_owned()));
        for unknown in ["1", "0", "-1", "x", "99999999", ""] {
            let mut stream = follow(&api, &api.token, Some(unknown)).await.unwrap();
            let (event, epoch, _) = stream.next().await;
            assert_eq!((event.as_str(), epoch), ("reset", newest), "{unknown}");
        }
        // What was written without being listed, here by a database that was read anew.
        let mut stream = follow(&api, &api.token, None).await.unwrap();
        let mut tx = api.fresh.db.begin().await.unwrap();
        tx.execute(db::sql("DELETE FROM row_changes")).await.unwrap();
        tx.commit().await.unwrap();
        api.given("users", json!({"name": "eve"})).await;
        assert_eq!(stream.next().await.0, "reset");
        api.given("users", json!({"name": "fay"})).await;
        assert_eq!(stream.some(1).await, ["put user fay"]);
    }
}

#[tokio::test]
async fn what_happens_in_other_workspaces_is_not_told_of() {
    for api in Api::on_each_database().await {
        api.given("/workspaces", json!({"name": "other"})).await;
        let mut stream = follow(&api, &api.token, None).await.unwrap();
        api.given("/workspaces/other/users", json!({"name": "eve"})).await;
        assert_eq!(api.patch("/workspaces/other", json!({"name": "another"})).await.status, 200);
        let cut = json!({"kind": "user", "name": "eve"});
        assert_eq!(api.post("/workspaces/another/cutoffs", cut).await.status, 200);
        api.given("users", json!({"name": "ann"})).await;
        assert_eq!(stream.some(1).await, ["put user ann"]);
    }
}

#[tokio::test]
async fn a_stream_ends_with_what_opened_it_and_there_are_only_so_many() {
    for api in Api::on_each_database().await {
        let other = api.control.mint_admin_token("other").await.unwrap();
        let other = other.expose_text().unwrap().to_owned();
        let mut streams = Vec::new();
        for _ in 0..MOST_OF_ONE {
            streams.push(follow(&api, &other, None).await.unwrap());
        }
        let refused = follow(&api, &other, None).await.err();
        assert_eq!(refused, Some(StatusCode::TOO_MANY_REQUESTS));
        assert!(follow(&api, &api.token, None).await.is_ok(), "others have their own");
        streams.pop();
        streams.push(follow(&api, &other, None).await.unwrap());
        assert_eq!(api.delete("/admin-tokens/other").await.status, 204);
        api.given("users", json!({"name": "unseen"})).await;
        for mut it in streams {
            while let Some(frame) = it.body.frame().await {
                it.text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
            }
            assert!(!it.text.contains("unseen"), "{}", it.text);
        }
        assert!(api.control.app.seats.taken.lock().is_empty());
    }
}

/// On many replicas each tells by what it has published itself.
#[tokio::test]
async fn what_another_process_changes_is_told_of() {
    for fresh in db::testing::databases().await {
        if fresh.db.is_exclusive() {
            continue;
        }
        let api = Api::on(fresh).await;
        let beside =
            crate::Control::open(crate::testing::options(&api.fresh, &api.clock, &api.log));
        let beside = beside.await.unwrap();
        let mut stream = follow_at(beside.router(), &api.token, None).await.unwrap();
        api.given("users", json!({"name": "ann"})).await;
        // Whoever asks there brings it there.
        beside.gate().current().await.unwrap();
        assert_eq!(stream.some(1).await, ["put user ann"]);
        beside.close().await;
    }
}

pub(crate) async fn follow(
    api: &Api,
    token: &str,
    knows: Option<&str>,
) -> Result<Stream, StatusCode> {
    follow_at(api.control.router(), token, knows).await
}

async fn follow_at(
    router: axum::Router,
    token: &str,
    knows: Option<&str>,
) -> Result<Stream, StatusCode> {
    let mut request = Request::get("/api/v1/workspaces/default/changes/stream")
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    if let Some(knows) = knows {
        request = request.header("Last-Event-ID", knows);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    if response.status() != StatusCode::OK {
        return Err(response.status());
    }
    let mut stream = Stream { body: response.into_body(), text: String::new() };
    let opening = stream.block().await;
    assert!(opening.contains(": open"), "{opening}");
    Ok(stream)
}

fn rename(mut grant: Value, user: &str) -> Value {
    grant["user"] = user.into();
    grant
}

impl Stream {
    /// What comes next, up to the empty line.
    async fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return block;
            }
            let frame = self.body.frame().await.expect("the stream has ended").unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    async fn next(&mut self) -> Told {
        let block = self.block().await;
        let field = |name: &str| {
            let found = block.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(": "));
            found.unwrap_or_else(|| panic!("no {name} in {block}")).to_owned()
        };
        (
            field("event"),
            field("id").parse().unwrap(),
            serde_json::from_str(&field("data")).unwrap(),
        )
    }

    /// So many, in words.
    async fn some(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(words(&self.next().await));
        }
        all
    }

    /// All up to an epoch, in words.
    pub(crate) async fn up_to(&mut self, epoch: u64) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let told = self.next().await;
            all.push(words(&told));
            if epoch <= told.1 {
                return all;
            }
        }
    }
}

fn words((event, _, told): &Told) -> String {
    let word = |name: &str| told[name].as_str().unwrap_or("-");
    match event.as_str() {
        "change" => format!("{} {} {}", word("change"), word("kind"), word("name")),
        other => other.to_owned(),
    }
}
