//! Lists that are too large for one page.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, Documents, Served, Site, Upstream};

const TOOLS: usize = 10_500;

async fn page(client: &Client, method: &str, cursor: Option<&Value>) -> Answer {
    let members = cursor.map(|it| format!(r#""cursor":{it}"#)).unwrap_or_default();
    client.send(client.request(method, &members)).await
}

async fn worlds() -> Vec<(Upstream, Site, Served)> {
    let tool = |it: usize| format!(r#"{{"name":"t{it}","inputSchema":{{"type":"object"}}}}"#);
    let tools: Vec<String> = (0..TOOLS).map(tool).collect();
    let tools = format!("[{}]", tools.join(","));
    let mut worlds = Vec::new();
    for site in Site::on_each(db::testing::postgres_url().await) {
        let server = Upstream::of_both_eras().with_tools(&tools).start().await;
        let served = site.start_with(&Documents::of_two_people("mail", &server.url)).await;
        worlds.push((server, site, served));
    }
    worlds
}

#[tokio::test]
async fn a_large_list_goes_on_where_a_cursor_says() {
    for (_server, site, served) in worlds().await {
        let token = served.token("bot", "t").await;
        for path in ["/mcp/default/main/mail", "/mcp/default/main"] {
            for client in Client::with_token(&served, path, &token).await {
                let row = format!("{client} {path}, {}", site.database());
                let (mut found, mut cursor, mut pages) = (BTreeSet::new(), None, 0);
                loop {
                    let answer = page(&client, "tools/list", cursor.as_ref()).await;
                    assert_eq!(answer.verdict(), "200", "{row}: {:.200}", answer.text());
                    let result = answer.json()["result"].clone();
                    let tools = result["tools"].as_array().unwrap();
                    let names = tools.iter().map(|it| it["name"].as_str().unwrap().to_owned());
                    found.extend(names);
                    pages += 1;
                    match &result["nextCursor"] {
                        Value::Null => break,
                        next => cursor = Some(next.clone()),
                    }
                }
                assert_eq!((found.len(), pages), (TOOLS, 3), "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_is_for_one_list_of_one_app_as_it_was() {
    for (_server, site, served) in worlds().await {
        let (bot, other) = (served.token("bot", "t").await, served.token("other", "t").await);
        let path = "/mcp/default/main/mail";
        let [modern, legacy] = Client::with_token(&served, path, &bot).await;
        let [thief, _] = Client::with_token(&served, path, &other).await;
        let first = page(&modern, "tools/list", None).await.json();
        let cursor = &first["result"]["nextCursor"];
        let (made_up, number) = (json!("AAAA"), json!(1));
        let attempts = [
            (&thief, "tools/list", cursor),
            (&modern, "prompts/list", cursor),
            (&modern, "tools/list", &made_up),
            (&legacy, "tools/list", &made_up),
            (&modern, "tools/list", &number),
        ];
        for (client, method, cursor) in attempts {
            let answer = page(client, method, Some(cursor)).await;
            let row = format!("{client} {method}, {}", site.database());
            assert_eq!(answer.code(), Some(-32602), "{row}: {:.200}", answer.text());
        }
        assert_eq!(page(&modern, "tools/list", Some(cursor)).await.verdict(), "200");
        // What follows on another list is not what follows on this one.
        let off = json!({"kind": "tool", "name": "mail/t5"});
        served.must(Method::POST, "cutoffs", Some(off)).await;
        let answer = page(&modern, "tools/list", Some(cursor)).await;
        assert_eq!(answer.code(), Some(-32602), "{:.200}", answer.text());
    }
}
