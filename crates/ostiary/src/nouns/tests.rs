use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

use super::{Act, Noun, table::NOUNS};
use crate::cli::{Cli, Command};

/// What is asked by commands of their own, or is for the console alone.
const ELSEWHERE: &[(&str, &str)] = &[
    ("get", "/openapi.json"),
    ("get", "/records"),
    ("get", "/records/{index}"),
    ("get", "/records/{index}/proof"),
    ("delete", "/records/content/{day}"),
    ("delete", "/session"),
    ("get", "/session"),
    ("post", "/session"),
    ("get", "/session/account"),
    ("get", "/session/options"),
    ("post", "/session/challenge"),
    ("post", "/session/passkey"),
    ("post", "/session/passkeys"),
    ("post", "/session/passkeys/challenge"),
    ("delete", "/session/passkeys/{passkey}"),
    ("delete", "/session/password"),
    ("post", "/session/password"),
    ("put", "/session/password"),
    ("post", "/session/set-up"),
    ("post", "/session/set-up/challenge"),
    ("post", "/session/step-up"),
    ("delete", "/sessions"),
    ("get", "/sessions"),
    ("delete", "/sessions/{session}"),
    ("post", "/workspaces/{workspace}/apply"),
    ("get", "/workspaces/{workspace}/changes/stream"),
    ("get", "/workspaces/{workspace}/cutoffs"),
    ("post", "/workspaces/{workspace}/cutoffs"),
    ("post", "/workspaces/{workspace}/diff"),
    ("post", "/workspaces/{workspace}/drills"),
    ("get", "/workspaces/{workspace}/export"),
    ("post", "/workspaces/{workspace}/gateways/{gateway}/calls"),
    ("get", "/workspaces/{workspace}/me/apps"),
    ("get", "/workspaces/{workspace}/me/calls"),
    ("get", "/workspaces/{workspace}/me/gateways"),
    ("get", "/workspaces/{workspace}/me/identities"),
    ("get", "/workspaces/{workspace}/overview"),
    ("get", "/workspaces/{workspace}/pins"),
    ("get", "/workspaces/{workspace}/pins/{pin}"),
    ("post", "/workspaces/{workspace}/pins/{pin}/approve"),
    ("post", "/workspaces/{workspace}/pins/{pin}/reject"),
    ("get", "/policy-schema"),
    ("get", "/workspaces/{workspace}/policies/{policy}/test"),
    ("post", "/workspaces/{workspace}/policy-simulations"),
    ("get", "/replicas"),
    ("get", "/workspaces/{workspace}/records"),
    ("get", "/workspaces/{workspace}/records/calls"),
    ("delete", "/workspaces/{workspace}/records/content/{day}"),
    ("get", "/workspaces/{workspace}/records/checkpoint"),
    ("get", "/workspaces/{workspace}/records/stream"),
    ("get", "/workspaces/{workspace}/records/{index}"),
    ("get", "/workspaces/{workspace}/records/{index}/proof"),
    ("post", "/workspaces/{workspace}/restores"),
    ("get", "/workspaces/{workspace}/series"),
    ("post", "/workspaces/{workspace}/servers/{server}/pins/approve"),
    ("get", "/workspaces/{workspace}/why"),
];

#[test]
fn every_route_of_the_api_has_a_command() {
    let document = include_str!("../../../../api/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                routes.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    for (method, path) in ELSEWHERE {
        assert!(routes.remove(&((*method).into(), (*path).into())), "{method} {path}");
    }
    for route in NOUNS.iter().flat_map(|it| asked_for(it)) {
        assert!(routes.remove(&route), "there is no {route:?}");
    }
    assert!(routes.is_empty(), "no command asks for {routes:?}");
}

/// The members of a body are those of the API's own document, each with its option.
#[test]
fn every_member_that_can_be_sent_has_an_option() {
    let document = include_str!("../../../../api/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    for noun in NOUNS {
        let path = format!("/paths/{}", pointer(&whole(noun.path)));
        let one = format!("/paths/{}", pointer(&format!("{}/{{{}}}", whole(noun.path), noun.word)));
        for (path, method, act) in [(path, "post", Act::Create), (one, "patch", Act::Update)] {
            let body = format!("{path}/{method}/requestBody/content/application~1json/schema/$ref");
            let Some(body) = document.pointer(&body).and_then(Value::as_str) else { continue };
            let schema = document.pointer(body.strip_prefix('#').unwrap()).unwrap();
            let known: BTreeSet<&str> =
                schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            let fields = noun.fields.iter().filter(|it| it.is_for(act)).map(|it| it.member);
            let mut own: BTreeSet<&str> = fields.filter(|it| *it != "env").collect();
            if matches!(act, Act::Create) {
                own.insert(noun.subject.member);
            }
            assert_eq!(own, known, "{} {method}", noun.word);
        }
    }
}

#[test]
fn every_example_is_a_command_line() {
    for noun in NOUNS {
        for verb in noun.verbs {
            let parsed = Cli::try_parse_from(words(verb.example));
            let command = parsed.map(|it| it.command).unwrap_or_else(|why| panic!("{why}"));
            let Command::Noun(asked) = command else { panic!("{}", verb.example) };
            assert_eq!((asked.noun.word, asked.verb.word), (noun.word, verb.word));
        }
    }
}

#[test]
fn the_grammar_holds_together() {
    Cli::command().debug_assert();
}

fn asked_for(noun: &Noun) -> Vec<(String, String)> {
    let all = whole(noun.path);
    let one = format!("{all}/{{{}}}", noun.word.replace('-', "_"));
    let mut routes = Vec::new();
    if let Some(everywhere) = noun.everywhere {
        routes.push(("get".to_owned(), whole(everywhere)));
    }
    for verb in noun.verbs {
        let (method, path) = match verb.act {
            Act::List => ("get", all.clone()),
            Act::Create | Act::Mint => ("post", all.clone()),
            Act::Show => ("get", one.clone()),
            Act::Empty(what) => ("delete", format!("{one}/{what}")),
            Act::Preview => ("get", format!("{one}/preview")),
            Act::Update => ("patch", one.clone()),
            Act::Delete => ("delete", one.clone()),
            Act::Revoke => {
                routes.push(("delete".to_owned(), "/admin-tokens/{admin_token}".to_owned()));
                ("delete", one.clone())
            }
            Act::Put(list, other) => ("put", format!("{one}/{list}/{{{other}}}")),
            Act::Take(list, other) => ("delete", format!("{one}/{list}/{{{other}}}")),
            Act::Own(_) => continue,
        };
        routes.push((method.to_owned(), path));
    }
    routes
}

fn whole(path: &str) -> String {
    if ["/workspaces", "/accounts", "/admin-tokens"].contains(&path) {
        path.to_owned()
    } else {
        format!("/workspaces/{{workspace}}{path}")
    }
}

fn pointer(path: &str) -> String {
    format!("/api/v1{path}").replace('/', "~1")
}

/// Splits a line as a shell would, as far as our examples go.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 0 {
            words.extend(part.split_whitespace().map(str::to_owned));
        } else {
            words.push(part.to_owned());
        }
    }
    words
}
