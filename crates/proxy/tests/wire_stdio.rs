//! Managed servers: real child processes, which are this very test program in another role.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod wire_child;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use proxy::wire::{Child, ChildLimits, ProcessLimits, WireError};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use wire_child::{Held, Server, arguments, ask, is_running, launcher, spec};

/// Not a test: the program plays the server that the other tests talk to.
#[test]
fn plays_the_server_when_told_to() {
    if let Some(role) = arguments() {
        wire_child::play(&role);
    }
}

/// Not a test: the program becomes the command that it is given.
#[test]
fn launches_when_told_to() {
    if let Some(arguments) = arguments() {
        panic!("{}", proxy::wire::launch(&arguments));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_find_their_answers_whatever_the_order() {
    let server = Server::start("shuffle").await;
    let calls = (0..200).map(|n| {
        let child = server.child.clone();
        async move {
            let answer = ask(&child, "echo", json!({"n": n})).await.unwrap();
            assert_eq!(answer["result"], json!({"n": n}));
        }
    });
    futures::future::join_all(calls).await;
    server.child.stop().await;
}

#[tokio::test]
async fn progress_comes_before_its_answer_and_to_its_own_call_only() {
    let server = Server::start("answer").await;
    let mut other = server.request("silence", json!({}), true);
    let mut exchange = server.request("progress", json!({}), true);
    let mut methods = Vec::new();
    while let Some(message) = exchange.next().await {
        let message: Value = serde_json::from_slice(&message.unwrap()).unwrap();
        methods.push(message["method"].as_str().unwrap_or("answer").to_owned());
    }
    let progress = "notifications/progress";
    assert_eq!(methods, [progress, progress, progress, "answer"]);
    let nothing = futures::poll!(Box::pin(other.next()));
    assert!(nothing.is_pending());
    // A caller that did not ask for progress is not given any.
    let mut plain = server.request("progress", json!({}), false);
    let first: Value = serde_json::from_slice(&plain.next().await.unwrap().unwrap()).unwrap();
    assert!(first.get("result").is_some(), "{first}");
}

#[tokio::test]
async fn h069_only_the_first_answer_counts_and_late_ones_are_discarded() {
    let mut server = Server::start("answer").await;
    let mut twice = server.request("twice", json!({}), false);
    let first: Value = serde_json::from_slice(&twice.next().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["result"], json!("first"));
    assert!(twice.next().await.is_none());
    // The answer of a call that has been given up, and answers to what was never asked.
    drop(server.request("echo", json!({}), false));
    server.ask("strangers", json!({})).await.unwrap();
    assert_eq!(server.ask("echo", json!(1)).await.unwrap()["result"], json!(1));
    assert!(server.events.try_recv().is_err());
}

#[tokio::test]
async fn what_belongs_to_no_call_goes_to_the_events() {
    let mut server = Server::start("answer").await;
    server.ask("announce", json!({})).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let event: Value = serde_json::from_slice(&server.events.recv().await.unwrap()).unwrap();
        seen.push(event["method"].clone());
    }
    assert_eq!(seen, ["notifications/tools/list_changed", "roots/list"]);
    // Our answer reaches the server, which then says what it got.
    let answer = r#"{"jsonrpc":"2.0","id":"s1","result":{"roots":[]}}"#;
    server.child.notify(Bytes::from_static(answer.as_bytes()), None).await.unwrap();
    let heard: Value = serde_json::from_slice(&server.events.recv().await.unwrap()).unwrap();
    assert_eq!(heard["params"], json!({"heard": "s1"}));
}

#[tokio::test]
async fn a_frame_stays_one_line_however_it_was_written() {
    let server = Server::start("answer").await;
    let id = server.child.next_id();
    let pieces = [
        format!("{{\r\n \"jsonrpc\": \"2.0\",\n \"id\": {id},\n"),
        " \"method\":\n\"echo\",\n \"params\":\r{\"a\":\n{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}"
            .to_owned(),
        "\n}\n}".to_owned(),
    ];
    let frame = pieces.map(Bytes::from).to_vec();
    let mut exchange = server.child.request(id, frame, false, Held::open().0);
    let answer: Value = serde_json::from_slice(&exchange.next().await.unwrap().unwrap()).unwrap();
    assert_eq!(answer["result"]["a"]["method"], json!("exit"));
    assert!(server.child.is_alive());
}

#[tokio::test]
async fn large_messages_pass_both_ways_at_once() {
    let server = Server::start("answer").await;
    let text = "x".repeat(4 << 20);
    let calls = (0..3).map(|_| server.ask("echo", json!({"text": text})));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.unwrap()["result"]["text"].as_str().unwrap().len(), text.len());
    }
}

