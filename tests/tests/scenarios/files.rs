//! `ostiary apply`, `diff` and `export`: configuration as files, as operators use them.

use std::fmt::Write as _;

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tests::serve::Ran;
use tests::{Served, Site};

/// An object of every kind, and of every part that has a position, a switch or a secret.
const EVERYTHING: &str = r#"
kind: User
name: ann
---
kind: User
name: bob
enabled: false
---
kind: Team
name: dev
members: [ann, bob]
---
kind: Server
name: jira
transport: {type: http, url: "https://jira.example/mcp"}
era: legacy
roots: true
---
kind: Server
name: old
transport: {type: sse, url: "https://old.example/sse"}
---
kind: Server
name: files
transport: {type: stdio, command: npx, args: ["-y", "a b", "ü\n"], env: {A: "no", B: "'\""}}
tasks: wait
---
kind: Identity
name: jira-bot
server: jira
headers: {Authorization: "Bearer env:TEST_CREDENTIAL"}
---
kind: Identity
name: ann-jira
server: jira
owner: ann
headers: {X-Key: "env:TEST_CREDENTIAL"}
---
kind: Gateway
name: main
teams: [dev]
assignments:
  - {server: jira, scheme: shared, identity: jira-bot, tools: {expose: named, names: [b, a]}}
  - {server: jira, alias: own-jira, scheme: own, enabled: false, prompts: {expose: nothing}}
  - server: files
rules:
  - {name: mail, pattern: '[a-z]+@x', action: {type: mask, keep_last: 4}}
  - {name: keys, pattern: 'sk-\d+', on_request: false, tools: [t], action: {type: block, message: "no: # 'keys'"}}
  - {name: all, pattern: '(x)', action: {type: replace, with: "$1"}, observe_only: true}
---
kind: App
name: bot
owner: ann
purpose: "sorts: tickets"
gateways: [{gateway: main, identities: [ann-jira], enabled: false}]
"#;

/// The kinds that are about deciding and counting, and every form that they have.
const THE_REST: &str = r#"
---
kind: Server
name: reviewed
transport: {type: http, url: "https://reviewed.example/mcp"}
review: on
pins:
  - {kind: tool, name: "a: \u200b#", hash: "sha256:0000000000000000000000000000000000000000000000000000000000000001"}
  - {kind: tool, name: b, hash: "sha256:0000000000000000000000000000000000000000000000000000000000000002"}
  - {kind: tool, name: b, hash: "sha256:0000000000000000000000000000000000000000000000000000000000000003"}
  - {kind: prompt, name: b, hash: "sha256:0000000000000000000000000000000000000000000000000000000000000002"}
  - {kind: resource_template, name: "a://{x}", hash: "sha256:0000000000000000000000000000000000000000000000000000000000000004"}
  - {kind: instructions, name: instructions, hash: "sha256:0000000000000000000000000000000000000000000000000000000000000005"}
---
kind: Server
name: waiting
transport: {type: http, url: "https://waiting.example/mcp"}
pins: []
---
kind: Gateway
name: side
teams: []
assignments:
  - server: reviewed
    tools:
      expose: conditions
      where:
        all:
          - {name: {glob: "read_*"}}
          - {any: [{readOnlyHint: true}, {destructiveHint: false}, {idempotentHint: true}, {openWorldHint: false}]}
          - {any: [{description: {contains: "no: '#'"}}, {title: {matches: '^\w+$'}}, {name: {is: ""}}]}
    prompts: {expose: conditions, where: {any: []}}
    resources: {expose: named, names: []}
