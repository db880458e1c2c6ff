use axum::http::Method;
use domain::ports::Sighting;
use domain::{DefinitionHash, PinKey, PinKind, ServerId};
use serde_json::{Value, json};

use super::{MOST_APPROVED, MOST_BYTES, MOST_NAME_BYTES, MOST_OF_NAME, MOST_OF_SERVER};
use crate::secret::sha256;
use crate::testing::{Api, PIN};

fn sighting(name: &str, description: &str) -> Sighting {
    let text = json!({"description": description, "name": name}).to_string();
    let pin = PinKey { kind: PinKind::Tool, hash: DefinitionHash(sha256(text.as_bytes())) };
    Sighting { pin, name: name.into(), text: text.into() }
}

/// A server under review, and its id.
async fn server(api: &Api) -> ServerId {
    let transport = json!({"type": "http", "url": "https://jira.example/mcp"});
    let made = api.given("servers", json!({"name": "jira", "transport": transport})).await;
    assert_eq!(made["review"], "on");
    ServerId(made["id"].as_str().unwrap().parse().unwrap())
}

async fn pins(api: &Api, query: &str) -> Vec<Value> {
    let reply = api.get(&format!("pins?limit=200&{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["items"].as_array().unwrap().clone()
}

/// Tells of definitions, and waits until the last of them is there.
async fn noted(api: &Api, server: ServerId, found: Vec<Sighting>) {
    let workspace = api.snapshot().await.config.workspaces.values().next().unwrap().id;
    let last = found.last().unwrap().clone();
    let (name, last) = (last.name, last.pin.hash.to_string());
    api.control.definitions().note(workspace, server, found);
    // The name of one test needs more escapes than others need a filter.
    let query = if name.is_ascii() { format!("name={name}") } else { String::new() };
    let looking = async {
        while !pins(api, &query).await.iter().any(|it| it["hash"] == last.as_str()) {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, looking).await.expect("it is noted");
}

#[tokio::test]
async fn a_server_that_changes_all_the_time_takes_no_more_room() {
    for api in Api::on_each_database().await {
        let server = server(&api).await;
        for round in 0..3 * MOST_OF_NAME {
            let found = vec![sighting("search", &round.to_string()), sighting("other", "same")];
            noted(&api, server, found.into_iter().rev().collect()).await;
        }
        let found = pins(&api, "state=pending&name=search").await;
        assert_eq!(found.len(), MOST_OF_NAME);
        assert_eq!(pins(&api, "state=pending&server=jira&kind=tool").await.len(), MOST_OF_NAME + 1);
    }
}

#[tokio::test]
async fn a_list_of_two_thousand_tools_is_approved_at_once_and_as_it_was_looked_at() {
    for api in Api::on_each_database().await {
        let server = server(&api).await;
        let all: Vec<_> = (0..2_000).map(|it| sighting(&format!("t{it}"), "x")).collect();
        let mut hashes: Vec<String> = all.iter().map(|it| it.pin.hash.to_string()).collect();
        let workspace = api.snapshot().await.config.workspaces.values().next().unwrap().id;
        let definitions = api.control.definitions();
        assert!(definitions.is_news(server, all[0].pin));
        definitions.note(workspace, server, all.clone());
        assert!(!definitions.is_news(server, all[0].pin), "it has just been told of");
        let last = sighting("last", "x");
        noted(&api, server, vec![last.clone()]).await;
        hashes.push("sha256:".to_owned() + &"0".repeat(64));
        let reply = api.post("servers/jira/pins/approve", json!({"hashes": hashes})).await;
        assert_eq!(reply.problem().0, 409, "nothing is approved where one is unknown");
        assert_eq!(pins(&api, "state=approved").await.len(), 0);
        hashes.pop();
        let reply = api.post("servers/jira/pins/approve", json!({"hashes": hashes})).await;
        assert_eq!(reply.json(), json!({"approved": 2_000}), "{}", reply.text);
        let waiting = pins(&api, "state=pending").await;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0]["name"], "last");
        let snapshot = api.snapshot().await;
        let servers = &snapshot.config.workspaces.values().next().unwrap().servers;
        let review = &servers[&server].review;
        assert!(all.iter().all(|it| review.admits(it.pin)) && !review.admits(last.pin));
    }
}

#[tokio::test]
async fn of_many_approved_definitions_the_first_makes_room() {
    for api in Api::on_each_database().await {
        let server = server(&api).await;
        for round in 0..=MOST_APPROVED {
            let it = sighting("search", &round.to_string());
            noted(&api, server, vec![it.clone()]).await;
            let found = pins(&api, "state=pending&name=search").await;
            let hash = it.pin.hash.to_string();
            let pin = found.iter().find(|it| it["hash"] == hash.as_str()).unwrap();
            let path = format!("pins/{}/approve", pin["id"].as_str().unwrap());
            let reply = api.post(&path, json!({"hash": hash})).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            assert_eq!(reply.json()["state"], "approved");
        }
        assert_eq!(pins(&api, "state=approved").await.len(), MOST_APPROVED);
        let first = sighting("search", "0").pin.hash.to_string();
        assert_eq!(pins(&api, "state=pending").await[0]["hash"], first.as_str());
    }
}

#[tokio::test]
async fn what_cannot_be_shown_cannot_be_approved() {
    for api in Api::on_each_database().await {
        let server = server(&api).await;
        let large = sighting("search", &"x".repeat(MOST_BYTES));
        noted(&api, server, vec![large.clone()]).await;
        let found = pins(&api, "").await;
        let path = format!("pins/{}", found[0]["id"].as_str().unwrap());
        assert_eq!(api.get(&path).await.json()["definition"], Value::Null);
        let body = json!({"hash": large.pin.hash.to_string()});
        let reply = api.post(&format!("{path}/approve"), body).await;
        assert_eq!(reply.problem(), (422, "invalid".to_owned()), "{}", reply.text);
    }
}

#[tokio::test]
async fn h164_a_decision_is_bound_to_what_was_read() {
    for api in Api::on_each_database().await {
        let server = server(&api).await;
        let [one, other] = ["a", "b"].map(|it| sighting("search", it));
        noted(&api, server, vec![one.clone(), other.clone()]).await;
        let found = pins(&api, "").await;
        let path = |it: &Sighting| {
            let hash = it.pin.hash.to_string();
            let pin = found.iter().find(|it| it["hash"] == hash.as_str()).unwrap();
            format!("pins/{}", pin["id"].as_str().unwrap())
        };
        let read = api.get(&path(&one)).await;
        let tag = read.header("etag").to_owned();
        let approve = async |it: &Sighting, tag: &str| {
            let request = axum::http::Request::post(format!(
                "/api/v1/workspaces/default/{}/approve",
                path(it)
            ));
            let request = request
                .header("authorization", format!("Bearer {}", api.token))
                .header("content-type", "application/json")
                .header("if-match", tag);
            let body = json!({"hash": it.pin.hash.to_string()}).to_string();
            api.send(request.body(body.into()).unwrap()).await.status.as_u16()
        };
        assert_eq!(approve(&other, "*").await, 200);
        assert_eq!(approve(&one, &tag).await, 412, "what it is compared with is another");
        let tag = api.get(&path(&one)).await.header("etag").to_owned();
        assert_eq!(approve(&one, &tag).await, 200);
    }
}

#[tokio::test]
async fn names_without_an_end_and_lists_without_an_end_take_no_room() {
    let api = Api::on_sqlite().await;
    let server = server(&api).await;
    let endless = sighting(&"n".repeat(MOST_NAME_BYTES + 1), "x");
    noted(&api, server, vec![endless, sighting("last", "x")]).await;
    assert_eq!(pins(&api, "").await.len(), 1);
    // What is more than the largest list is told of in the next minute.
    let workspace = api.snapshot().await.config.workspaces.values().next().unwrap().id;
    let definitions = api.control.definitions();
    let all: Vec<_> = (0..MOST_OF_SERVER).map(|it| sighting(&format!("t{it}"), "y")).collect();
    definitions.note(workspace, server, all.clone());
    let is_news = |at: usize| definitions.is_news(server, all[at].pin);
    // Two have been told of before.
    let taken = MOST_OF_SERVER - 2;
    assert_eq!([0, taken - 1, taken].map(is_news), [false, false, true]);
    let late = sighting("late", "y");
    definitions.note(workspace, server, vec![late.clone()]);
    assert!(definitions.is_news(server, late.pin));
    // Another server has room of its own.
    let other = ServerId(uuid::Uuid::from_u128(7));
    definitions.note(workspace, other, vec![late.clone()]);
    assert!(!definitions.is_news(other, late.pin));
    api.clock.advance(std::time::Duration::from_secs(60));
    definitions.note(workspace, server, vec![late.clone()]);
    assert!(!definitions.is_news(server, late.pin));
}

#[tokio::test]
async fn who_holds_it_for_one_server_sees_and_decides_for_that_server() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        api.given_a_pin().await;
        let transport = json!({"type": "http", "url": "https://wiki.example/mcp"});
        let wiki = api.given("servers", json!({"name": "wiki", "transport": transport})).await;
        let wiki = ServerId(wiki["id"].as_str().unwrap().parse().unwrap());
        noted(&api, wiki, vec![sighting("other", "x")]).await;
        let both = json!({"name": "keeper", "capabilities": ["pins:read", "pins:write"]});
        api.given("roles", both).await;
        api.given("roles", json!({"name": "reader", "capabilities": ["pins:read"]})).await;
        let grants = [("keeper", "server/wiki"), ("reader", "server/jira")];
        let kim = api.given_admin("kim", &grants).await;
        let eve = api.given_admin("eve", &[("keeper", "server/wiki")]).await;
        let ask = async |token: &str, method: Method, path: &str, body: Option<Value>| {
            api.ask_as(token, method, path, body).await
        };
        let names = async |token: &str, query: &str| {
            let reply = ask(token, Method::GET, &format!("pins?limit=1{query}"), None).await;
            let page = reply.json();
            let mut items = page["items"].as_array().unwrap().clone();
            if let Some(cursor) = page["next_cursor"].as_str() {
                let path = format!("pins?cursor={cursor}{query}");
                let more = ask(token, Method::GET, &path, None).await.json();
                items.extend(more["items"].as_array().unwrap().clone());
            }
            items
        };
        let of = |items: &[Value]| -> Vec<String> {
            items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(of(&names(&kim, "").await), ["search", "other"]);
        let seen = names(&eve, "").await;
        assert_eq!(of(&seen), ["other"]);
        let hidden = ask(&eve, Method::GET, "pins?server=jira", None).await;
        assert_eq!(hidden.status, 404, "{}", hidden.text);
        let own = format!("pins/{}/approve", seen[0]["id"].as_str().unwrap());
        let (own_hash, jiras) = (seen[0]["hash"].clone(), format!("sha256:{}", "07".repeat(32)));
        for (token, path, hash, status) in [
            (&eve, format!("pins/{PIN}/approve"), json!(jiras), 404),
            (&kim, format!("pins/{PIN}/approve"), json!(jiras), 403),
            (&kim, format!("pins/{PIN}/reject"), json!(jiras), 403),
            (&eve, own, own_hash, 200),
        ] {
            let reply = ask(token, Method::POST, &path, Some(json!({"hash": hash}))).await;
            assert_eq!(reply.status, status, "{path}: {}", reply.text);
        }
        let reply = ask(&eve, Method::GET, &format!("pins/{PIN}"), None).await;
        assert_eq!(reply.status, 404, "{}", reply.text);
    }
}

