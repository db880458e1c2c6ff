mod texts;

use serde_json::{Value, json};
use vault::Secret;

use self::texts::{EXPORT, TEXT};
use crate::Ownership;
use crate::testing::{Api, Reply};

#[tokio::test]
async fn applying_makes_everything_and_applying_again_changes_nothing() {
    for api in Api::on_each_database().await {
        let first = apply(&api, TEXT).await;
        let outcomes: Vec<String> = outcomes(&first);
        assert_eq!(
            outcomes,
            [
                "changed Workspace default [durability]",
                "created User ann []",
                "created User bob []",
                "created Team dev []",
                "created Server jira []",
                "created Server files []",
                "created Identity jira-bot []",
                "created Identity ann-jira []",
                "created Gateway main []",
                "created App bot []",
                "created Limit each-app []",
                "created Limit searches []",
            ]
        );
        let epoch = api.snapshot().await.epoch;
        let second = apply(&api, TEXT).await;
        assert!(self::outcomes(&second).iter().all(|it| it.starts_with("unchanged")));
        assert_eq!(api.snapshot().await.epoch, epoch, "not even the epoch moved");

        let gateway = &api.snapshot().await.config.workspaces["default"].gateways["main"];
        let aliases: Vec<&str> = gateway.assignments.iter().map(|it| it.alias.as_str()).collect();
        assert_eq!(aliases, ["jira", "own-jira"]);
        let rules: Vec<&str> = gateway.rules.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(rules, ["mail", "keys"]);
        assert_eq!(api.get("users/bob").await.json()["enabled"], false);
    }
}

#[tokio::test]
async fn what_differs_is_named_and_changed() {
    let edits = [
        ("era: legacy", "era: modern", "changed Server files [era]"),
        ("era: modern", "era: modern\ntasks: wait", "changed Server files [tasks]"),
        ("era: modern", "era: modern\nroots: true", "changed Server files [roots]"),
        ("jira.example/mcp", "jira.example/v2", "changed Server jira [transport]"),
        ("members: [ann]", "members: [ann, bob]", "changed Team dev [members]"),
        ("teams: [dev]", "teams: []", "changed Gateway main [teams]"),
        (
            "teams: []",
            "teams: []\nmax_autonomy_seconds: 7",
            "changed Gateway main [max_autonomy_seconds]",
        ),
        ("names: [search, get]", "names: [search]", "changed Gateway main [assignments]"),
        ("    enabled: false\n", "    enabled: true\n", "changed Gateway main [assignments]"),
        ("keep_last: 4", "keep_last: 2", "changed Gateway main [rules]"),
        ("name: keys", "name: tokens", "changed Gateway main [rules]"),
        ("roots: true", "roots: true\nlabels: [pii]", "changed Server files [labels]"),
        (
            "labels: [pii]",
            "labels: [pii]\ntool_labels: {get: {effect: read}}",
            "changed Server files [tool_labels]",
        ),
        (
            "User\nname: ann\n",
            "User\nname: ann\nclearance: 3\ngroups: [a]\n",
            "changed User ann [clearance, groups]",
        ),
        ("clearance: 3\ngroups: [a]\n", "clearance: 3\n", "changed User ann [groups]"),
        ("owner: ann\npurpose: sorts", "owner: ann\npurpose: reads", "changed App bot [purpose]"),
        (
            "purpose: reads tickets",
            "purpose: reads tickets\nlabels: [attended]",
            "changed App bot [labels]",
        ),
        ("identities: [ann-jira]", "identities: []", "changed App bot [gateways]"),
        ("burst: 20", "burst: 30", "changed Limit each-app [allowance]"),
        ("month}\ngateway: main\n", "month}\n", "changed Limit searches [gateway]"),
        ("name: bob\nenabled: false", "name: bob\nenabled: true", "changed User bob [enabled]"),
        ("env:JIRA_TOKEN", "env:OTHER_TOKEN", "changed Identity jira-bot [headers]"),
        ("durability: synced", "durability: written", "changed Workspace default [durability]"),
    ];
    for api in Api::on_each_database().await {
        apply(&api, TEXT).await;
        let mut text = TEXT.to_owned();
        for (from, to, expected) in edits {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
            let seen = diff(&api, &text).await;
            assert_eq!(outcomes(&seen), [expected], "{to}");
            let done = apply(&api, &text).await;
            let changed: Vec<String> =
                outcomes(&done).into_iter().filter(|it| !it.starts_with("unchanged")).collect();
            assert_eq!(changed, [expected], "{to}");
            assert_eq!(outcomes(&diff(&api, &text).await), [""; 0], "{to}");
        }
        // What policies look at stays where nothing is said of it.
        for (said, without) in [
            ("labels: [pii]\ntool_labels: {get: {effect: read}}", "era: modern"),
            ("clearance: 3", "kind: User"),
            ("labels: [attended]", "kind: App"),
        ] {
            assert!(text.contains(without) && text.contains(said), "{said}");
            text = text.replace(&format!("{said}\n"), "");
            assert_eq!(outcomes(&diff(&api, &text).await), [""; 0], "without {said}");
        }
        let none = "kind: App\nname: bot\nowner: ann\npurpose: reads\nlabels: []\n---\n\
                    kind: User\nname: ann\ngroups: []\n";
        apply(&api, none).await;
        assert_eq!(api.get("users/ann").await.json()["clearance"], json!(null));
        assert_eq!(api.get("apps/bot").await.json()["labels"], json!([]));
        // What a list has no more is gone.
        let none = "kind: Gateway\nname: main\nassignments: []\nrules: []\n";
        apply(&api, none).await;
        assert_eq!(api.get("gateways/main/rules").await.json(), json!({"items": []}));
        assert_eq!(api.get("gateways/main/assignments").await.json(), json!({"items": []}));
    }
}