---
{kind: Role, name: keeper, capabilities: ["servers:read", "pins:write"]}
---
{kind: Role, name: nothing, capabilities: []}
---
{kind: RoleGrant, name: ann-keeps, role: keeper, user: ann, on: server/jira}
---
{kind: RoleGrant, name: devs, role: workspace-admin, team: dev}
---
{kind: RoleGrant, name: devs-main, role: keeper, team: dev, on: gateway/main}
---
{kind: RoleGrant, name: devs-own, role: keeper, team: dev, on: team/dev}
---
{kind: Limit, name: all, scope: {type: workspace}, unit: calls, allowance: {type: quota, amount: 1000000, per: month}}
---
{kind: Limit, name: each-user, scope: {type: user}, unit: tokens, direction: response, allowance: {type: rate, amount: 10, per: minute, burst: 3}}
---
{kind: Limit, name: ann, scope: {type: user, user: ann}, unit: tokens, allowance: {type: rate, amount: 10, per: second}}
---
{kind: Limit, name: one-tool, scope: {type: tool, server: jira, tool: "a/b"}, unit: bytes, direction: both, allowance: {type: quota, amount: 1, per: day}, gateway: main}
---
{kind: Limit, name: bots, scope: {type: app, app: bot}, unit: bytes, direction: request, allowance: {type: quota, amount: 1, per: day}}
---
{kind: Limit, name: devs, scope: {type: team, team: dev}, unit: calls, allowance: {type: quota, amount: 1, per: day}}
---
{kind: Limit, name: mains, scope: {type: gateway, gateway: main}, unit: calls, allowance: {type: quota, amount: 1, per: day}}
---
{kind: Limit, name: jiras, scope: {type: server, server: jira}, unit: calls, allowance: {type: quota, amount: 1, per: day}}
---
{kind: User, name: eve, department: "R&D: no", clearance: 3, groups: [b, "a: c"], network: 10.0.0.0/8, assurance: 2}
---
{kind: User, name: nobody, clearance: 0}
---
kind: Server
name: labelled
transport: {type: http, url: "https://labelled.example/mcp"}
labels: [b, a/x.y]
tool_labels: {"a: b": {effect: destructive, labels: [pii]}, b: {labels: [x]}, "no": {effect: read}}
---
{kind: App, name: desk, owner: eve, purpose: people, labels: [attended], gateways: []}
---
kind: Policy
name: hours
text: |
  // "no": 'late' # calls
  forbid(principal in Team::"dev", action, resource in Server::"jira")
  when { context.hour > 23 };
tests:
  - {name: "by day: yes", action: call, resource: {server: jira, name: b}, context: {time: "2026-01-01T10:00:00Z"}, expect: allow}
  - name: others
    principal: {app: bot, labels: [x], user: ann, teams: [ops], department: d, clearance: 1, groups: [g], network: 10.0.0.1, assurance: 3}
    action: read
    resource: {server: files, name: "file:///a", gateway: main, server_labels: [x], labels: [y], effect: write, annotations: {readOnlyHint: false}}
    context: {address: "2001:db8::1", arguments: {amount: 1.5, inner: {a: [true, null]}}}
    expect: allow
---
{kind: Policy, name: off, enabled: false, text: "permit(principal, action, resource);"}
"#;

struct Desk {
    site: Site,
    served: Served,
}

impl Desk {
    async fn on_each_database() -> Vec<Self> {
        let sites = Site::on_each(db::testing::postgres_url().await);
        join_all(sites.into_iter().map(async |site| {
            let served = site.start().await;
            Self { site, served }
        }))
        .await
    }

    /// A command with a text on its standard input.
    async fn run(&self, line: &str, text: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        self.site.command_with(&self.served, &words, text).await
    }

    /// What it prints, where it must end with this code.
    async fn ends(&self, line: &str, text: &str, code: i32) -> String {
        let ran = self.run(line, text).await;
        assert_eq!(ran.code, Some(code), "{line}: {}{}", ran.out, ran.err);
        assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
        ran.out
    }

    async fn export(&self) -> String {
        self.ends("export", "", 0).await
    }

