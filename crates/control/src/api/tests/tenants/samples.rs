//! How each route is asked: requests with holes.
//!
//! `{user}` stands for a user, in an address, a query or a body alike: for its name, or for its id.
//! Most requests follow from the route. What takes a query or a body stands in `samples.txt`, and a
//! test sees to it that this says something of each parameter and each member that the document
//! knows.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::Value;

use super::super::{Route, routes};
use crate::api::openapi;

/// What a hole can stand for.
pub(super) const KINDS: &[&str] = &[
    "app",
    "assignment",
    "callers",
    "connection",
    "gateway",
    "grant",
    "hash",
    "identity",
    "limit",
    "other",
    "pin",
    "places",
    "policy",
    "role",
    "rule",
    "server",
    "shared",
    "team",
    "token",
    "user",
    "user_token",
    "workspace",
];

/// Routes that are not asked like the others, and why.
const APART: &[(&str, &str)] = &[
    ("DELETE /accounts/{account}", ABOVE),
    ("DELETE /admin-tokens/{admin_token}", ABOVE),
    ("DELETE /records/content/{day}", ABOVE),
    ("DELETE /session", NO_WORKSPACE),
    ("DELETE /session/passkeys/{passkey}", NO_WORKSPACE),
    ("DELETE /session/password", NO_WORKSPACE),
    ("DELETE /sessions", NO_WORKSPACE),
    ("DELETE /sessions/{session}", NO_WORKSPACE),
    ("DELETE /workspaces/{workspace}", ABOVE),
    ("DELETE /workspaces/{workspace}/records/content/{day}", RECORDS),
    ("GET /accounts", ABOVE),
    ("GET /admin-tokens", ABOVE),
    ("GET /openapi.json", NO_WORKSPACE),
    ("GET /policy-schema", NO_WORKSPACE),
    ("GET /records", ABOVE),
    ("GET /records/{index}", ABOVE),
    ("GET /records/{index}/proof", ABOVE),
    ("GET /replicas", ABOVE),
    ("GET /session", NO_WORKSPACE),
    ("GET /session/account", NO_WORKSPACE),
    ("GET /session/options", NO_WORKSPACE),
    ("GET /sessions", NO_WORKSPACE),
    ("GET /workspaces", ABOVE),
    ("GET /workspaces/{workspace}/changes/stream", RECORDS),
    ("GET /workspaces/{workspace}/me/apps", OWN),
    ("GET /workspaces/{workspace}/me/calls", OWN),
    ("GET /workspaces/{workspace}/me/gateways", OWN),
    ("GET /workspaces/{workspace}/me/identities", OWN),
    ("GET /workspaces/{workspace}/overview", RECORDS),
    ("GET /workspaces/{workspace}/records", RECORDS),
    ("GET /workspaces/{workspace}/records/calls", RECORDS),
    ("GET /workspaces/{workspace}/records/checkpoint", RECORDS),
    ("GET /workspaces/{workspace}/records/stream", RECORDS),
    ("GET /workspaces/{workspace}/records/{index}", RECORDS),
    ("GET /workspaces/{workspace}/records/{index}/proof", RECORDS),
    ("GET /workspaces/{workspace}/series", RECORDS),
    ("PATCH /workspaces/{workspace}", ABOVE),
    ("POST /session", NO_WORKSPACE),
    ("POST /session/challenge", NO_WORKSPACE),
    ("POST /session/passkey", NO_WORKSPACE),
    ("POST /session/passkeys", NO_WORKSPACE),
    ("POST /session/passkeys/challenge", NO_WORKSPACE),
    ("POST /session/password", NO_WORKSPACE),
    ("POST /session/set-up", NO_WORKSPACE),
    ("POST /session/set-up/challenge", NO_WORKSPACE),
    ("POST /session/step-up", NO_WORKSPACE),
    ("POST /workspaces", ABOVE),
    ("PUT /session/password", NO_WORKSPACE),
];

pub(super) const ABOVE: &str = "it is for those above all workspaces";
pub(super) const NO_WORKSPACE: &str = "it is about no workspace";
pub(super) const OWN: &str = "what it shows is of whoever asks, who names nothing";
pub(super) const RECORDS: &str = "what it shows depends on the moment";

/// A request with holes.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) section: Section,
    pub(super) method: Method,
    /// As [`Api::ask`](crate::testing::Api::ask) takes it, with a query where there is one.
    pub(super) path: String,
    pub(super) body: Option<String>,
}

/// What a sample does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Reads,
    Acts,
    /// Acts that go by names only.
    Files,
    Creations,
    Deletions,
}

/// A place for a reference: the how manieth it is, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) number: usize,
    pub(super) kind: &'static str,
}

impl Sample {
    fn new(section: Section, method: &Method, path: &str, body: Option<&str>) -> Self {
        let path = format!("/workspaces/{{workspace}}{path}");
        Self { section, method: method.clone(), path, body: body.map(in_one_line) }
    }

    /// The route that it is a request to.
    pub(super) fn route(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    pub(super) fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        self.filled("", |hole| {
            holes.push(hole);
            String::new()
        });
        holes
    }

    /// The address and the body with something in each hole. `word` is for texts that name nothing.
    pub(super) fn filled(
        &self,
        word: &str,
        mut with: impl FnMut(Hole) -> String,
    ) -> (String, Option<String>) {
        let mut number = 0;
        let mut fill = |text: &str| {
            let mut filled = String::new();
            let mut rest = text;
            while let Some((before, after)) = rest.split_once('{') {
                filled.push_str(before);
                let known = after.split_once('}').and_then(|(name, after)| {
                    if name == "word" {
                        return Some((word.to_owned(), after));
                    }
                    let kind = *KINDS.iter().find(|it| **it == name)?;
                    number += 1;
                    Some((with(Hole { number: number - 1, kind }), after))
                });
                rest = match known {
                    Some((text, after)) => {
                        filled.push_str(&text);
                        after
                    }
                    None => {
                        filled.push('{');
                        after
                    }
                };
            }
            filled + rest
        };
        let path = fill(&self.path);
        (path, self.body.as_deref().map(fill))
    }

