//! The managed server that the tests talk to, and how they talk to it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proxy::wire::{Child, ChildExchange, ChildLimits, Hold, StdioSpec, WireError};
use rustix::process::{Pid, Signal, kill_process, setsid};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A running server of this test program.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) events: mpsc::Receiver<Bytes>,
    pub(crate) pid: i32,
}

impl Server {
    pub(crate) async fn start(role: &str) -> Self {
        Self::start_with(role, ChildLimits::default()).await
    }

    pub(crate) async fn start_with(role: &str, limits: ChildLimits) -> Self {
        Self::start_spec(spec(role), limits).await
    }

    pub(crate) async fn start_spec(spec: StdioSpec, limits: ChildLimits) -> Self {
        let (sender, events) = mpsc::channel(16);
        let child = Child::spawn(&Handle::current(), &spec, limits, sender).await.unwrap();
        let pid = ask(&child, "pid", json!({})).await.unwrap();
        let pid = pid["result"].as_i64().unwrap().try_into().unwrap();
        Self { child, events, pid }
    }

    pub(crate) fn request(&self, method: &str, params: Value, progress: bool) -> ChildExchange {
        self.request_with(method, params, progress, Held::open().0)
    }

    pub(crate) fn request_with(
        &self,
        method: &str,
        params: Value,
        progress: bool,
        hold: Box<dyn Hold>,
    ) -> ChildExchange {
        let id = self.child.next_id();
        self.child.request(id, vec![frame(id, method, &params)], progress, hold)
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Result<Value, WireError> {
        ask(&self.child, method, params).await
    }

    /// Sends more than the pipe holds, so that what comes after it must wait.
    pub(crate) async fn fill(&self) {
        let filler = json!({"jsonrpc": "2.0", "method": "filler", "params": "x".repeat(1 << 20)});
        self.child.notify(Bytes::from(filler.to_string()), None).await.unwrap();
    }
}

pub(crate) async fn ask(child: &Child, method: &str, params: Value) -> Result<Value, WireError> {
    let id = child.next_id();
    let frame = vec![frame(id, method, &params)];
    let mut exchange = child.request(id, frame, false, Held::open().0);
    let answer = tokio::time::timeout(Duration::from_secs(20), exchange.next()).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer to {method}")).unwrap()?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

fn frame(id: u64, method: &str, params: &Value) -> Bytes {
    let frame = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    Bytes::from(frame.to_string())
}

/// A hold that can be closed and watched.
pub(crate) struct Held(Arc<HoldState>);

pub(crate) struct HoldState {
    pub(crate) is_open: AtomicBool,
    pub(crate) is_dropped: AtomicBool,
}

impl Held {
    pub(crate) fn open() -> (Box<dyn Hold>, Arc<HoldState>) {
        let (is_open, is_dropped) = (AtomicBool::new(true), AtomicBool::new(false));
        let state = Arc::new(HoldState { is_open, is_dropped });
        (Box::new(Self(Arc::clone(&state))), state)
    }
}

impl Hold for Held {
    fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::SeqCst)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.is_dropped.store(true, Ordering::SeqCst);
    }
}

/// How to start this program in a role of [`play`].
pub(crate) fn spec(role: &str) -> StdioSpec {
    let [command, args @ ..] = program("plays_the_server_when_told_to", role);
    StdioSpec { command, args: args.to_vec(), ..StdioSpec::default() }
}

/// How to start this program as a launcher.
pub(crate) fn launcher() -> Vec<String> {
    let mut words = program("launches_when_told_to", "").to_vec();
    words.pop();
    words
}

fn program(test: &str, role: &str) -> [String; 7] {
    let program = fs::read_link("/proc/self/exe").unwrap().into_os_string().into_string().unwrap();
    let words = ["--exact", test, "--nocapture", "--test-threads=1", "--", role];
    let [a, b, c, d, e, f] = words.map(str::to_owned);
    [program, a, b, c, d, e, f]
}

/// What stands behind the first `--`, if there is one.
pub(crate) fn arguments() -> Option<Vec<String>> {
    let mut words = std::env::args().skip_while(|word| word != "--");
    words.next().map(|_| words.collect())
}

/// Whether it runs. One that has ended and waits for a parent that does not care does not.
pub(crate) fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

pub(crate) fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Waits for it to end, and no longer than a while.
pub(crate) async fn has_ended(pid: i32) -> bool {
    let ended = async {
        while is_running(pid) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.is_ok()
}

/// What we ourselves were given by whoever started us without closing it, beside the standard
/// streams.
pub(crate) fn hand_me_downs() -> Vec<i32> {
    open_files()
        .into_iter()
        .filter(|fd| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:\t"));
            let flags = u32::from_str_radix(flags.unwrap_or("2000000"), 8).unwrap();
            *fd > 2 && flags & O_CLOEXEC == 0
        })
        .collect()
}

const O_CLOEXEC: u32 = 0o2_000_000;

/// Plays a role until its input ends.
pub(crate) fn play(role: &[String]) {
    // The test harness has begun a line of its own.
    say_line("");
    match role.first().map(String::as_str) {
        Some("stubborn") => stay(),
        Some("alone") => {
            setsid().unwrap();
            stay();
        }
        // Leaves an orphan in a session of its own.
        Some("parent") => drop(relative("alone").spawn().unwrap()),
        Some("shuffle") => Player::default().shuffle(),
        _ => Player::default().answer(),
    }
}

