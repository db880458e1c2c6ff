//! Lists of addresses: nothing is taken from elsewhere, wherever the list is and however one calls.

use std::collections::BTreeSet;

use futures::future::join;
use http::Method;
use serde_json::{Value, json};
use tests::client::LEGACY;
use tests::wait::within;
use tests::{Client, Documents, Era, Paired, Post, Served, Site, Upstream};

/// Where every test's client is, and where none is.
const HERE: &str = "127.0.0.0/8";
const ELSEWHERE: &str = "192.0.2.0/24";

/// What can have a list, and its noun.
const LISTS: [(&str, &str); 3] =
    [("/workspaces/default", "workspace"), ("gateways/main", "gateway"), ("apps/bot", "app")];

async fn list(served: &Served, path: &str, addresses: &[&str]) {
    let mut patch = json!({ "addresses": addresses });
    if path.starts_with("/workspaces") {
        patch["force"] = json!(true);
    }
    served.must(Method::PATCH, path, Some(patch)).await;
}

fn echo(client: &Client) -> Post {
    client.tool("target__echo", "{}")
}

async fn newest(served: &Served) -> Value {
    let page = served.must(Method::GET, "records?limit=20", None).await;
    let ended = |it: &&Value| it["record"]["end"].is_string();
    page["items"].as_array().unwrap().iter().find(ended).unwrap()["record"].clone()
}

#[tokio::test]
async fn calls_are_taken_from_listed_addresses_and_refused_before_anything_else_of_them() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        let clients = Client::with_token(&served, "/mcp/default/main", &token).await;
        for client in &clients {
            client.warm_up().await;
        }
        for (path, noun) in LISTS {
            let row = format!("{noun} on {}", site.database());
            list(&served, path, &[HERE]).await;
            for client in &clients {
                assert_eq!(client.send(echo(client)).await.verdict(), "200", "{row}");
            }
            let known = upstream.seen().len();
            list(&served, path, &[ELSEWHERE, "2001:db8::/32"]).await;
            for client in &clients {
                let single = client.at_unopened("/mcp/default/main/target");
                // Even where nothing else of it could be answered.
                for (client, post) in [
                    (client, echo(client)),
                    (client, client.request("tools/list", "")),
                    (client, client.initialize()),
                    (client, client.get()),
                    (client, client.delete()),
                    (client, client.post("{").with("content-type", "text/plain")),
                    (&single, single.tool("echo", "{}")),
                ] {
                    let answer = client.send(post).await;
                    assert_eq!(answer.verdict(), "403/1403", "{row}: {}", answer.text());
                    let said = answer.json()["error"]["message"].clone();
                    assert_eq!(said, format!("the {noun} takes no calls from this address"));
                    assert_eq!(answer.reason().as_deref(), Some("address"), "{row}");
                }
            }
            let sse = Client::modern_with_token(&served, "/sse/default/main", &token);
            assert_eq!(sse.send(sse.get()).await.verdict(), "403/1403", "{row}");
            assert_eq!(upstream.seen().len(), known, "{row}: something has reached the server");
            let record = newest(&served).await;
            let told = (&record["end"], &record["peer"], &record["app_name"]);
            assert_eq!(told, (&json!("address"), &json!("127.0.0.1"), &json!("bot")), "{row}");
            let why = "why?app=bot&gateway=main&from=127.0.0.1";
            let why = served.must(Method::GET, why, None).await;
            assert_eq!(why["allowed"], false, "{row}: {why}");
            let because = why["answers"][0]["because"].as_str().unwrap().to_owned();
            assert!(because.ends_with("takes no calls from 127.0.0.1"), "{row}: {because}");
            let why = served.must(Method::GET, "why?app=bot&gateway=main&from=192.0.2.9", None);
            assert_eq!(why.await["allowed"], true, "{row}");
            list(&served, path, &[]).await;
            assert_eq!(clients[0].send(echo(&clients[0])).await.verdict(), "200", "{row}");
        }
    }
}

#[tokio::test]
async fn a_list_that_is_narrowed_ends_what_is_under_way_from_elsewhere() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let plan = Upstream::of_both_eras().by_hand("tools/call");
        let upstream = plan.start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let token = served.token("bot", "t").await;
        for (path, noun) in LISTS {
            let row = format!("{noun} on {}", site.database());
            let [modern, legacy] = Client::with_token(&served, "/mcp/default/main", &token).await;
            let sse = Client::modern_with_token(&served, "/sse/default/main", &token);
            let sse = sse.in_era(Era::Legacy, LEGACY);
            for client in [&modern, &legacy] {
                client.warm_up().await;
            }
            let mut paired = Paired::greet(&sse).await;
            let mut feed = legacy.open(legacy.get()).await;
            let filter = r#""notifications":{"toolsListChanged":true}"#;
            let mut heard = modern.open(modern.request("subscriptions/listen", filter)).await;
            assert_eq!(heard.message().await["method"], "notifications/subscriptions/acknowledged");
            let narrowing = async {
                let (held, _others) = upstream.next_of("tools/call").await;
                list(&served, path, &[ELSEWHERE]).await;
                held.given_up().await;
            };
            let (answer, ()) = join(modern.send(echo(&modern)), narrowing).await;
            assert_eq!(answer.verdict(), "403/1403", "{row}: {}", answer.text());
            assert_eq!(answer.reason().as_deref(), Some("address"), "{row}");
            for stream in [&mut heard, &mut feed] {
                within("the end of a stream", async { while stream.next().await.is_some() {} })
                    .await;
            }
            within("the end of the old transport's stream", paired.end()).await;
            list(&served, path, &[]).await;
        }
    }
}