    /// What it makes is called so; where that is no name of its own, a reference.
    pub(super) fn name(&self) -> String {
        let body: Value = serde_json::from_str(self.body.as_deref().unwrap_or("null")).unwrap();
        let name = ["name", "alias", "gateway"].into_iter().find_map(|it| body[it].as_str());
        name.unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// A sample of each kind of request to every route that is not [`APART`].
pub(super) fn all() -> Vec<Sample> {
    let mut all = written();
    let is_written: BTreeSet<String> = all.iter().map(Sample::route).collect();
    let mut plain = Vec::new();
    for route in routes() {
        let path = route.path.strip_prefix("/api/v1").unwrap();
        let known = format!("{} {path}", route.method);
        if is_written.contains(&known) || APART.iter().any(|it| it.0 == known) {
            continue;
        }
        let path = path.strip_prefix("/workspaces/{workspace}");
        let path = path.unwrap_or_else(|| panic!("{known} is in no workspace, and not apart"));
        let section = match route.method {
            Method::GET => Section::Reads,
            Method::DELETE => Section::Deletions,
            _ => panic!("nothing is known of how {known} is asked"),
        };
        plain.push(Sample::new(section, &route.method, path, None));
    }
    all.splice(0..0, plain);
    all
}

/// What undoes the creations: the last one first.
pub(super) fn deletions(creations: &[Sample]) -> Vec<(Sample, String)> {
    let known: BTreeSet<String> = all().iter().map(Sample::route).collect();
    let undo = |it: &Sample| {
        let folder = it.path.split('?').next().unwrap();
        let route = known.iter().find_map(|it| {
            let last = it.strip_prefix(&format!("DELETE {folder}/{{"))?.strip_suffix('}')?;
            (!last.contains('/')).then(|| last.to_owned())
        });
        let last = route.unwrap_or_else(|| panic!("nothing undoes {}", it.route()));
        let sample = Sample {
            section: Section::Deletions,
            method: Method::DELETE,
            path: format!("{folder}/{{{last}}}"),
            body: None,
        };
        (sample, it.name())
    };
    creations.iter().rev().map(undo).collect()
}

fn written() -> Vec<Sample> {
    let mut all = Vec::new();
    let mut section = None;
    for block in include_str!("samples.txt").trim_end().split("\n\n") {
        if let Some(title) = block.strip_prefix("# ") {
            section = Some(match title.split(':').next() {
                Some("Reads") => Section::Reads,
                Some("Acts") => Section::Acts,
                Some("Files") => Section::Files,
                Some("Creations") => Section::Creations,
                _ => panic!("no section is called so: {title}"),
            });
            continue;
        }
        let (line, body) = match block.split_once('\n') {
            Some((line, body)) => (line, Some(body)),
            None => (block, None),
        };
        let (method, path) = line.split_once(' ').unwrap();
        all.push(Sample::new(section.unwrap(), &method.parse().unwrap(), path, body));
    }
    all
}

/// JSON takes no line breaks in strings; whoever reads a file does.
fn in_one_line(body: &str) -> String {
    let (mut line, mut is_within, mut is_escaped) = (String::new(), false, false);
    for c in body.chars() {
        match c {
            '\n' if is_within => line.push_str("\\n"),
            c => line.push(c),
        }
        is_within ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
    }
    line
}

/// A route, a parameter or a member that nothing is known of fails here.
#[test]
fn every_parameter_and_member_of_every_route_is_filled_with_something() {
    let all = all();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in &all {
        let members = known.entry(sample.route()).or_default();
        let query = sample.path.split_once('?').map_or("", |it| it.1);
        members.extend(query.split('&').filter_map(|it| Some(it.split_once('=')?.0.to_owned())));
        if let Some(body) = &sample.body {
            let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
            members.extend(body.as_object().unwrap().keys().cloned());
        }
        // What has braces is a hole, but in what is written in Cedar or YAML.
        let left = sample.filled("", |_| String::new());
        assert!(!left.0.contains('{'), "nothing is known of a hole in {}", left.0);
    }
    let document = serde_json::to_value(openapi()).unwrap();
    for route in routes() {
        let name = format!("{} {}", route.method, route.path.strip_prefix("/api/v1").unwrap());
        if let Some(said) = known.get(&name) {
            for asked in members(&document, &route) {
                assert!(said.contains(&asked), "no sample of {name} has `{asked}`");
            }
        }
    }
    for (route, _) in APART {
        let name =
            |it: &Route| format!("{} {}", it.method, it.path.strip_prefix("/api/v1").unwrap());
        let is_there = |it: &Route| *route == name(it);
        assert!(routes().iter().any(is_there), "there is no {route}");
    }
}

/// What a route takes beyond its address, but for pages.
fn members(document: &Value, route: &Route) -> BTreeSet<String> {
    let operation = serde_json::to_value(&route.operation).unwrap();
    let mut all = BTreeSet::new();
    for it in operation["parameters"].as_array().into_iter().flatten() {
        let name = it["name"].as_str().unwrap();
        if it["in"] == "query" && name != "limit" && name != "cursor" {
            all.insert(name.to_owned());
        }
    }
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(named) = schema["$ref"].as_str() {
        let schema = document.pointer(named.strip_prefix('#').unwrap()).unwrap();
        all.extend(schema["properties"].as_object().unwrap().keys().cloned());
    }
    all
}
