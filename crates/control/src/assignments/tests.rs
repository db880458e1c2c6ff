use serde_json::json;

use crate::testing::Api;

#[tokio::test]
async fn the_same_server_twice_with_different_schemes() {
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let bot = json!({"name": "jira-bot", "server": "jira", "headers": {"x-key": "k"}});
        api.given("identities", bot).await;
        let shared = json!({"server": "jira", "alias": "shared-jira", "scheme": "shared",
                            "identity": "jira-bot",
                            "tools": {"expose": "named", "names": ["search"]}});
        let made = api.given("gateways/main/assignments", shared.clone()).await;
        assert_eq!(made["identity"], "jira-bot");
        assert_eq!(made["position"], 2);
        assert_eq!(made["tools"], shared["tools"]);
        assert_eq!(made["prompts"], json!({"expose": "all"}));

        let path = "gateways/main/assignments/shared-jira";
        let open = api.patch(path, json!({"scheme": "open"})).await.json();
        assert_eq!(open["identity"], json!(null), "it goes with the scheme");
        let lone = api.patch(path, json!({"scheme": "shared"})).await;
        assert_eq!(lone.problem(), (422, "invalid".into()));
        let back = json!({"scheme": "shared", "identity": "jira-bot", "position": 0});
        assert_eq!(api.patch(path, back).await.json()["identity"], "jira-bot");
        let gateway = &api.snapshot().await.config.workspaces["default"].gateways["main"];
        assert_eq!(gateway.assignments[0].alias.as_str(), "shared-jira", "lower ones first");
    }
}

#[tokio::test]
async fn refusals() {
    let cases = [
        (json!({"server": "jira"}), 409, "assignment `jira` already exists"),
        (json!({"server": "nope"}), 422, "there is no server `nope`"),
        (
            json!({"server": "jira", "alias": "b", "scheme": "shared"}),
            422,
            "the scheme `shared` needs an `identity`",
        ),
        (
            json!({"server": "jira", "alias": "b", "identity": "ann-jira"}),
            422,
            "only the scheme `shared` takes an `identity`",
        ),
        (
            json!({"server": "jira", "alias": "b", "scheme": "shared", "identity": "ann-jira"}),
            422,
            "identity `ann-jira` belongs to a person and cannot be shared",
        ),
        (
            json!({"server": "wiki", "scheme": "shared", "identity": "ann-jira"}),
            422,
            "identity `ann-jira` is for server `jira`",
        ),
    ];
    let malformed = [
        json!({"server": "jira", "alias": "a__b"}),
        json!({"server": "jira", "alias": "b", "scheme": "any"}),
        json!({"server": "jira", "alias": "b", "tools": "all"}),
        json!({"server": "jira", "alias": "b", "tools": {"expose": "all", "names": []}}),
        json!({"server": "jira", "alias": "b", "tools": {"expose": "named"}}),
    ];
    for api in Api::on_each_database().await {
        api.given_a_chain().await;
        let transport = json!({"type": "http", "url": "https://wiki.example"});
        api.given("servers", json!({"name": "wiki", "transport": transport})).await;
        for (body, status, detail) in &cases {
            let reply = api.post("gateways/main/assignments", body.clone()).await;
            assert_eq!(reply.status, *status, "{body}: {}", reply.text);
            assert_eq!(reply.json()["detail"], *detail, "{body}");
        }
        for body in &malformed {
            let reply = api.post("gateways/main/assignments", body.clone()).await;
            assert_eq!(reply.problem(), (400, "malformed".into()), "{body}");
        }
        assert_eq!(
            api.post("gateways/nope/assignments", json!({"server": "jira"})).await.status,
            404
        );
    }
}