/// Ends for no signal that can be ignored.
fn stay() {
    ignore_term();
    say_line(&format!("ready {}", std::process::id()));
    loop {
        std::thread::park();
    }
}

fn ignore_term() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    drop(signal(SignalKind::terminate()).unwrap());
}

fn relative(role: &str) -> Command {
    let [program, args @ ..] = program("plays_the_server_when_told_to", role);
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// Starts one and waits until it, or whatever it has left behind, is ready.
#[expect(clippy::zombie_processes, reason = "they are there to be left behind")]
fn breed(role: &str) -> u32 {
    let mut child = relative(role).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ready ")?.parse().ok());
    if role == "parent" {
        child.wait().unwrap();
    }
    pid.unwrap()
}

fn say(message: &Value) {
    say_line(&message.to_string());
}

fn say_line(line: &str) {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.write_all(b"\n").unwrap();
    out.flush().unwrap();
}

#[derive(Default)]
struct Player {
    echoes: u32,
}

impl Player {
    fn answer(&mut self) {
        for line in io::stdin().lock().lines() {
            let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
            self.react(&message);
        }
    }

    /// Answers by tens, the last of them first.
    fn shuffle(&mut self) {
        let mut waiting = Vec::new();
        for line in io::stdin().lock().lines() {
            let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if message["method"] == json!("pid") {
                self.react(&message);
                continue;
            }
            waiting.push(message);
            if waiting.len() == 10 {
                waiting.drain(..).rev().for_each(|message| self.react(&message));
            }
        }
    }

    fn react(&mut self, message: &Value) {
        let id = &message["id"];
        let params = message["params"].clone();
        let answer = |result: Value| say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        match message["method"].as_str() {
            None => {
                let params = json!({"heard": id});
                say(&json!({"jsonrpc": "2.0", "method": "notifications/heard", "params": params}));
            }
            Some("echo") => {
                self.echoes += 1;
                answer(params);
            }
            Some("count") => answer(json!(self.echoes)),
            Some("pid") => answer(json!(std::process::id())),
            Some("twice") => {
                answer(json!("first"));
                answer(json!("second"));
            }
            Some("family") => {
                ignore_term();
                answer(json!([breed("stubborn"), breed("alone"), breed("parent")]));
            }
            Some("surroundings") => answer(surroundings()),
            Some("exit") => {
                eprintln!("I die \u{1b}[31mnow");
                std::process::exit(7);
            }
            Some("silence" | "filler") => {}
            Some(method) => misbehave(method, id, &params),
        }
    }
}

fn misbehave(method: &str, id: &Value, params: &Value) {
    let bytes = usize::try_from(params["bytes"].as_u64().unwrap_or(0)).unwrap();
    let answer = |result: Value| say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
    match method {
        "progress" => {
            for n in 0..3 {
                let params = json!({"progressToken": id, "progress": n});
                let method = "notifications/progress";
                say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
            }
            answer(json!("after"));
        }
        "announce" => {
            let method = "notifications/tools/list_changed";
            say(&json!({"jsonrpc": "2.0", "method": method}));
            say(&json!({"jsonrpc": "2.0", "id": "s1", "method": "roots/list"}));
            answer(json!({}));
        }
        "strangers" => {
            for id in [json!(999_999), json!("1"), json!(-1)] {
                say(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
            }
            let error = json!({"code": -32700, "message": "?"});
            say(&json!({"jsonrpc": "2.0", "id": null, "error": error}));
            let params = json!({"progressToken": 999_999, "progress": 1});
            let method = "notifications/progress";
            say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
            answer(json!({}));
        }
        "noise" => {
            let start = if params["kind"] == json!("braces") { "{" } else { "warning: " };
            for _ in 0..bytes / 100 {
                say_line(&format!("{start:x<99}"));
            }
            answer(json!("after"));
        }
        "endless" => {
            let block = [b' '; 1 << 16];
            let mut out = io::stdout().lock();
            out.write_all(b"{").unwrap();
            while out.write_all(&block).is_ok() {}
        }
        "flood" => {
            let block = [b'!'; 1 << 16];
            for _ in 0..bytes / block.len() {
                io::stderr().write_all(&block).unwrap();
            }
            answer(json!({}));
        }
        "wait" => {
            let port = u16::try_from(params["port"].as_u64().unwrap()).unwrap();
            let mut latch = TcpStream::connect(("127.0.0.1", port)).unwrap();
            answer(json!({}));
            latch.write_all(b".").unwrap();
            latch.read_exact(&mut [0]).unwrap();
        }
        unknown => panic!("{unknown}"),
    }
}

fn surroundings() -> Value {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let files = open_files();
    let home_mode = fs::metadata(&env["HOME"]).unwrap().permissions().mode() & 0o7777;
    let cwd = std::env::current_dir().unwrap();
    json!({"env": env, "files": files, "home_mode": home_mode, "cwd": cwd})
}

fn open_files() -> Vec<i32> {
    let listed: Vec<i32> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().parse().unwrap())
        .collect();
    // The listing was open while it was made, and is not any more.
    let is_open = |fd: &i32| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
    let mut files: Vec<i32> = listed.into_iter().filter(is_open).collect();
    files.sort_unstable();
    files
}
