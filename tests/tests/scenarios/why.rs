//! `why` says what a call does, whatever has been configured.

use http::Method;
use serde_json::{Value, json};
use tests::wait::within;
use tests::{Client, Documents, Served, Site, Upstream};

const MAIN: &str = "/mcp/default/main/target";

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{"name":"more","inputSchema":{"type":"object"}}]"#;

/// A change, as requests to the admin API, and how it is undone.
struct Change {
    done: Step,
    undone: Step,
}

type Step = (Method, &'static str, Option<Value>);

fn changes() -> Vec<Change> {
    let assignment = "gateways/main/assignments/target";
    let patch = |path: &'static str, body: Value| (Method::PATCH, path, Some(body));
    let tools = |expose: Value| patch(assignment, json!({ "tools": expose }));
    let all = || tools(json!({"expose": "all"}));
    let cut = |kind: &str, name: &str| {
        let body = Some(json!({"kind": kind, "name": name}));
        let undone = (Method::POST, "restores", body.clone());
        Change { done: (Method::POST, "cutoffs", body), undone }
    };
    let scope = json!({"type": "tool"});
    let one = json!({"name": "one", "scope": scope, "unit": "calls",
                     "allowance": {"type": "quota", "amount": 1, "per": "day"}});
    let rate = json!({"type": "rate", "amount": 1, "per": "day", "burst": 2});
    let two = json!({"name": "two", "scope": {"type": "team"}, "unit": "calls", "allowance": rate});
    let readers = r#"forbid(principal, action == Action::"call", resource)
        unless { resource.readOnlyHint };"#;
    let readers = json!({"name": "readers", "text": readers});
    vec![
        Change { done: tools(json!({"expose": "named", "names": ["more"]})), undone: all() },
        Change {
            done: tools(json!({"expose": "conditions", "where": {"readOnlyHint": true}})),
            undone: all(),
        },
        Change {
            done: patch("servers/target", json!({"review": "on"})),
            undone: patch("servers/target", json!({"review": "off"})),
        },
        Change {
            done: (Method::POST, "policies", Some(readers)),
            undone: (Method::DELETE, "policies/readers", None),
        },
        cut("tool", "target/echo"),
        cut("server", "target"),
        cut("app", "bot"),
        cut("user", "ann"),
        Change {
            done: (Method::DELETE, "teams/dev/members/ann", None),
            undone: (Method::PUT, "teams/dev/members/ann", None),
        },
        Change {
            done: (Method::POST, "limits", Some(one)),
            undone: (Method::DELETE, "limits/one", None),
        },
        Change {
            done: (Method::POST, "limits", Some(two)),
            undone: (Method::DELETE, "limits/two", None),
        },
        Change {
            done: patch(assignment, json!({"scheme": "own"})),
            undone: patch(assignment, json!({"scheme": "open"})),
        },
    ]
}

async fn make(served: &Served, (method, path, body): &Step) {
    served.must(method.clone(), path, body.clone()).await;
}

/// One of the two tools is approved when there is a review.
async fn approve_echo(served: &Served, client: &Client) {
    served.must(Method::PATCH, "servers/target", Some(json!({"review": "on"}))).await;
    client.send(client.request("tools/list", "")).await;
    let noted = async {
        loop {
            let pins = served.must(Method::GET, "pins?name=echo", None).await;
            if let Some(hash) = pins["items"][0]["hash"].as_str() {
                return hash.to_owned();
            }
        }
    };
    let hash = within("what the server lists", noted).await;
    let hashes = Some(json!({ "hashes": [hash] }));
    served.must(Method::POST, "servers/target/pins/approve", hashes).await;
    served.must(Method::PATCH, "servers/target", Some(json!({"review": "off"}))).await;
}

#[tokio::test]
async fn why_says_what_a_call_does_whatever_is_configured() {
    let upstream = Upstream::of_both_eras().echoing().with_tools(TOOLS).start().await;
    let site = Site::new(None);
    let served = site.start_with(&Documents::of("target", &upstream.url)).await;
    let token = served.token("bot", "t").await;
    let client = Client::modern_with_token(&served, MAIN, &token);
    approve_echo(&served, &client).await;
    let changes = changes();
    let mut told = std::collections::BTreeMap::new();
    // Every change alone, and then several of them at once: numbers that look like chance and are not.
    let alone = (0..changes.len()).map(|it| 1_u64 << it);
    let together = (1_u64..24).map(|it| it.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40);
    for set in [0].into_iter().chain(alone).chain(together.map(|it| it & (it >> 11))) {
        let wanted: Vec<&Change> =
            (0..changes.len()).filter(|it| set >> it & 1 == 1).map(|it| &changes[it]).collect();
        for it in &wanted {
            make(&served, &it.done).await;
        }
        client.send(client.request("tools/list", "")).await;
        for tool in ["echo", "more", "none", "echo", "more"] {
            let path = format!("why?app=bot&gateway=main&tool=target/{tool}");
            let why = served.must(Method::GET, &path, None).await;
            let answer = client.send(client.tool(tool, "{}")).await;
            let json = answer.json();
            // What is not approved is told to the model, as a result.
            let is_refused = !json["error"].is_null() || json["result"]["isError"] == true;
            let is_let_through = answer.status == 200 && !is_refused;
            let because = why["answers"][0]["because"].as_str().unwrap().to_owned();
            let text = answer.text();
            assert_eq!(why["allowed"], is_let_through, "{set:b} {tool}: {because}; {text}");
            *told.entry(because).or_insert(0) += 1;
        }
        for it in wanted.iter().rev() {
            make(&served, &it.undone).await;
        }
    }
    assert!(10 <= told.len(), "too few reasons: {told:?}");
}

/// Policies look at what a tool does, and nobody has asked its server yet.
#[tokio::test]
async fn the_command_is_told_what_a_tool_does_whose_server_has_not_been_listed() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::of_both_eras().with_tools(TOOLS).start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        served.token("bot", "t").await;
        let text = r#"forbid(principal, action == Action::"call", resource)
            unless { resource.readOnlyHint };"#;
        let readers = json!({"name": "readers", "text": text});
        served.must(Method::POST, "policies", Some(readers)).await;
        let asked = ["why", "--app", "bot", "--gateway", "main", "--tool", "target/echo"];
        for (effect, code) in
            [(&[][..], 3), (&["--effect", "read"], 0), (&["--effect", "write"], 3)]
        {
            let ran = site.command(&served, &[&asked[..], effect].concat()).await;
            assert_eq!(ran.code, Some(code), "{} {effect:?}: {ran:?}", site.database());
        }
        assert!(upstream.seen().is_empty(), "nobody asks it for this");
        let odd = site.command(&served, &[&asked[..], &["--effect", "magic"]].concat()).await;
        assert!(odd.code == Some(2) && odd.err.contains("read, write, destructive"), "{odd:?}");
        let alone = ["why", "--app", "bot", "--gateway", "main", "--effect", "read"];
        assert_eq!(site.command(&served, &alone).await.code, Some(2), "of which tool?");
    }
}