#[tokio::test]
async fn a_frame_is_not_written_once_its_hold_has_closed() {
    let gate = Gate::start().await;
    let (hold, state) = Held::open();
    let mut held = gate.server.request_with("echo", json!("never"), false, hold);
    state.is_open.store(false, Ordering::SeqCst);
    let mut kept = gate.server.request("count", json!({}), false);
    let server = gate.open();
    assert!(matches!(held.next().await.unwrap(), Err(WireError::Closed { .. })));
    assert!(state.is_dropped.load(Ordering::SeqCst));
    let count: Value = serde_json::from_slice(&kept.next().await.unwrap().unwrap()).unwrap();
    assert_eq!(count["result"], json!(0), "the server has never seen it");
    assert!(server.child.is_alive());
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_is_never_written() {
    let gate = Gate::start().await;
    let (hold, state) = Held::open();
    drop(gate.server.request_with("echo", json!("never"), false, hold));
    assert!(state.is_dropped.load(Ordering::SeqCst), "nothing is left that could be written");
    let server = gate.open();
    assert_eq!(server.ask("count", json!({})).await.unwrap()["result"], json!(0));
}

#[tokio::test]
async fn a_hold_lasts_until_its_frame_has_been_written_and_no_longer() {
    let server = Server::start("answer").await;
    let (hold, answered) = Held::open();
    let mut exchange = server.request_with("echo", json!({}), false, hold);
    assert!(!answered.is_dropped.load(Ordering::SeqCst));
    exchange.next().await.unwrap().unwrap();
    assert!(answered.is_dropped.load(Ordering::SeqCst));
    let (hold, unanswered) = Held::open();
    let _exchange = server.request_with("silence", json!({}), false, hold);
    let (hold, line) = Held::open();
    server.child.notify(Bytes::from_static(FILLER), Some(hold)).await.unwrap();
    // Answered after the others have been written.
    server.ask("echo", json!({})).await.unwrap();
    assert!(unanswered.is_dropped.load(Ordering::SeqCst));
    assert!(line.is_dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_line_is_not_written_once_its_hold_has_closed_and_lasts_until_then() {
    let gate = Gate::start().await;
    let (open, written) = Held::open();
    gate.server.child.notify(Bytes::from_static(ECHO), Some(open)).await.unwrap();
    let (closed, skipped) = Held::open();
    gate.server.child.notify(Bytes::from_static(ECHO), Some(closed)).await.unwrap();
    assert!(!written.is_dropped.load(Ordering::SeqCst), "it waits to be written");
    skipped.is_open.store(false, Ordering::SeqCst);
    let server = gate.open();
    assert_eq!(server.ask("count", json!({})).await.unwrap()["result"], json!(1));
    for it in [written, skipped] {
        assert!(it.is_dropped.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn more_calls_than_may_wait_are_refused_at_once() {
    let gate = Gate::start_with(ChildLimits { queue: 2, ..ChildLimits::default() }).await;
    // The writer is busy with one frame, and two wait behind it.
    for _ in 0..2 {
        gate.server.child.notify(Bytes::from_static(FILLER), None).await.unwrap();
    }
    let busy = gate.server.request("echo", json!({}), false).next().await.unwrap();
    assert_eq!(busy, Err(WireError::Busy));
    let server = gate.open();
    server.child.notify(Bytes::from_static(FILLER), None).await.unwrap();
    server.child.notify(Bytes::from_static(FILLER), None).await.unwrap();
    server.child.notify(Bytes::from_static(FILLER), None).await.unwrap();
    server.ask("echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_server_that_exits_fails_its_calls_and_leaves_its_last_words() {
    let server = Server::start("answer").await;
    let mut waiting = server.request("silence", json!({}), false);
    let error = server.ask("exit", json!({})).await.unwrap_err();
    let reason = "the process exited with status 7".to_owned();
    assert_eq!(error, WireError::Closed { reason });
    assert_eq!(waiting.next().await.unwrap(), Err(error.clone()));
    assert!(waiting.next().await.is_none());
    assert!(!server.child.is_alive());
    assert!(
        server.child.stderr_tail().contains("I die \\u{1b}[31mnow"),
        "{}",
        server.child.stderr_tail()
    );
    assert_eq!(server.ask("echo", json!({})).await.unwrap_err(), error);
    server.child.stop().await;
    assert_eq!(server.child.notify(Bytes::from("{}"), None).await, Err(error));
}

#[tokio::test]
async fn a_server_ends_when_nobody_holds_it_any_more() {
    let server = Server::start("answer").await;
    let pid = server.pid;
    let weak = server.child.downgrade();
    assert!(weak.upgrade().is_some());
    drop(server);
    assert!(weak.upgrade().is_none());
    while is_running(pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_the_registrations_fault() {
    let mut spec = spec("answer");
    spec.command = "/nonexistent/server".to_owned();
    let (events, _) = mpsc::channel(1);
    let spawned = Child::spawn(&Handle::current(), &spec, ChildLimits::default(), events).await;
    assert!(matches!(spawned.err(), Some(WireError::Spawn { .. })));
}

#[tokio::test]
async fn h029_a_line_that_does_not_end_is_read_to_the_limit_and_the_server_killed() {
    let limits = ChildLimits { frame_bytes: 1 << 20, ..ChildLimits::default() };
    let server = Server::start_with("answer", limits).await;
    let error = server.ask("endless", json!({})).await.unwrap_err();
    assert!(matches!(error, WireError::Faulty { .. }), "{error:?}");
    server.child.stop().await;
    assert!(!is_running(server.pid));
}

#[tokio::test]
async fn h145_a_little_noise_is_skipped_and_much_of_it_is_faulty() {
    let limits = ChildLimits { noise_bytes: 10_000, ..ChildLimits::default() };
    let server = Server::start_with("answer", limits).await;
    for kind in ["words", "braces"] {
        for _ in 0..5 {
            let params = json!({"kind": kind, "bytes": 5_000});
            assert_eq!(server.ask("noise", params).await.unwrap()["result"], json!("after"));
        }
    }
    for kind in ["words", "braces"] {
        let server = Server::start_with("answer", limits).await;
        let error = server.ask("noise", json!({"kind": kind, "bytes": 50_000})).await.unwrap_err();
        assert!(matches!(error, WireError::Faulty { .. }), "{kind}: {error:?}");
        server.child.stop().await;
        assert!(!is_running(server.pid), "{kind}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_is_ended() {
    let limits = ChildLimits { write: Duration::from_millis(100), ..ChildLimits::default() };
    let gate = Gate::start_with(limits).await;
    let error = gate.server.ask("echo", json!("x".repeat(1 << 20))).await.unwrap_err();
    assert!(matches!(error, WireError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn h143_stopping_ends_the_whole_family_whatever_it_does() {
    let limits = ChildLimits { stop: Duration::from_millis(100), ..ChildLimits::default() };
    let mut spec = spec("answer");
    spec.launcher = Some(launcher());
    let server = Server::start_spec(spec, limits).await;
    let flood = json!({"bytes": 64 << 20});
    server.ask("flood", flood).await.unwrap();
    assert!(server.child.stderr_tail().len() <= limits.stderr_bytes_kept);
    // A child in the group, one in a session of its own, and an orphan in yet another; all of
    // them, like the server itself, ignore SIGTERM.
    let family = server.ask("family", json!({})).await.unwrap();
    let mut family: Vec<i32> = serde_json::from_value(family["result"].clone()).unwrap();
    assert_eq!(family.len(), 3);
    family.push(server.pid);
    for pid in &family {
        assert!(is_running(*pid), "{pid}");
    }
    server.child.stop().await;
    let left: Vec<bool> = family.into_iter().map(is_running).collect();
    assert_eq!(left, [false; 4]);
}

#[tokio::test]
async fn a_server_that_ends_by_itself_takes_its_process_group_along() {
    let server = Server::start("answer").await;
    let family = server.ask("family", json!({})).await.unwrap();
    let family: Vec<i32> = serde_json::from_value(family["result"].clone()).unwrap();
    server.ask("exit", json!({})).await.unwrap_err();
    server.child.stop().await;
    assert!(!is_running(family[0]), "the one in the group");
    for escaped in &family[1..] {
        wire_child::kill(*escaped);
    }
}

#[tokio::test]
async fn a_server_ends_with_its_last_handle() {
    let mut server = Server::start("answer").await;
    let pid = server.pid;
    drop(server.child);
    assert!(server.events.recv().await.is_none(), "its task has ended");
    assert!(wire_child::has_ended(pid).await);
}

#[tokio::test]
async fn h144_a_server_inherits_no_environment_and_no_files() {
    // Something to inherit: a file, a socket, and another server's pipes.
    let ours = (fs::File::open("/proc/self/exe").unwrap(), TcpListener::bind("127.0.0.1:0"));
    let other = Server::start("answer").await;
    let mut expected = vec![0, 1, 2];
    expected.extend(wire_child::hand_me_downs());
    for launcher in [None, Some(launcher())] {
        let mut spec = spec("answer");
        spec.env.insert("GIVEN".to_owned(), "yes".to_owned());
        spec.launcher = launcher;
        let server = Server::start_spec(spec, ChildLimits::default()).await;
        let seen = server.ask("surroundings", json!({})).await.unwrap();
        let seen = &seen["result"];
        let names: Vec<&str> =
            seen["env"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["GIVEN", "HOME", "LANG", "PATH"]);
        assert_eq!(seen["files"], json!(expected));
        let home = seen["env"]["HOME"].as_str().unwrap();
        assert_eq!(seen["cwd"], json!(home));
        assert_eq!(seen["home_mode"], json!(0o700));
        assert!(fs::exists(home).unwrap());
        server.child.stop().await;
        assert!(!fs::exists(home).unwrap(), "what it left behind is gone");
    }
    drop((ours, other));
}

#[tokio::test]
async fn a_launched_server_lives_within_its_limits() {
    let mut spec = spec("answer");
    spec.launcher = Some(launcher());
    spec.limits = ProcessLimits { open_files: 77, file_bytes: 4096, ..ProcessLimits::default() };
    let server = Server::start_spec(spec, ChildLimits::default()).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid)).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values = line.trim_start_matches(name).split_whitespace().take(2);
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files"), ["77", "77"]);
    assert_eq!(limit("Max file size"), ["4096", "4096"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid)).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

const ECHO: &[u8] = br#"{"jsonrpc":"2.0","id":1000000,"method":"echo","params":{}}"#;
const FILLER: &[u8] = br#"{"jsonrpc":"2.0","method":"filler"}"#;

/// A server that reads nothing after its first frame until it is let.
struct Gate {
    server: Server,
    latch: std::net::TcpStream,
}

impl Gate {
    async fn start() -> Self {
        Self::start_with(ChildLimits::default()).await
    }

    async fn start_with(limits: ChildLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::start_with("answer", limits).await;
        let port = listener.local_addr().unwrap().port();
        server.ask("wait", json!({"port": port})).await.unwrap();
        let (mut latch, _) = listener.accept().unwrap();
        latch.read_exact(&mut [0]).unwrap();
        server.fill().await;
        Self { server, latch }
    }

    fn open(mut self) -> Server {
        self.latch.write_all(b"!").unwrap();
        self.server
    }
}
