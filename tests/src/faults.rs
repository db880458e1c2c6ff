//! Faults at chosen system calls, and what was on disk when: both by `strace`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One system call of a trace, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The thread.
    pub thread: u32,
    pub name: String,
    /// Its arguments as they stand in the trace.
    pub arguments: String,
    /// What it gave; nothing where it did not return, or failed.
    pub result: Option<u64>,
}

/// What happens in a trace, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Begins(usize),
    Ends(usize),
}

/// A trace that has been read.
#[derive(Debug, Default)]
pub struct Trace {
    pub calls: Vec<Call>,
    pub events: Vec<Event>,
}

/// The words before a command that let it run with a fault, like `fdatasync:error=EIO:when=3`, in
/// calls that concern one of the paths.
pub fn tracer(log: &Path, fault: Option<&str>, paths: &[PathBuf]) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["strace", "-f", "-qq", "-y", "-xx", "-s", "1000000", "-o"]
        .iter()
        .map(Into::into)
        .collect();
    words.push(log.into());
    words.push("-e".into());
    words.push(format!("trace={}", CALLS.join(",")).into());
    words.push("-e".into());
    words.push("signal=none".into());
    for path in paths {
        words.push("-P".into());
        words.push(path.into());
    }
    if let Some(fault) = fault {
        words.push("-e".into());
        words.push(format!("inject={fault}").into());
    }
    words
}

/// All that changes a file system, or makes a change durable.
pub const CALLS: [&str; 14] = [
    "openat",
    "mkdir",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "ftruncate",
    "fallocate",
    "rename",
    "renameat2",
    "unlink",
    "fdatasync",
    "fsync",
    "syncfs",
];

/// Those that are worth a crash before them.
pub const POINTS: [&str; 11] = [
    "mkdir",
    "write",
    "writev",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "rename",
    "unlink",
    "fdatasync",
    "fsync",
    "syncfs",
];

impl Trace {
    pub fn read(log: &Path) -> Self {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let mut trace = Self::default();
        let mut open: BTreeMap<(u32, String), usize> = BTreeMap::new();
        for line in text.lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Ok(thread) = thread.parse() else { continue };
            trace.line(thread, rest.trim_start(), &mut open);
        }
        trace
    }

    fn line(&mut self, thread: u32, rest: &str, open: &mut BTreeMap<(u32, String), usize>) {
        if let Some(rest) = rest.strip_prefix("<... ") {
            let Some((name, rest)) = rest.split_once(" resumed>") else { return };
            let Some(number) = open.remove(&(thread, name.to_owned())) else { return };
            let (more, result) = split_result(rest);
            self.calls[number].arguments.push_str(more);
            self.calls[number].result = result;
            self.events.push(Event::Ends(number));
            return;
        }
        let Some((name, rest)) = rest.split_once('(') else { return };
        if !CALLS.contains(&name) {
            return;
        }
        let number = self.calls.len();
        let mut call =
            Call { thread, name: name.to_owned(), arguments: String::new(), result: None };
        self.events.push(Event::Begins(number));
        if let Some(rest) = rest.strip_suffix(" <unfinished ...>") {
            rest.clone_into(&mut call.arguments);
            open.insert((thread, name.to_owned()), number);
        } else {
            let (arguments, result) = split_result(rest);
            arguments.clone_into(&mut call.arguments);
            call.result = result;
            self.events.push(Event::Ends(number));
        }
        self.calls.push(call);
    }

    /// How often each call was made by the thread that made it most, of those that concern one of
    /// these paths.
    pub fn counts(&self, paths: &[PathBuf]) -> BTreeMap<String, u32> {
        let mut by_thread: BTreeMap<(&str, u32), u32> = BTreeMap::new();
        for call in &self.calls {
            if call.paths().iter().any(|it| paths.contains(it)) {
                *by_thread.entry((&call.name, call.thread)).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((name, _), count) in by_thread {
            let known: &mut u32 = most.entry(name.to_owned()).or_default();
            *known = count.max(*known);
        }
        most
    }
}

impl Call {
    /// The paths in its arguments: those of its descriptors, and those that it names.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut rest = self.arguments.as_str();
        while let Some((_, from)) = rest.find(['<', '"']).and_then(|at| rest.split_at_checked(at)) {
            let is_text = from.starts_with('"');
            let inside = from.get(1..).unwrap_or_default();
            let Some((inside, next)) = inside.split_once(if is_text { '"' } else { '>' }) else {
                break;
            };
            // What is written is no path, though it may look like one.
            if !is_text || !self.writes() {
                found.push(PathBuf::from(OsString::from_vec(unhex(inside))));
            }
            rest = next;
        }
        found
    }

    /// What it writes.
    pub fn data(&self) -> Vec<u8> {
        let inside = self.arguments.split_once('"').map_or("", |(_, it)| it);
        unhex(inside.split_once('"').map_or("", |(it, _)| it))
    }

    /// Its last argument, where that is a number.
    pub fn last_number(&self) -> Option<u64> {
        self.arguments.rsplit(", ").next()?.parse().ok()
    }

    fn writes(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "pwrite64" | "pwritev")
    }
}

/// Arguments and result, of which a failure is none.
fn split_result(rest: &str) -> (&str, Option<u64>) {
    let Some((arguments, result)) = rest.rsplit_once(" = ") else { return (rest, None) };
    let arguments = arguments.trim_end().strip_suffix(')').unwrap_or(arguments);
    let digits = result.split(|it: char| !it.is_ascii_digit()).next().unwrap_or_default();
    (arguments, digits.parse().ok())
}

/// What `-xx` writes as `\x2f\x61`; what it leaves as it is stays.
fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, next @ ..] = rest {
        if let [b'\\', b'x', high, low, after @ ..] = rest {
            bytes.push(16 * digit(*high) + digit(*low));
            rest = after;
        } else {
            bytes.push(*first);
            rest = next;
        }
    }
    bytes
}

fn digit(hex: u8) -> u8 {
    char::from(hex).to_digit(16).and_then(|it| it.try_into().ok()).unwrap_or_default()
}
