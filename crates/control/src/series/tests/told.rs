//! Calls as tests make them, and what they come to.

use std::collections::BTreeMap;

use audit::{Durability, Entry, Kind, Leaf};
use domain::{Clock as _, WorkspaceId};
use serde_json::Value;
use uuid::Uuid;

use super::{CALL, Call};
use crate::App;
use crate::series::Series;
use crate::testing::Api;

pub(super) async fn here(api: &Api) -> WorkspaceId {
    api.snapshot().await.config.workspaces["default"].id
}

/// Until all that has been recorded is in the tree.
pub(crate) async fn settle(api: &Api) {
    settle_in(&api.log, here(api).await).await;
}

pub(super) async fn settle_in(log: &audit::Log, workspace: WorkspaceId) {
    let Some(written) = log.tail(workspace.0, 1).pop() else { return };
    loop {
        let found = log.tail(workspace.0, 1).pop().unwrap();
        let size = log.checkpoint(workspace.0).map_or(0, |it| it.size);
        // Its place is known somewhat before the tree is told to have it.
        if written.sequence <= found.sequence && found.index.is_some_and(|it| it < size) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn count_all(api: &Api, series: &Series) {
    count_with(&api.control.app, series, here(api).await).await;
}

pub(super) async fn count_with(app: &App, series: &Series, workspace: WorkspaceId) {
    while series.catch_up(app, workspace).await.is_none() {}
}

/// By what is told apart the calls of each; and how many are under way.
pub(super) async fn counted_by_hand(
    api: &Api,
) -> (BTreeMap<&'static str, BTreeMap<String, u64>>, u64) {
    let workspace = here(api).await.0;
    let size = usize::try_from(api.log.checkpoint(workspace).unwrap().size).unwrap();
    let (mut begun, mut all) = (BTreeMap::new(), BTreeMap::<_, BTreeMap<_, _>>::new());
    for entry in api.log.entries(workspace, 0, size).unwrap() {
        let leaf: Value = serde_json::from_str(&entry.text).unwrap();
        let is_call = leaf["method"] == "tools/call";
        let call = leaf["call"].as_str().unwrap_or_default().to_owned();
        match entry.kind {
            Kind::Intent if is_call => drop(begun.insert(call, leaf)),
            Kind::Outcome => {
                let was = begun.remove(&call);
                if was.is_none() && leaf.get("total_us").is_some() || leaf["end"] == "answered_here"
                {
                    continue;
                }
                let end = match (leaf["end"].as_str().unwrap(), &leaf["error"]) {
                    ("answered", Value::Bool(true)) => "error",
                    ("policy", _) => "denied",
                    ("upstream", _) => "failed",
                    ("client_cancelled", _) => "cancelled",
                    (end, _) => end,
                };
                let was = was.unwrap_or_default();
                let text = |name: &str| was[name].as_str().unwrap_or_default().to_owned();
                let count = leaf["count"].as_u64().unwrap_or(1);
                let by = [
                    ("user", text("user")),
                    ("app", text("app")),
                    ("gateway", text("gateway")),
                    ("server", text("server")),
                    ("tool", text("name")),
                    ("outcome", end.to_owned()),
                ];
                for (by, value) in by {
                    *all.entry(by).or_default().entry(value).or_default() += count;
                }
            }
            _ => {}
        }
    }
    (all, begun.len() as u64)
}

/// Numbers that follow from the first.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn throw(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.throw(of.len() as u64)).unwrap()]
    }

    pub(super) fn call(&mut self) -> Call {
        Call {
            user: self.one(&[1, 2, 3]),
            server: self.one(&["jira", "wiki"]),
            tool: self.one(&["search", "read", "drop"]),
            end: self.one(&["answered", "upstream", "client_cancelled"]),
            is_error: self.one(&[true, false]),
            total_us: 10_000 + self.throw(10_000),
            upstream_us: self.throw(10_000),
        }
    }
}

pub(crate) async fn record(api: &Api, calls: &[Call]) {
    for call in calls {
        let begun = begin(api, *call).await;
        end(api, begun, *call).await;
    }
}

pub(crate) async fn begin(api: &Api, call: Call) -> Uuid {
    let id = api.clock.id();
    let leaf = Leaf::new(Kind::Intent).call(id).uuid("app", Uuid::from_u128(90));
    let leaf = leaf.uuid("user", Uuid::from_u128(call.user)).str("gateway", "main");
    let leaf = leaf.str("method", "tools/call").u64("request_bytes", 10).u64("request_tokens", 3);
    let leaf = leaf.str("server", call.server).str("offer", "tool").str("name", call.tool);
    write(api, Kind::Intent, leaf.finish()).await;
    id
}

pub(crate) async fn end(api: &Api, id: Uuid, call: Call) {
    let leaf = Leaf::new(Kind::Outcome).call(id).str("end", call.end).bool("error", call.is_error);
    let leaf = leaf.u64("total_us", call.total_us).u64("upstream_us", call.upstream_us);
    write(api, Kind::Outcome, leaf.u64("bytes", 20).u64("tokens", 6).finish()).await;
}

pub(crate) async fn refuse(api: &Api, end: &str, count: Option<u64>) {
    write(api, Kind::Outcome, refused(api, end, count)).await;
}

pub(super) fn refused(api: &Api, end: &str, count: Option<u64>) -> Vec<u8> {
    let leaf = Leaf::new(Kind::Outcome).call(api.clock.id()).str("end", end).bool("error", true);
    let leaf = match count {
        Some(count) => leaf.u64("count", count),
        None => leaf.str("method", "tools/call"),
    };
    leaf.finish()
}

/// What is no call.
pub(super) async fn talk(api: &Api) {
    let id = api.clock.id();
    let leaf = Leaf::new(Kind::Intent).call(id).str("method", "logging/setLevel").finish();
    write(api, Kind::Intent, leaf).await;
    end(api, id, CALL).await;
    let leaf = Leaf::new(Kind::Outcome).call(api.clock.id()).str("method", "tools/list");
    write(api, Kind::Outcome, leaf.str("end", "answered_here").finish()).await;
}

pub(super) async fn write(api: &Api, kind: Kind, leaf: Vec<u8>) {
    write_to(&api.log, api, kind, leaf).await;
}

pub(super) async fn write_to(log: &audit::Log, api: &Api, kind: Kind, leaf: Vec<u8>) {
    append(log, here(api).await.0, kind, leaf).await;
}

pub(super) async fn append(log: &audit::Log, workspace: Uuid, kind: Kind, leaf: Vec<u8>) {
    let written = log.append(Entry { workspace, kind, leaf }, Durability::Written);
    written.await.unwrap();
}

pub(super) async fn totals(api: &Api, query: &str) -> BTreeMap<String, u64> {
    let reply = api.get(&format!("series?{query}&from=2026-01-01T00:00:00Z")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    let shown: Value = reply.json();
    let lines = shown["lines"].as_array().unwrap();
    let line = |it: &Value| {
        let points = it["points"].as_array().unwrap();
        let sum: u64 = points.iter().map(|it| it["count"].as_u64().unwrap()).sum();
        assert_eq!(it["total"], sum, "{it}");
        (it["value"].as_str().unwrap_or("*").to_owned(), sum)
    };
    lines.iter().map(line).collect()
}