#[tokio::test]
async fn what_is_exported_makes_the_same_elsewhere() {
    let mut texts = Vec::new();
    for api in Api::on_each_database().await {
        apply(&api, TEXT).await;
        let exported = api.get("export").await;
        assert_eq!(exported.header("content-type"), "application/yaml");
        let text = exported.text;
        assert_eq!(outcomes(&diff(&api, &text).await), [""; 0], "an export is what is there");
        assert_eq!(api.get("export").await.text, text);
        assert!(!text.contains("s3cret"), "{text}");

        // Elsewhere the secrets are to be had otherwise.
        let portable = text.replace("\"vault:\"", "env:JIRA_TOKEN");
        let portable = portable.replace("env:JIRA_TOKEN", "\"env:JIRA_TOKEN\"");
        let other = Api::on_sqlite().await;
        apply(&other, &portable).await;
        assert_eq!(other.get("export").await.text, text);
        texts.push(text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "the same on both databases");
    assert_eq!(texts[0], EXPORT);
}

#[tokio::test]
async fn all_or_nothing() {
    for api in Api::on_each_database().await {
        let bad = format!("{TEXT}\n---\nkind: Team\nname: ops\nmembers: [nobody]\n");
        let before = api.snapshot().await;
        let reply = post(&api, "apply", &bad).await;
        assert_eq!(reply.problem(), (422, "invalid".into()));
        assert_eq!(reply.json()["detail"], "Team `ops`: there is no user `nobody`");
        assert_eq!(api.get("users").await.json(), json!({"items": []}));
        assert_eq!(before.epoch, api.snapshot().await.epoch);
    }
}

#[tokio::test]
async fn h182_what_a_file_may_not_say() {
    let cases = [
        ("kind: User\nname: ann\nrole: admin", 400, "document 1: User `ann`: unknown field `role`"),
        ("kind: User\nname: ann\nname: bob", 400, "stands twice"),
        ("kind: User\nname: &a ann", 400, "anchors and tags are not read"),
        ("kind: User\nname: !!str ann", 400, "anchors and tags are not read"),
        ("kind: User\nname: Ann", 400, "use 1 to 63 of"),
        ("kind: Usr\nname: ann", 400, "there is no kind `Usr`"),
        ("name: ann", 400, "say the `kind`"),
        ("just text", 400, "a document has members"),
        ("kind: User\nname: ann\n---\nkind: User\nname: ann", 400, "User `ann` stands twice"),
        ("kind: User\nname: ann\nworkspace: other", 422, "is of workspace `other`"),
        ("kind: Workspace\nname: other", 422, "is of workspace `other`"),
        (
            "kind: Server\nname: s\ntransport: {type: http, url: 'http://example.com'}",
            422,
            "Server `s`: use https",
        ),
        (
            "kind: Server\nname: s\ntransport: {type: stdio, command: 'sh -c x'}",
            422,
            "Server `s`: the command must be",
        ),
        (
            "kind: Gateway\nname: g\nrules: [{name: r, pattern: '(', action: {type: hash}}]",
            422,
            "Gateway `g`:",
        ),
        (
            "kind: Gateway\nname: g\nassignments: [{server: nope}]",
            422,
            "Gateway `g`: there is no server `nope`",
        ),
        (
            "kind: Limit\nname: l\nscope: {type: user, user: nope}\nunit: calls\n\
             allowance: {type: quota, amount: 1, per: day}",
            422,
            "Limit `l`: there is no user `nope`",
        ),
    ];
    let api = Api::on_sqlite().await;
    for (text, status, detail) in cases {
        for path in ["apply", "diff"] {
            let reply = post(&api, path, text).await;
            assert_eq!(reply.status, status, "{text}: {}", reply.text);
            let found = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(found.contains(detail), "{text}: {found}");
        }
    }
}

#[tokio::test]
async fn a_workspace_of_some_megabytes_fits_in_a_request() {
    let api = Api::on_sqlite().await;
    let user = "kind: User\nname: ann\n";
    for (size, status) in [(2 << 20, 200), (4 << 20, 413)] {
        let text = format!("{user}# {}", "x".repeat(size));
        for path in ["apply", "diff"] {
            let reply = post(&api, path, &text).await;
            assert_eq!(reply.status, status, "{path}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn secrets_are_references_and_the_gateway_resolves_none() {
    let api = Api::on_sqlite().await;
    let server = "kind: Server\nname: jira\ntransport: {type: http, url: 'https://jira.example'}\n";
    apply(&api, server).await;
    let identity = |value: &str| {
        format!("kind: Identity\nname: i\nserver: jira\nheaders: {{authorization: '{value}'}}")
    };
    let reply = post(&api, "apply", &identity("Bearer hunter2")).await;
    assert_eq!(reply.status, 400);
    assert!(!reply.text.contains("hunter2"), "{}", reply.text);
    assert!(reply.text.contains("secrets do not belong into files"), "{}", reply.text);
    for reference in ["env:HOME", "file:/etc/hostname"] {
        let reply = post(&api, "apply", &identity(reference)).await;
        assert_eq!(reply.status, 422);
        let expected = format!("Identity `i`: there is no secret at `{reference}`");
        assert_eq!(reply.json()["detail"], expected);
    }
    let reply = post(&api, "apply", &identity("env:OSTIARY_MASTER_KEY")).await;
    assert_eq!(reply.status, 400);
    let reply = post(&api, "apply", &identity("vault:")).await;
    let expected = "Identity `i`: nothing is stored for the header `authorization`";
    assert_eq!(reply.json()["detail"], expected);
}

#[tokio::test]
async fn a_file_that_does_not_say_so_turns_nothing_on_again() {
    for api in Api::on_each_database().await {
        apply(&api, TEXT).await;
        for (kind, name) in [("server", "jira"), ("user", "ann"), ("connection", "bot/main")] {
            let cut = json!({"kind": kind, "name": name});
            assert_eq!(api.post("cutoffs", cut).await.status, 200);
        }
        apply(&api, TEXT).await;
        assert_eq!(api.get("cutoffs").await.json()["items"].as_array().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn a_start_applies_files_of_several_workspaces() {
    for api in Api::on_each_database().await {
        let text = "kind: User\nname: ann\n---\nkind: Workspace\nname: lab\n---\n\
                    kind: User\nname: bob\n---\nkind: User\nname: eve\nworkspace: default\n";
        let none = |_: &str| -> Option<Secret> { None };
        let applied = api.control.apply_files(text, &Ownership::default(), &none).await.unwrap();
        let placed: Vec<(&str, &str)> =
            applied.iter().map(|it| (it.workspace.as_str(), it.name.as_str())).collect();
        assert_eq!(
            placed,
            [("lab", "lab"), ("default", "ann"), ("lab", "bob"), ("default", "eve")]
        );
        let exported = api.control.export_files("lab").await.unwrap();
        assert_eq!(
            api.control.diff_files(&exported, &Ownership::default(), &none).await.unwrap(),
            []
        );
        let refused =
            api.control.apply_files("kind: User", &Ownership::default(), &none).await.unwrap_err();
        assert_eq!(refused.to_string(), "document 1: User ``: missing field `name`");
    }
}

#[test]
fn references_are_found_without_applying() {
    let found = crate::references(TEXT).unwrap();
    assert_eq!(found, ["env:JIRA_TOKEN", "file:/run/secrets/ann"]);
}

#[test]
fn the_schema_describes_every_kind_and_is_closed() {
    let schema = crate::schema();
    let kinds: Vec<&str> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["properties"]["kind"]["const"].as_str().unwrap())
        .collect();
    let expected = ["Workspace", "User", "Team", "Server", "Identity", "Gateway", "App"];
    assert_eq!(kinds, [&expected[..], &["Limit", "Policy", "Role", "RoleGrant"]].concat());
    let text = schema.to_string();
    assert!(!text.contains("components/schemas"));
    for name in text.split("#/$defs/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(schema["$defs"].get(name).is_some(), "{name}");
    }
    assert_eq!(schema["oneOf"][1]["additionalProperties"], false);
}

fn outcomes(reply: &Value) -> Vec<String> {
    let objects = reply["objects"].as_array().unwrap();
    let text = |it: &Value, member: &str| it[member].as_str().unwrap().to_owned();
    objects
        .iter()
        .map(|it| {
            let members: Vec<&str> =
                it["members"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
            let (outcome, kind, name) = (text(it, "outcome"), text(it, "kind"), text(it, "name"));
            format!("{outcome} {kind} {name} [{}]", members.join(", "))
        })
        .collect()
}

async fn apply(api: &Api, text: &str) -> Value {
    let reply = post(api, "apply", text).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn diff(api: &Api, text: &str) -> Value {
    let reply = post(api, "diff", text).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn post(api: &Api, path: &str, text: &str) -> Reply {
    let secrets = json!({
        "env:JIRA_TOKEN": "s3cret-1",
        "env:OTHER_TOKEN": "s3cret-2",
        "file:/run/secrets/ann": "s3cret-3",
    });
    api.post(path, json!({"text": text, "secrets": secrets})).await
}
