//! The hardest promise, through the real binary: when the API that turns something off has answered,
//! no call that depends on it reaches a server any more, and what was under way has ended.
//!
//! `OSTIARY_CUTOFF_THROWS` sets how often something is turned off on each database while clients
//! call as fast as they can; a hundred times, as is usual, are some 70 000 calls. Of the ways to turn
//! something off, `OSTIARY_CUTOFF_ONLY` chooses those that have this text in their description, such
//! as `Member`.
//!
//! `OSTIARY_AWAY_SECONDS` sets for how long a gateway may do without its database, and how long that is
//! away; 8 s, as is usual, up to 60.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod autonomy;
mod away;
mod cluster;
mod faults;
mod fleet;
mod held;
mod history;
mod kept;
mod lost;
mod midst;
mod paired;
mod parked;
mod postgres;
mod replicas;
mod scene;
mod streams;
mod takeover;

use http::Method;
use serde_json::{Value, json};
use tests::documents::http;
use tests::{Caller, Documents, Served};

/// A way to turn the victim's calls off.
#[derive(Clone, Copy, Debug)]
enum Switch {
    /// A cut-off of that kind and name.
    Cutoff(&'static str, &'static str),
    /// The app's token is revoked.
    Token,
    /// The app's owner leaves the team that may use the gateway.
    Member,
    /// The gateway exposes none of the server's tools any more.
    Narrowing,
    /// The app's connection chooses no credential any more.
    Choice,
}

const SWITCHES: [Switch; 12] = [
    Switch::Cutoff("server", "target"),
    Switch::Cutoff("gateway", "main"),
    Switch::Cutoff("app", "bot"),
    Switch::Cutoff("connection", "bot/main"),
    Switch::Cutoff("identity", "credential"),
    Switch::Token,
    Switch::Cutoff("user", "ann"),
    Switch::Cutoff("tool", "target/echo"),
    Switch::Cutoff("assignment", "main/target"),
    Switch::Member,
    Switch::Narrowing,
    Switch::Choice,
];

impl Switch {
    /// Whether all replicas have confirmed it, as far as it is said.
    async fn off(self, served: &Served) -> bool {
        match self {
            Self::Cutoff(kind, name) => {
                let held = cut(served, kind, name, None).await;
                return held["replicas"]["waited_out"] == json!([]);
            }
            Self::Token => {
                let tokens = served.must(Method::GET, "apps/bot/tokens", None).await;
                let name = tokens["items"][0]["name"].as_str().unwrap();
                served.must(Method::DELETE, &format!("apps/bot/tokens/{name}"), None).await;
            }
            Self::Member => drop(served.must(Method::DELETE, MEMBERSHIP, None).await),
            Self::Narrowing => expose(served, "nothing").await,
            Self::Choice => choose(served, &[]).await,
        }
        true
    }

    async fn on(self, served: &Served, caller: &Caller) {
        match self {
            Self::Cutoff(kind, name) => restore(served, kind, name).await,
            Self::Token => {
                let token = served.token("bot", "t").await;
                *caller.token.lock().unwrap() = token;
            }
            Self::Member => drop(served.must(Method::PUT, MEMBERSHIP, None).await),
            Self::Narrowing => expose(served, "all").await,
            Self::Choice => choose(served, &["credential"]).await,
        }
    }
}

const MEMBERSHIP: &str = "teams/dev/members/ann";

async fn expose(served: &Served, what: &str) {
    let patch = json!({"tools": {"expose": what}});
    served.must(Method::PATCH, "gateways/main/assignments/target", Some(patch)).await;
}

async fn choose(served: &Served, identities: &[&str]) {
    let patch = json!({"identities": identities});
    served.must(Method::PATCH, "apps/bot/connections/main", Some(patch)).await;
}

async fn cut(served: &Served, kind: &str, name: &str, seconds: Option<u64>) -> Value {
    let body = json!({"kind": kind, "name": name, "seconds": seconds, "reason": "a drill"});
    served.must(Method::POST, "cutoffs", Some(body)).await
}

async fn restore(served: &Served, kind: &str, name: &str) {
    let body = json!({"kind": kind, "name": name});
    served.must(Method::POST, "restores", Some(body)).await;
}

#[expect(clippy::disallowed_methods, reason = "tests are told of their size in no other way")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Ann's app `bot` on the gateway `main` with the server `target`, and beside it Bob's with nothing
/// in common.
fn documents(target: &str, other: &str) -> Documents {
    let chain = [
        ("ann", "dev", "target", target, "credential", "main", "bot"),
        ("bob", "ops", "elsewhere", other, "other-credential", "side", "other-bot"),
    ];
    chain.into_iter().fold(
        Documents::default(),
        |all, (user, team, server, url, identity, gateway, app)| {
            all.team(team, &[user])
                .server(server, &http(url))
                .identity(identity, server, Some(user))
                .gateway(gateway, team, &[&format!("server: {server}, scheme: own")])
                .app(app, user, &[&format!("gateway: {gateway}, identities: [{identity}]")])
        },
    )
}
