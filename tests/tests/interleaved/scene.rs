//! Who is there: 64 clients of both eras, 16 people, 8 servers of every kind, one gateway.

use std::fmt::Write;

use http::Method;
use serde_json::json;
use tests::client::{LEGACY, MODERN};
use tests::{Era, Served};

/// Two for each app, one of each era; two apps for each person.
pub(crate) const CLIENTS: usize = 64;
const APPS: usize = CLIENTS / 2;
const PEOPLE: usize = APPS / 2;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    /// The same without session ids.
    Sessionless,
    /// The transport of 2024-11-05: all calls of a session share one stream.
    Sse,
    /// Standard streams: all calls of all clients share them.
    Pipe,
}

/// The servers by number, and what a gateway with one thread has one connection to: the ways that
/// upstream traffic can take, all of them used at once.
pub(crate) const SERVERS: [(&str, Era, Way); 8] = [
    ("m0", Era::Modern, Way::Http),
    ("m1", Era::Modern, Way::Http),
    ("l2", Era::Legacy, Way::Http),
    ("l3", Era::Legacy, Way::Http),
    ("l4", Era::Legacy, Way::Sessionless),
    ("l5", Era::Legacy, Way::Sse),
    ("m6", Era::Modern, Way::Pipe),
    ("l7", Era::Legacy, Way::Pipe),
];

pub(crate) const PATH: &str = "/mcp/default/main";

pub(crate) fn era(client: usize) -> Era {
    if client.is_multiple_of(2) { Era::Modern } else { Era::Legacy }
}

/// Whether it can be asked something in a call.
pub(crate) fn is_askable(client: usize) -> bool {
    client % 8 < 6
}

fn person_of(app: usize) -> usize {
    app / 2
}

/// The client whom a record is about.
pub(crate) fn client_of(app: &str, revision: &str) -> Option<usize> {
    let app: usize = app.strip_prefix('a')?.parse().ok()?;
    match revision {
        MODERN => Some(2 * app),
        LEGACY => Some(2 * app + 1),
        _ => None,
    }
}

/// What a server is presented with when a client calls it.
pub(crate) fn presents(client: usize, server: usize) -> Option<String> {
    let (name, _, way) = SERVERS[server];
    let person = person_of(client / 2);
    (way != Way::Pipe).then(|| format!("Bearer u{person}-{name}"))
}

/// All documents; `places` are URLs, or ports for pipes.
pub(crate) fn documents(places: &[String]) -> String {
    let people: Vec<String> = (0..PEOPLE).map(|it| format!("u{it}")).collect();
    let mut text = format!("kind: Team\nname: all\nmembers: [{}]\n", people.join(", "));
    for person in people {
        write!(text, "---\nkind: User\nname: {person}\n").unwrap();
    }
    let mut assignments = String::new();
    for ((name, _, way), place) in SERVERS.iter().zip(places) {
        let (transport, scheme) = match way {
            Way::Http | Way::Sessionless => (format!(r#"type: http, url: "{place}""#), "own"),
            Way::Sse => (format!(r#"type: sse, url: "{place}""#), "own"),
            Way::Pipe => {
                let wire = env!("CARGO_BIN_EXE_stdio_wire");
                (format!(r#"type: stdio, command: "{wire}", args: ["{place}"]"#), "open")
            }
        };
        write!(
            text,
            "---\nkind: Server\nname: {name}\ntransport: {{ {transport} }}\nreview: off\n"
        )
        .unwrap();
        writeln!(assignments, "  - {{ server: {name}, scheme: {scheme} }}").unwrap();
    }
    write!(text, "---\nkind: Gateway\nname: main\nteams: [all]\nassignments:\n{assignments}")
        .unwrap();
    for app in 0..APPS {
        write!(
            text,
            "---\nkind: App\nname: a{app}\nowner: u{}\npurpose: to call\ngateways: [{{ gateway: main }}]\n",
            person_of(app)
        )
        .unwrap();
    }
    text
}

/// Everybody gets a credential of their own for every server that asks for one, and every app a
/// token.
pub(crate) async fn tokens(served: &Served) -> Vec<String> {
    let servers: Vec<&str> =
        SERVERS.iter().filter(|it| it.2 != Way::Pipe).map(|(name, ..)| *name).collect();
    let credential = |person: usize, server: &str| format!("u{person}-{server}");
    for person in 0..PEOPLE {
        for server in &servers {
            let name = credential(person, server);
            let headers = json!({"Authorization": format!("Bearer {name}")});
            let owner = format!("u{person}");
            let new = json!({"name": name, "server": server, "owner": owner, "headers": headers});
            served.must(Method::POST, "identities", Some(new)).await;
        }
    }
    let mut tokens = Vec::new();
    for app in 0..APPS {
        let all: Vec<String> = servers.iter().map(|it| credential(person_of(app), it)).collect();
        let path = format!("apps/a{app}/connections/main");
        served.must(Method::PATCH, &path, Some(json!({"identities": all}))).await;
        tokens.push(served.token(&format!("a{app}"), "t").await);
    }
    tokens
}
