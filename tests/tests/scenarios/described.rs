//! The admin API does what its own document says: Schemathesis asks every route, with what the
//! document allows and with what it does not.

use std::process::Stdio;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tests::peers::bin;
use tests::{Served, Site};

/// Long enough for some thousand requests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn the_admin_api_keeps_to_its_document() {
    let site = Site::new(None);
    let served = site.start().await;
    let settings = site.home().join("schemathesis.toml");
    std::fs::write(&settings, configuration(&served).await).unwrap();
    let mut command = tokio::process::Command::new(bin("schemathesis"));
    command.arg("--config-file").arg(&settings).arg("run");
    command.arg(format!("http://{}/api/v1/openapi.json", served.address));
    command.args(["--header", &format!("Authorization: Bearer {}", site.admin())]);
    // Streams do not end, a session that is ended is no use to the requests after it, and an export
    // is several documents of YAML, which are not read.
    command.args(["--exclude-path-regex", "/(changes|records)/stream$|/session$|/export$"]);
    command.args([
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        "20",
        "--seed",
        "1",
        "--workers",
        "2",
    ]);
    command.args(["--generation-deterministic", "--request-timeout", "10", "--no-color"]);
    let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/schemathesis");
    command.env("PYTHONPATH", hooks).env("SCHEMATHESIS_HOOKS", "hooks");
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(site.home());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("an end").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("Skipped:"), "{text}");
    assert!(!site.words().contains("ERROR"), "{}", site.words());
    let (code, words) = {
        assert!(served.stop().await.success());
        site.verify().await
    };
    assert_eq!(code, Some(0), "{words}");
}

/// Makes an object of every kind, so that requests find something: by ids, which no request can
/// change. What is deleted is left to chance.
async fn configuration(served: &Served) -> String {
    let transport = json!({"type": "http", "url": "https://jira.example/mcp"});
    let allowance = json!({"type": "quota", "amount": 1000, "per": "day"});
    let limit =
        json!({"name": "daily", "scope": {"type": "app"}, "unit": "calls", "allowance": allowance});
    let text = "forbid(principal, action, resource) when { context.hour > 23 };";
    let policy = json!({"name": "hours", "text": text});
    let made = [
        ("user", "users", json!({"name": "ann"})),
        ("team", "teams", json!({"name": "dev", "members": ["ann"]})),
        ("server", "servers", json!({"name": "jira", "transport": transport})),
        (
            "identity",
            "identities",
            json!({"name": "key", "server": "jira", "headers": {"x-a": "b"}}),
        ),
        ("gateway", "gateways", json!({"name": "main", "teams": ["dev"]})),
        ("assignment", "gateways/main/assignments", json!({"server": "jira"})),
        (
            "rule",
            "gateways/main/rules",
            json!({"name": "mail", "pattern": "@", "action": {"type": "redact"}}),
        ),
        ("app", "apps", json!({"name": "bot", "owner": "ann", "purpose": "tests"})),
        ("connection", "apps/bot/connections", json!({"gateway": "main"})),
        ("token", "apps/bot/tokens", json!({"name": "ci"})),
        ("limit", "limits", limit),
        ("policy", "policies", policy),
        ("role", "roles", json!({"name": "keeper", "capabilities": ["servers:read"]})),
        ("grant", "role-grants", json!({"name": "keepers", "role": "keeper", "team": "dev"})),
    ];
    let workspace = served.must(Method::GET, "/workspaces/default", None).await;
    let mut text = format!("[parameters]\n\"path.workspace\" = {}\n", workspace["id"]);
    text.push_str(REST);
    for (parameter, path, body) in made {
        let object = served.must(Method::POST, path, Some(body)).await;
        let inner: &Value = object.get(parameter).unwrap_or(&object);
        text.push_str(&format!("\"path.{parameter}\" = {}\n", inner["id"]));
    }
    text
}

/// What a document cannot say is a 422, such as that a name is taken by nobody; where a text is
/// parsed by rules of its own, a 400. A text that is too long may make its URL too long.
const REST: &str = r#"
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]

negative_data_rejection.expected-statuses = [
    "400", "401", "403", "404", "405", "406", "409", "414", "415", "422", "428", "429",
]

[[operations]]
include-path-regex = "/(apply|diff|cutoffs|restores|why)$"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409", "422"]

# Whoever asks for a passkey is on a page, and whoever tries often is told to wait.
[[operations]]
include-path-regex = "/session/"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422", "429"]

[[operations]]
include-path-regex = "/records(/calls)?$"
[operations.parameters]
"query.cursor" = "MQ"

[[operations]]
include-path-regex = "/(pins|usage)$"
[operations.parameters]
"query.cursor" = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAw"

[[operations]]
exclude-path-regex = "/(records|records/calls|pins|usage)$"
exclude-method = "DELETE"
[operations.parameters]
"query.cursor" = "YQ"
"#;
