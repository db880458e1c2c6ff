//! Starting a managed server, and ending it with all that it has started.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tempfile::TempDir;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::StdioSpec;
use crate::wire::error::WireError;

/// A running server, leader of its own process group. Dropping it kills the group.
pub(super) struct Process {
    child: Child,
    leader: Pid,
    _home: TempDir,
}

/// Our ends of its standard streams.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

pub(super) fn start(handle: &Handle, spec: &StdioSpec) -> Result<(Process, Pipes), WireError> {
    let failed = |error: io::Error| WireError::Spawn { reason: error.to_string() };
    let home = tempfile::Builder::new().prefix("ostiary-server-").tempdir().map_err(failed)?;
    let mut command = command(spec, &home);
    let _runtime = handle.enter();
    let mut child = command.spawn().map_err(failed)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let leader = pid.expect("a child that has not been waited for has a process id");
    let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
    let ((stdin, stdout), stderr) = pipes.expect("all three streams are pipes");
    let process = Process { child, leader, _home: home };
    Ok((process, Pipes { stdin, stdout, stderr }))
}

fn command(spec: &StdioSpec, home: &TempDir) -> Command {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(launcher) = &spec.launcher {
        words.extend(launcher.iter().map(OsString::from));
        words.extend(spec.limits.arguments().into_iter().map(OsString::from));
    }
    words.push(OsString::from(&spec.command));
    words.extend(spec.args.iter().map(OsString::from));
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .env_clear()
        .env("PATH", spec.path.as_deref().unwrap_or(USUAL_PATH))
        .env("HOME", home.path())
        .env("LANG", "C.UTF-8")
        .envs(&spec.env)
        .current_dir(spec.cwd.as_deref().unwrap_or(home.path()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Process {
    /// How the server itself ended, in words. What it started may live on.
    pub(super) async fn wait(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => words(status),
            Err(error) => format!("the process was lost: {error}"),
        }
    }

    /// Asks the group to end, waits no longer than `grace`, and kills whatever is left.
    pub(super) async fn end(mut self, grace: Duration) {
        let mut family = Family::of(self.leader);
        self.signal(Signal::TERM);
        if timeout(grace, self.child.wait()).await.is_err() {
            // Whoever has come since; after the leader's death nobody could tell.
            family.0.append(&mut Family::of(self.leader).0);
        }
        self.signal(Signal::KILL);
        family.kill();
        let ended = futures::future::join(self.child.wait(), family.ended());
        if timeout(KILL_WAIT, ended).await.is_err() {
            tracing::warn!(process.id = self.leader.as_raw_pid(), "a killed server does not end");
        }
    }

    fn signal(&self, signal: Signal) {
        // Fails if nobody is left, which is what we want.
        if let Err(error) = kill_process_group(self.leader, signal) {
            tracing::debug!(process.id = self.leader.as_raw_pid(), %error, "no group to signal");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Only a process that is stuck in the kernel outlives its killing longer.
const KILL_WAIT: Duration = Duration::from_secs(5);

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the process exited with status {code}"),
        (None, Some(signal)) => format!("the process was ended by signal {signal}"),
        (None, None) => "the process ended".to_owned(),
    }
}

/// Descendants, held so that their ids cannot come to mean other processes.
struct Family(Vec<OwnedFd>);

impl Family {
    /// All processes below `root`, whatever group or session they have moved to.
    fn of(root: Pid) -> Self {
        let parents = parents();
        let mut members = vec![root.as_raw_pid()];
        let mut at = 0;
        while let Some(parent) = members.get(at).copied() {
            members.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        let below = members.into_iter().skip(1).filter_map(Pid::from_raw);
        Self(below.filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()).collect())
    }

    fn kill(&self) {
        for member in &self.0 {
            // Fails if it has ended.
            pidfd_send_signal(member, Signal::KILL).ok();
        }
    }

    /// Waits until all of them have ended.
    async fn ended(self) {
        for member in self.0 {
            // A handle of a process becomes readable when the process ends.
            if let Ok(member) = AsyncFd::with_interest(member, Interest::READABLE) {
                member.readable().await.ok();
            }
        }
    }
}

/// Every process that we may see, with its parent.
fn parents() -> Vec<(i32, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| Some((pid, parent(pid)?))).collect()
}

/// The fourth field of `/proc/PID/stat`; the second is a name in parentheses that may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}
