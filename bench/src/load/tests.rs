//! The load against the upstream double and the floor, both in this process.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Deed, Span, Streams, Target, closed, once, open};
use crate::payload::{LARGE, MEDIUM, SMALL};
use crate::upstream::{self, FEW, TOOL};
use crate::{cores, floor};

#[test]
fn every_deed_is_done_directly_and_through_the_floor() {
    let cores = cores::ours().unwrap();
    let upstream = upstream::start(&cores).unwrap();
    let floor = floor::start(&cores, upstream, None).unwrap();
    for address in [upstream, floor] {
        let target = target(address);
        let deeds = [
            Deed::Call(SMALL),
            Deed::Call(MEDIUM),
            Deed::Call(LARGE),
            Deed::LegacyCall(SMALL),
            Deed::List,
            Deed::Arrive,
        ];
        for deed in deeds {
            once(&target, deed, &cores).unwrap();
            let outcome = closed(&target, deed, 3, SHORT, &cores).unwrap();
            assert!(outcome.done_in_all >= outcome.done, "{deed:?}");
            assert_eq!(outcome.latency.len(), outcome.done, "{deed:?}");
        }
        Streams::open(&target, 20, &cores).unwrap().are_open().unwrap();
    }
}

#[test]
fn an_open_loop_sends_at_its_rate_however_slow_the_answers_are() {
    let cores = cores::ours().unwrap();
    let target = target(upstream::start(&cores).unwrap());
    let outcome = open(&target, Deed::Call(SMALL), 1000, SHORT, &cores).unwrap();
    assert_eq!((outcome.done, outcome.done_in_all), (40, 50));
}

#[test]
fn an_answer_that_is_not_what_it_should_be_ends_the_run() {
    let cores = cores::ours().unwrap();
    let right = target(upstream::start(&cores).unwrap());
    let cases = [
        (Deed::List, Target { tools: FEW + 1, ..right.clone() }, "a list of 10 tools and not 11"),
        (Deed::Call(SMALL), Target { tool: "other".into(), ..right.clone() }, "content was"),
        (Deed::Call(SMALL), Target { path: "/mcp/3".into(), ..right }, "status 404"),
    ];
    for (deed, target, expected) in cases {
        let error = closed(&target, deed, 2, SHORT, &cores).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
}

const SHORT: Span = Span { warm_up: Duration::from_millis(10), time: Duration::from_millis(40) };

fn target(address: SocketAddr) -> Target {
    let (path, tool) = (format!("/mcp/{FEW}"), TOOL.to_owned());
    Target { address, tls: None, path, token: None, more_tokens: Vec::new(), tool, tools: FEW }
}
