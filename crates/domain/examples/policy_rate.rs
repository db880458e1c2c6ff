//! What policies add to a decision: `cargo run --release -p domain --example policy_rate`.
//!
//! Each set of policies is asked as the data plane asks it: for the first call of each of 500 tools
//! since anything has changed, for each of their later calls, and for a list of all of them.

#![expect(clippy::print_stdout, reason = "a report for the terminal")]
#![expect(clippy::expect_used, reason = "what is written below is well-formed")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch needs the time")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::policies::Facts;
use domain::{
    Addresses, App, AppId, Assignment, AssignmentId, Attributes, Durability, EraSetting, Gateway,
    GatewayId, Kind, Lobby, Name, Policies, Policy, PolicyBook, PolicyText, Provision, Question,
    Review, Scheme, Server, ServerId, Table, TasksSetting, TeamId, Transport, User, UserId,
    Workspace, WorkspaceId,
};
use serde_json::json;
use uuid::Uuid;

const TOOLS: usize = 500;
const ROUNDS: usize = 20;

/// One of many policies, by its number.
type Make = fn(usize) -> String;

/// As workspaces have them, of teams, servers and tools, so that few have a say in one call; and as
/// bad as can be, where all of them have.
const SETS: [(&str, Make); 4] = [
    ("each of a team and a server", |n| {
        format!(r#"forbid(principal in Team::"t{n}", action, resource in Server::"s{n}");"#)
    }),
    ("each of a tool, by argument", |n| {
        let argument = "context.arguments.numbers";
        format!(
            r#"forbid(principal, action, resource == Tool::"jira/tool-{n}")
               unless {{ {argument}.hasTag("n") && {argument}.getTag("n") <= {n} + 1 }};"#
        )
    }),
    ("all of all, by clearance", |n| {
        let least = n + 9;
        format!(
            "forbid(principal, action, resource) when {{ principal.user.clearance > {least} }};"
        )
    }),
    ("all of all, by argument", |n| {
        let (argument, most) = ("context.arguments.numbers", n + 9);
        format!(
            r#"forbid(principal, action, resource)
               when {{ {argument}.hasTag("n") && {argument}.getTag("n") > {most} }};"#
        )
    }),
];

fn main() {
    println!(
        "{:<28} {:>8} {:>17} {:>17} {:>17}",
        "", "", "first call, µs", "later call, µs", "list, ms"
    );
    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "policies", "p50", "p99", "p50", "p99", "p50", "p99"
    );
    for (name, make) in SETS {
        for count in [0, 1, 100, 1_000] {
            report(name, make, count);
        }
    }
}

fn report(name: &str, make: Make, count: usize) {
    let texts = (0..count).map(|n| {
        let text = PolicyText::parse(&make(n)).expect("a policy");
        (named(&format!("p{n}")), Arc::new(text))
    });
    let book = PolicyBook::new(texts.collect());
    let arguments = json!({"n": 1});
    let now = DateTime::<Utc>::from_timestamp(1_767_225_600, 0);
    let list = Facts { now, address: Some([10, 0, 0, 1].into()), arguments: None };
    let call = Facts { arguments: Some(&arguments), ..list };
    let tools: Vec<String> = (0..TOOLS).map(|n| format!("tool-{n}")).collect();
    let (mut first, mut later, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let workspace = workspace(Policies::new(book.clone()));
        let ask = |tool: &String, facts: &Facts<'_>| {
            let began = Instant::now();
            black_box(workspace.policies.decide(&question(&workspace, tool), facts));
            began.elapsed()
        };
        first.extend(tools.iter().map(|it| ask(it, &call)));
        later.extend(tools.iter().map(|it| ask(it, &call)));
        lists.push(tools.iter().map(|it| ask(it, &list)).sum());
    }
    let us = |all: &mut Vec<Duration>| shares(all).map(|it| format!("{:.1}", it * 1e6));
    let ([a, b], [c, d]) = (us(&mut first), us(&mut later));
    let [e, f] = shares(&mut lists).map(|it| format!("{:.2}", it * 1e3));
    println!("{name:<28} {count:>8} {a:>8} {b:>8} {c:>8} {d:>8} {e:>8} {f:>8}");
}

/// In seconds: what half of them, and 99 of 100, took at most.
fn shares(all: &mut [Duration]) -> [f64; 2] {
    all.sort();
    [50, 99].map(|it| all.get(all.len() * it / 100).map_or(0.0, Duration::as_secs_f64))
}

fn question<'a>(workspace: &'a Workspace, tool: &'a str) -> Question<'a> {
    let gateway = workspace.gateways.values().next().expect("a gateway");
    Question {
        workspace,
        app: AppId(Uuid::from_u128(1)),
        user: workspace.users.values().next().expect("a user"),
        gateway,
        assignment: gateway.assignments.first().expect("a server"),
        kind: Kind::Tool,
        name: tool,
        hints: Some([None; 4]),
    }
}

/// The app `bot` of Ann, who is in five teams, and the server `jira` on the gateway `main`.
fn workspace(policies: Policies) -> Workspace {
    let id = Uuid::from_u128;
    let (user, app, server) = (UserId(id(2)), AppId(id(1)), ServerId(id(3)));
    let teams: Table<TeamId, Name> =
        (0..5).map(|n| (TeamId(id(10 + n)), named(&format!("t{n}")))).collect();
    let ann = User {
        id: user,
        name: named("ann"),
        teams: teams.keys().copied().collect(),
        attributes: Attributes { clearance: 3, ..Attributes::default() },
    };
    let jira = Arc::new(Server {
        id: server,
        name: named("jira"),
        transport: Transport::Http { url: "https://jira.example/mcp".to_owned() },
        era: EraSetting::Auto,
        tasks: TasksSetting::Relay,
        roots: false,
        review: Review::Off,
        labels: BTreeSet::new(),
        tool_labels: [].into(),
    });
    let assignment = Assignment {
        id: AssignmentId(id(4)),
        alias: named("jira"),
        server: Arc::clone(&jira),
        scheme: Scheme::Open,
        tools: Provision::All,
        prompts: Provision::All,
        resources: Provision::All,
    };
    let assignments = vec![Arc::new(assignment)];
    let main = Gateway {
        id: GatewayId(id(5)),
        name: named("main"),
        policy: Policy::compile(GatewayId(id(5)), &BTreeSet::new(), &[]).expect("a policy"),
        assignments,
        teams: teams.keys().copied().collect(),
        connections: Table::new(),
        rules: [].into(),
        addresses: Addresses::default(),
        autonomy: Duration::ZERO,
    };
    let bot = App {
        id: app,
        name: named("bot"),
        owner: user,
        addresses: Addresses::default(),
        picked: None,
        labels: BTreeSet::new(),
    };
    Workspace {
        id: WorkspaceId(id(6)),
        name: named("default"),
        durability: Durability::Written,
        users: [(user, ann)].into(),
        teams,
        apps: [(app, bot)].into(),
        servers: [(server, jira)].into(),
        identities: Table::new(),
        gateways: [(named("main"), Arc::new(main))].into(),
        limits: Vec::new(),
        authority: Arc::default(),
        addresses: Addresses::default(),
        lobby: Lobby::default(),
        policies: Arc::new(policies),
    }
}

fn named(text: &str) -> Name {
    text.parse().expect("a name")
}