#[tokio::test]
async fn each_decision_of_a_file_is_in_the_record_with_its_hash() {
    let api = Api::on_sqlite().await;
    server(&api).await;
    let hash = format!("sha256:{}", "ab".repeat(32));
    let text = |pins: &str| {
        let transport = r#"{type: http, url: "https://jira.example/mcp"}"#;
        format!("kind: Server\nname: jira\ntransport: {transport}\npins: [{pins}]\n")
    };
    let pin = format!(r#"{{kind: instructions, name: instructions, hash: "{hash}"}}"#);
    for pins in [&*pin, &*pin, ""] {
        let reply = api.post("apply", json!({"text": text(pins)})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let endless = format!(r#"{{kind: tool, name: {}, hash: "{hash}"}}"#, "n".repeat(5_000));
    assert_eq!(api.post("apply", json!({"text": text(&endless)})).await.status, 422);
    api.control.close().await;
    let records = api.get("records?limit=200").await.json();
    let mut actions: Vec<String> = records["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["record"]["phase"], it["record"]["action"]).replace('"', ""))
        .filter(|it| it.contains(&hash))
        .collect();
    actions.reverse();
    let title = format!("jira/instructions/instructions {hash}");
    assert_eq!(
        actions,
        [
            format!("begun approve {title}"),
            format!("ended approve {title}"),
            format!("begun withdraw the approval of {title}"),
            format!("ended withdraw the approval of {title}"),
        ]
    );
}

#[tokio::test]
async fn approvals_go_from_one_installation_to_another_by_file() {
    for (from, to) in Api::on_each_database().await.into_iter().zip(Api::on_each_database().await) {
        approvals_go(&from, &to).await;
    }
}

async fn approvals_go(from: &Api, to: &Api) {
    let server = server(from).await;
    let it = sighting("se\u{200b}arch: \"x\"", "a");
    noted(from, server, vec![it.clone()]).await;
    let hash = it.pin.hash.to_string();
    let reply = from.post("servers/jira/pins/approve", json!({"hashes": [hash]})).await;
    assert_eq!(reply.status, 200);
    let text = from.get("export").await.text;
    for (api, outcome) in [(from, "unchanged"), (to, "created"), (to, "unchanged")] {
        let reply = api.post("apply", json!({"text": text})).await;
        let objects = reply.json()["objects"].clone();
        let server = objects.as_array().unwrap().iter().find(|it| it["kind"] == "Server");
        assert_eq!(server.unwrap()["outcome"], outcome, "{}", reply.text);
        assert_eq!(api.get("export").await.text, text);
    }
    // What nobody has seen there yet cannot be looked at, and holds all the same.
    let found = pins(to, "state=approved").await;
    assert_eq!((&found[0]["hash"], &found[0]["bytes"]), (&json!(hash), &json!(0)));
    let (before, _) = text.split_once("pins:\n").unwrap();
    let without = format!("{before}pins: []\n");
    let reply = to.post("apply", json!({"text": without})).await;
    assert!(reply.text.contains("pins"), "{}", reply.text);
    assert_eq!(pins(to, "state=approved").await.len(), 0);
}

/// A server without a review has everything approved, so whoever decides about servers alone cannot
/// do without.
#[tokio::test]
async fn doing_without_a_review_needs_the_right_to_approve() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let held = json!(["servers:read", "servers:write", "pins:read"]);
        api.given("roles", json!({"name": "keeper", "capabilities": held})).await;
        api.given("roles", json!({"name": "judge", "capabilities": ["pins:write"]})).await;
        let eve = api.given_admin("eve", &[("keeper", "workspace")]).await;
        let transport = json!({"type": "http", "url": "https://wiki.example/mcp"});
        let server =
            |review: &str| json!({"name": "wiki", "transport": transport, "review": review});
        let hash = format!("sha256:{}", "0".repeat(64));
        let file = |more: &str| {
            let text = format!(
                "{{kind: Server, name: jira, transport: {{type: http, url: \"https://jira.example/mcp\"}}, \
                 {more}}}"
            );
            json!({ "text": text })
        };
        let pinned = format!("pins: [{{kind: tool, name: search, hash: \"{hash}\"}}]");
        let cases = [
            (Method::PATCH, "servers/jira", json!({"review": "off"})),
            (Method::POST, "servers", server("off")),
            (Method::POST, "apply", file("review: off")),
            (Method::POST, "apply", file(&pinned)),
        ];
        for (method, path, body) in &cases {
            let reply = api.ask_as(&eve, method.clone(), path, Some(body.clone())).await;
            assert_eq!(reply.status, 403, "{path} {body}: {}", reply.text);
            assert!(reply.text.contains("pins:write"), "{}", reply.text);
        }
        let reply =
            api.ask_as(&eve, Method::PATCH, "servers/jira", Some(json!({"era": "modern"}))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let grant = json!({"name": "g", "role": "judge", "user": "eve"});
        api.given("role-grants", grant).await;
        let back = Some(json!({"era": "auto"}));
        assert_eq!(api.ask_as(&eve, Method::PATCH, "servers/jira", back).await.status, 200);
        for (method, path, body) in cases {
            let reply = api.ask_as(&eve, method, path, Some(body.clone())).await;
            assert!(reply.status.is_success(), "{path} {body}: {}", reply.text);
        }
    }
}