#[tokio::test]
async fn h016_only_a_trusted_proxy_is_believed_and_only_what_it_has_written_itself() {
    let upstream = Upstream::of_both_eras().echoing().start().await;
    let documents = Documents::of("target", &upstream.url);
    let site = Site::new(None);
    let served = site.start_with(&documents).await;
    let token = served.token("bot", "t").await;
    let client = Client::modern_with_token(&served, "/mcp/default/main", &token);
    list(&served, "gateways/main", &[ELSEWHERE]).await;
    for (name, value) in [("x-forwarded-for", "192.0.2.9"), ("forwarded", "for=192.0.2.9")] {
        let answer = client.send(echo(&client).with(name, value)).await;
        assert_eq!(answer.verdict(), "403/1403", "{name} of nobody's proxy");
        assert_eq!(newest(&served).await["peer"], "127.0.0.1");
    }
    served.stop().await;

    let served = site.start_configured(&documents, "trusted_proxies = ['127.0.0.1']").await;
    let client = Client::modern_with_token(&served, "/mcp/default/main", &token);
    let cases = [
        (&[("x-forwarded-for", "192.0.2.9")] as &[(&str, &str)], "200"),
        (&[("x-forwarded-for", "203.0.113.7, 192.0.2.9")], "200"),
        (&[("x-forwarded-for", "unknown, 192.0.2.9:4711, 127.0.0.1")], "200"),
        (&[("forwarded", "for=192.0.2.9;proto=https")], "200"),
        (&[("forwarded", "for=192.0.2.9"), ("x-forwarded-for", "192.0.2.9")], "200"),
        // What a client has written before its proxy.
        (&[("x-forwarded-for", "192.0.2.9, 203.0.113.7")], "403/1403"),
        (&[("x-forwarded-for", "192.0.2.9"), ("x-forwarded-for", "203.0.113.7")], "403/1403"),
        (&[("forwarded", "for=192.0.2.9, for=203.0.113.7")], "403/1403"),
        (&[], "403/1403"),
        (&[("forwarded", "for=192.0.2.9"), ("x-forwarded-for", "203.0.113.7")], "400/-32600"),
        (&[("x-forwarded-for", "203.0.113.7, 192.0.2.9,")], "400/-32600"),
        (&[("x-forwarded-for", "192.0.2.9 ' OR 1=1")], "400/-32600"),
        (&[("forwarded", "for=\"192.0.2.9, for=203.0.113.7")], "400/-32600"),
        (&[("x_forwarded_for", "192.0.2.9")], "400"),
    ];
    for (headers, expected) in cases {
        let add = |post: Post, (name, value): &(&str, &str)| post.and(name, value);
        let answer = client.send(headers.iter().fold(echo(&client), add)).await;
        assert_eq!(answer.verdict(), expected, "{headers:?}: {}", answer.text());
    }
    let page = served.must(Method::GET, "records?limit=100", None).await;
    let peers: BTreeSet<String> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["record"]["peer"].as_str().map(str::to_owned))
        .collect();
    let expected = ["127.0.0.1", "192.0.2.9", "203.0.113.7"].map(str::to_owned);
    assert_eq!(peers, BTreeSet::from(expected), "records name clients and not proxies");
}