    /// The names of what is there.
    async fn names(&self, path: &str) -> Vec<String> {
        let page = self.served.must(Method::GET, path, None).await;
        let items = page["items"].as_array().unwrap().iter();
        items.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn an_export_applied_exports_to_the_same_bytes() {
    let mut exports = Vec::new();
    let everything = format!("{}{THE_REST}", EVERYTHING.trim_end());
    for desk in Desk::on_each_database().await {
        desk.ends("apply -f -", &everything, 0).await;
        // By hand, in numbers that no file would give.
        let order = [("files", 70), ("own-jira", 500), ("jira", 600)];
        for (alias, position) in order {
            let path = format!("gateways/main/assignments/{alias}");
            let body = json!({ "position": position });
            desk.served.must(Method::PATCH, &path, Some(body)).await;
        }
        desk.served
            .must(Method::PATCH, "gateways/main/rules/mail", Some(json!({"position": 9})))
            .await;
        let cut =
            json!({"kind": "server", "name": "old", "seconds": 3600, "reason": "for a while"});
        desk.served.must(Method::POST, "cutoffs", Some(cut)).await;

        let first = desk.export().await;
        assert_eq!(
            desk.ends("diff -f -", &first, 0).await,
            "0 created, 0 changed, 0 deleted, 0 unchanged\n"
        );
        let applied = desk.ends("apply -f -", &first, 0).await;
        assert!(applied.starts_with("0 created, 0 changed, 0 deleted"), "{applied}");
        assert_eq!(desk.export().await, first);
        let aliases = ["server: files", "alias: own-jira", "identity: jira-bot"];
        let places: Vec<usize> = aliases.iter().map(|it| first.find(it).unwrap()).collect();
        assert!(places.is_sorted(), "{first}");

        // Into another workspace, where nothing is stored that `vault:` could stand for.
        desk.served.must(Method::POST, "/workspaces", Some(json!({"name": "copy"}))).await;
        let text = first.replace("name: default", "name: copy");
        let text = text.replace("\"vault:\"", "\"env:TEST_CREDENTIAL\"");
        desk.ends("apply -f - --workspace copy", &text, 0).await;
        let copied = desk.ends("export --workspace copy", "", 0).await;
        assert_eq!(copied.replace("name: copy", "name: default"), first);
        desk.ends("diff -f - --workspace copy", &copied, 0).await;
        let kinds = [
            "App",
            "Gateway",
            "Identity",
            "Limit",
            "Policy",
            "Role",
            "RoleGrant",
            "Server",
            "Team",
        ];
        for kind in kinds {
            assert!(first.contains(&format!("kind: {kind}\n")), "{kind}: {first}");
        }
        // All of it was made by those files, and goes with them.
        let ann = "{kind: User, name: ann}";
        desk.ends("apply --prune -f - --workspace copy", ann, 0).await;
        let left = desk.ends("export --workspace copy", "", 0).await;
        let left: Vec<&str> = left.lines().filter(|it| it.contains("name:")).collect();
        assert_eq!(left, ["name: copy", "name: ann"]);
        assert_eq!(desk.export().await, first, "another workspace's");
        exports.push(first);
    }
    assert!(exports.windows(2).all(|it| it[0] == it[1]), "the database is no part of it");
}

#[tokio::test]
async fn what_would_change_is_shown_member_by_member_and_nothing_is_done() {
    for desk in Desk::on_each_database().await {
        desk.ends("apply -f -", EVERYTHING, 0).await;
        let before = desk.export().await;
        let text = EVERYTHING
            .replace("era: legacy", "era: modern")
            .replace("name: bob\nenabled: false", "name: bob\nenabled: true")
            .replace("members: [ann, bob]", "members: [ann]")
            .replace("names: [b, a]", "names: [c]")
            .replace("keep_last: 4", "keep_last: 2")
            .replace("X-Key: \"env:TEST_CREDENTIAL\"", "X-Key: \"Bearer env:TEST_CREDENTIAL\"")
            .replace("purpose: \"sorts: tickets\"", "purpose: \"\\e[31mred\"")
            + "---\n{kind: User, name: eve}\n";
        let text = text.replace("\\e[31mred", "reads tickets");
        let expected = "\
+ User eve
~ User bob
    enabled: false -> true
~ Team dev
    members: ann,bob -> ann
~ Server jira
    era: legacy -> modern
~ Identity ann-jira
    headers: [sealed] -> [sealed]
~ Gateway main
    assignments.jira.tools.names: a,b -> c
    rules.mail.action.keep_last: 4 -> 2
~ App bot
    purpose: sorts: tickets -> reads tickets
1 created, 6 changed, 0 deleted, 0 unchanged
";
        let lines = |it: &str| {
            let mut lines: Vec<String> = it.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let seen = desk.ends("diff -f -", &text, 6).await;
        assert_eq!(lines(&seen), lines(expected), "{seen}");
        let seen = desk.ends("apply --dry-run -f -", &text, 0).await;
        assert_eq!(lines(&seen), lines(expected), "{seen}");
        assert_eq!(desk.export().await, before, "nothing was done");
        let told = desk.ends("diff --json -f -", &text, 6).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        let bob = told.as_array().unwrap().iter().find(|it| it["name"] == "bob").unwrap();
        let change = json!([{"member": "enabled", "before": false, "after": true}]);
        assert_eq!(bob["changes"], change);
        desk.ends("apply -f -", &text, 0).await;
        desk.ends("diff -f -", &text, 0).await;
    }
}

#[tokio::test]
async fn pruning_takes_what_the_same_files_made_and_nothing_else() {
    for desk in Desk::on_each_database().await {
        desk.served.must(Method::POST, "users", Some(json!({"name": "by-hand"}))).await;
        let both = "{kind: User, name: by-hand}\n---\n".to_owned() + EVERYTHING;
        desk.ends("apply -f -", &both, 0).await;
        let theirs =
            "{kind: User, name: theirs}\n---\n{kind: Team, name: theirs, members: [theirs]}\n";
        desk.ends("apply -f - --owner theirs", theirs, 0).await;

        let refused = desk.run("apply -f -", theirs).await;
        assert_eq!(refused.code, Some(5), "{}", refused.err);
        assert!(refused.err.contains("belongs to the files of `theirs`"), "{}", refused.err);

        // A text that names nothing has failed to be made.
        for nothing in ["", "# nothing\n---\n", "[]"] {
            for line in ["apply --prune -f -", "diff --prune -f -"] {
                let refused = desk.run(line, nothing).await;
                assert_eq!(refused.code, Some(1), "{line}: {}", refused.err);
                assert!(refused.err.contains("names nothing"), "{}", refused.err);
            }
        }
        // Without being asked to, nothing is deleted.
        let less = "{kind: User, name: ann}\n";
        desk.ends("apply -f -", less, 0).await;
        assert_eq!(desk.names("users").await, ["ann", "bob", "by-hand", "theirs"]);
        let would = desk.ends("diff --prune -f -", less, 6).await;
        assert!(
            would.contains("- Gateway main\n") && would.ends_with("9 deleted, 0 unchanged\n"),
            "{would}"
        );
        assert_eq!(desk.names("servers").await, ["files", "jira", "old"]);
        let dry = desk.ends("apply --dry-run --prune -f -", less, 0).await;
        assert_eq!(dry, would);
        let done = desk.ends("apply --prune -f -", less, 0).await;
        assert!(done.ends_with("0 created, 0 changed, 9 deleted, 1 unchanged\n"), "{done}");
        assert_eq!(desk.names("users").await, ["ann", "by-hand", "theirs"]);
        for path in ["servers", "identities", "gateways", "apps"] {
            assert_eq!(desk.names(path).await, [""; 0], "{path}");
        }
        assert_eq!(desk.names("teams").await, ["theirs"]);

        // What is in use stays, and so does all else.
        let app = json!({"name": "hand-bot", "owner": "ann", "purpose": "x"});
        desk.served.must(Method::POST, "apps", Some(app)).await;
        let refused = desk.run("apply --prune -f -", "{kind: Team, name: t}").await;
        assert_eq!(refused.code, Some(5), "{}", refused.err);
        assert!(refused.err.contains("is used by app `hand-bot`"), "{}", refused.err);
        assert_eq!(desk.names("teams").await, ["theirs"]);
        // What was deleted by hand is forgotten, and may be made by others.
        desk.served.must(Method::DELETE, "teams/theirs", None).await;
        desk.ends("apply --prune --owner theirs -f -", "{kind: User, name: theirs}", 0).await;
        desk.ends("apply -f -", "{kind: Team, name: theirs}", 0).await;
    }
}

#[tokio::test]
async fn a_thousand_objects_are_applied_at_once_or_not_at_all() {
    for desk in Desk::on_each_database().await {
        let mut text = String::new();
        for n in 0..250 {
            write!(text, "{{kind: User, name: user-{n}}}\n---\n").unwrap();
            write!(text, "{{kind: Team, name: team-{n}, members: [user-{n}]}}\n---\n").unwrap();
            write!(text, "{{kind: Gateway, name: gate-{n}, teams: [team-{n}]}}\n---\n").unwrap();
            write!(text, "{{kind: App, name: app-{n}, owner: user-{n}, purpose: load, gateways: [{{gateway: gate-{n}}}]}}\n---\n").unwrap();
        }
        let bad = text.clone() + "{kind: Team, name: last, members: [nobody]}\n";
        let refused = desk.run("apply -f -", &bad).await;
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        assert!(refused.err.contains("Team `last`"), "{}", refused.err);
        assert_eq!(desk.names("users").await, [""; 0]);

        let done = desk.ends("apply -f -", &text, 0).await;
        assert!(done.ends_with("1000 created, 0 changed, 0 deleted, 0 unchanged\n"), "{done}");
        desk.ends("diff -f -", &text, 0).await;
        let pruned = desk.ends("apply --prune -f -", "{kind: User, name: user-0}", 0).await;
        assert!(pruned.ends_with("999 deleted, 1 unchanged\n"), "{pruned}");
    }
}

#[tokio::test]
async fn h182_what_is_no_configuration_is_refused_in_one_sentence() {
    for desk in Desk::on_each_database().await {
        let before = desk.export().await;
        let deep = "[".repeat(100_000);
        let wide = format!("kind: User\nname: {}", "a".repeat(2 << 20));
        let cases = [
            ("kind: User\nname: ann\nname: bob", "twice"),
            ("a: &a [x]\nb: *a", ""),
            ("kind: User\n\tname: ann", ""),
            ("kind: Gadget\nname: x", "there is no kind `Gadget`"),
            ("kind: User\nname: [ann]", "User"),
            ("kind: User\nname: ann\nenabled: maybe", "User `ann`"),
            ("kind: User\nname: ann\nrole: admin", "unknown field `role`"),
            ("kind: User", "name"),
            ("name: ann", "say the `kind`"),
            ("just words", "a document has members"),
            ("kind: User\nname: ann\n---\nkind: User\nname: ann", "stands twice"),
            (&deep, ""),
            (&wide, ""),
            ("kind: Identity\nname: i\nserver: s\nheaders: {a: hunter2}", ""),
        ];
        let lines = ["apply -f -", "diff -f -", "apply --dry-run -f -"];
        for (i, (text, words)) in cases.into_iter().enumerate() {
            for line in if i == 0 { &lines[..] } else { &lines[..1] } {
                let ran = desk.run(line, text).await;
                assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{words}: {}", ran.err);
                assert!(ran.err.contains(words) && ran.err.lines().count() == 1, "{}", ran.err);
                assert!(ran.err.len() < 2_000 && !ran.err.contains("hunter2"), "{}", ran.err);
            }
        }
        let file = desk.site.home().join("latin");
        std::fs::write(&file, b"kind: User\nname: \xff").unwrap();
        for path in [file.to_str().unwrap(), "/dev/zero", "/nowhere"] {
            let ran = desk.run(&format!("apply -f {path}"), "").await;
            assert_eq!(ran.code, Some(1), "{}", ran.err);
            assert!(ran.err.contains("cannot read"), "{}", ran.err);
        }
        assert_eq!(desk.export().await, before);
        desk.ends("apply -f -", "\u{feff}kind: User\nname: ann\n", 0).await;
    }
}
