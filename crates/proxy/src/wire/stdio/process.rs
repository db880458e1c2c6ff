//! Starting a managed server, and ending it with all that it has started.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tempfile::TempDir;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::StdioSpec;
use crate::wire::error::WireError;

/// A running server, leader of its own process group. Dropping it kills the group.
pub(super) struct Process {
    child: Child,
    leader: Pid,
    is_over: bool,
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
    let ours_alone = fs::Permissions::from_mode(0o700);
    let home = tempfile::Builder::new().prefix("ostiary-server-").permissions(ours_alone).tempdir();
    let home = home.map_err(failed)?;
    let mut command = command(spec, &home);
    let _runtime = handle.enter();
    let mut child = command.spawn().map_err(failed)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let leader = pid.expect("a child that has not been waited for has a process id");
    let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
    let ((stdin, stdout), stderr) = pipes.expect("all three streams are pipes");
    let process = Process { child, leader, is_over: false, _home: home };
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

    /// Whom it has started. To be asked before its input is closed, which may end it: who has left
    /// its group can be found by no other trace.
    pub(super) fn family(&self) -> Family {
        Family::of(self.leader)
    }

    /// Asks the group to end, waits no longer than `grace`, and kills whatever is left.
    pub(super) async fn end(mut self, grace: Duration, mut family: Family) {
        self.signal(Signal::TERM);
        if timeout(grace, self.child.wait()).await.is_err() {
            // Whoever has come since; after the leader's death nobody could tell.
            family.0.append(&mut self.family().0);
        }
        self.signal(Signal::KILL);
        family.kill();
        let ended = futures::future::join(self.child.wait(), family.ended());
        self.is_over = timeout(KILL_WAIT, ended).await.is_ok();
        if !self.is_over {
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
        // Once all have ended, the group's id may come to mean another one.
        if !self.is_over {
            self.signal(Signal::KILL);
        }
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

/// A server's processes beside itself, held so that their ids cannot come to mean others.
pub(super) struct Family(Vec<(Pid, OwnedFd)>);

impl Family {
    /// All that descend from `leader`, whatever group or session they have moved to, and all that
    /// are in its group, whomever they have been left to.
    fn of(leader: Pid) -> Self {
        let leader = leader.as_raw_pid();
        let relatives = relatives();
        let mut members = vec![leader];
        members.extend(relatives.iter().filter(|it| it.group == leader).map(|it| it.pid));
        let mut at = 0;
        while let Some(parent) = members.get(at).copied() {
            let children = relatives.iter().filter(|it| it.parent == parent).map(|it| it.pid);
            let new: Vec<i32> = children.filter(|pid| !members.contains(pid)).collect();
            members.extend(new);
            at += 1;
        }
        members.retain(|pid| *pid != leader);
        let members = members.into_iter().filter_map(Pid::from_raw);
        Self(members.filter_map(|pid| Some((pid, hold(pid)?))).collect())
    }

    fn kill(&self) {
        for (_, member) in &self.0 {
            // Fails if it has ended.
            pidfd_send_signal(member, Signal::KILL).ok();
        }
    }

    /// Waits until all of them have ended.
    async fn ended(self) {
        // Dying takes a moment, and there is no signal for it that safe code can wait for.
        let is_alive = |pid: Pid| relative(pid.as_raw_pid()).is_some_and(|it| !it.is_over);
        while self.0.iter().any(|(pid, _)| is_alive(*pid)) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

fn hold(pid: Pid) -> Option<OwnedFd> {
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

struct Relative {
    pid: i32,
    parent: i32,
    group: i32,
    /// Has ended, and waits to be noticed by its parent.
    is_over: bool,
}

/// Every process that we may see.
fn relatives() -> Vec<Relative> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(relative).collect()
}

/// From `/proc/PID/stat`, whose second field is a name in parentheses that may hold anything.
fn relative(pid: i32) -> Option<Relative> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let is_over = matches!(fields.next(), Some("Z" | "X"));
    let mut numbers = fields.map(|field| field.parse().ok());
    Some(Relative { pid, parent: numbers.next()??, group: numbers.next()??, is_over })
}