#[tokio::test]
async fn a_workspaces_list_holds_for_its_administrators_and_locks_nobody_out_by_mistake() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let grant =
            json!({"name": "g", "role": "workspace-admin", "user": "ann", "on": "workspace"});
        served.must(Method::POST, "role-grants", Some(grant)).await;
        let made = json!({"name": "cli"});
        let made = served.must(Method::POST, "users/ann/admin-tokens", Some(made)).await;
        let ann = made["secret"].as_str().unwrap().to_owned();
        let here = "/workspaces/default";
        let narrow = |force: bool| Some(json!({"addresses": [ELSEWHERE], "force": force}));
        let refused = served.ask(Method::PATCH, here, narrow(false)).await;
        assert_eq!(refused.status, 409, "{}: {refused:?}", site.database());
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("you come from 127.0.0.1, which is not among"), "{detail}");
        let text = format!("kind: Workspace\nname: default\naddresses: [\"{ELSEWHERE}\"]\n");
        let files = |force: bool| Some(json!({"text": text, "force": force}));
        assert_eq!(served.ask(Method::POST, "apply", files(false)).await.status, 409);
        let ours = Some(json!({"addresses": ["127.0.0.1", HERE]}));
        let set = served.must(Method::PATCH, here, ours).await;
        assert_eq!(set["addresses"], json!([HERE]));
        assert_eq!(served.ask_as(&ann, Method::GET, "servers", None).await.status, 200);
        // An agent's calls come from where the agent is.
        let agent = Client::modern_with_token(&served, "/mcp-admin", &ann);
        let listed = agent.send(agent.tool("list_servers", "{}")).await;
        assert_eq!(listed.json()["result"]["isError"], false, "{}", listed.text());
        let operator = Client::modern_with_token(&served, "/mcp-admin", served.admin());
        let body = json!({"workspace": "default", "body": {"addresses": [ELSEWHERE]}}).to_string();
        let refused = operator.send(operator.tool("update_workspace", &body)).await;
        assert!(refused.text().contains("you come from 127.0.0.1"), "{}", refused.text());

        assert_eq!(served.ask(Method::POST, "apply", files(true)).await.status, 200);
        assert_eq!(agent.send(agent.tool("list_servers", "{}")).await.status, 403);
        assert_eq!(agent.send(agent.request("tools/list", "")).await.status, 403);
        for path in ["servers", "/session", "/workspaces"] {
            let refused = served.ask_as(&ann, Method::GET, path, None).await;
            assert_eq!(refused.status, 403, "{path}: {refused:?}");
        }
        let signing_in = Some(json!({ "token": ann }));
        assert_eq!(served.ask(Method::POST, "/session", signing_in).await.status, 403);
        // Whoever runs the installation can take it back.
        list(&served, here, &[]).await;
        assert_eq!(served.ask_as(&ann, Method::GET, "servers", None).await.status, 200);
    }
}

#[tokio::test]
async fn lists_are_set_at_the_command_line_and_come_back_from_files_as_they_were() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let upstream = Upstream::of_both_eras().echoing().start().await;
        let served = site.start_with(&Documents::of("target", &upstream.url)).await;
        let words = ["--address", "::ffff:10.0.0.0/104", "--address", "10.1.0.0/16"];
        for noun in [["gateway", "main"], ["app", "bot"]] {
            let words = [&[noun[0], "update", noun[1]], &words[..], &["--json"]].concat();
            let ran = site.command(&served, &words).await;
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            let told: Value = serde_json::from_str(&ran.out).unwrap();
            assert_eq!(told["addresses"], json!(["10.0.0.0/8"]));
        }
        let workspace = ["workspace", "update", "default", "--address", "10.0.0.0/8"];
        assert_eq!(site.command(&served, &workspace).await.code, Some(5));
        let forced = [&workspace[..], &["--force", "true"]].concat();
        assert_eq!(site.command(&served, &forced).await.code, Some(0));

        let export = site.command(&served, &["export"]).await.out;
        assert_eq!(export.matches("addresses:\n").count(), 3, "{export}");
        let file = site.home().join("export.yaml");
        std::fs::write(&file, &export).unwrap();
        let file = file.to_str().unwrap();
        let diff = site.command(&served, &["diff", "-f", file]).await;
        assert_eq!(diff.code, Some(0), "{}{}", diff.out, diff.err);
        for (path, _) in LISTS {
            list(&served, path, &[]).await;
        }
        let diff = site.command(&served, &["diff", "-f", file, "--force"]).await;
        assert_eq!(diff.code, Some(6), "{}{}", diff.out, diff.err);
        assert_eq!(diff.out.matches("addresses").count(), 3, "{}", diff.out);
        let applied = site.command(&served, &["apply", "-f", file, "--force"]).await;
        assert_eq!(applied.code, Some(0), "{}", applied.err);
        assert_eq!(site.command(&served, &["export"]).await.out, export);

        for (network, why) in [
            ("10.0.0.1/8", "is `10.0.0.0/8` meant?"),
            ("example.com", "is no network"),
            ("10.0.0.0/33", "is no network"),
        ] {
            let words = ["gateway", "update", "main", "--address", network];
            let ran = site.command(&served, &words).await;
            assert_ne!(ran.code, Some(0), "{network}");
            assert!(ran.err.contains(why), "{network}: {}", ran.err);
        }
        let many: Vec<String> =
            (0..257).map(|it| format!("10.0.{}.{}/32", it / 256, it % 256)).collect();
        let many = Some(json!({ "addresses": many }));
        assert_eq!(served.ask(Method::PATCH, "gateways/main", many).await.status, 400);
    }
}
