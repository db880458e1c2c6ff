//! Processes of a run: started on their cores, looked at from outside, and ended with it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cores::{self, Confined};

/// A running process that is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// What it printed after `listening on`.
    pub(crate) url: String,
    /// What it printed before that, line by line.
    pub(crate) said: Vec<String>,
}

impl Process {
    /// Starts a command on `cores` and waits until it says `listening on URL`.
    ///
    /// Its standard error goes to `log`. Its standard input stays open for as long as we live, so
    /// that processes of our own notice when we do not.
    pub(crate) fn start(mut command: Command, cores: &[usize], log: &Path) -> Result<Self> {
        let errors = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let name = command.get_program().to_string_lossy().into_owned();
        // A child inherits the cores of the thread that starts it.
        let spawned = thread::scope(|scope| {
            let spawning = scope.spawn(|| {
                cores::pin(cores)?;
                command.spawn().with_context(|| format!("starting {name}"))
            });
            spawning.join().map_err(|_| anyhow!("the thread that starts {name} broke"))?
        });
        let mut process = Self { child: spawned?, url: String::new(), said: Vec::new() };
        let output = process.child.stdout.take().context("no standard output")?;
        let (lines, received) = mpsc::sync_channel(LINES);
        // Ends with the process; reads on, so that the process never waits for a reader.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _nobody_listens = lines.try_send(line);
            }
        });
        loop {
            let line = received.recv_timeout(START).map_err(|_| {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                anyhow!("{name} did not start:\n{log}")
            })?;
            match line.strip_prefix("listening on ") {
                Some(url) => {
                    url.clone_into(&mut process.url);
                    return Ok(process);
                }
                None => process.said.push(line),
            }
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        for _ in 0..STOP_STEPS {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(STOP_STEP);
        }
        bail!("a process did not end when it was asked to")
    }

    /// Keeps it on these cores for as long as what is returned lives.
    pub(crate) fn confine(&self, cores: &[usize]) -> Result<Confined> {
        cores::confine(self.child.id(), cores)
    }

    /// CPU time that it has used, in seconds, to a hundredth.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_seconds(&stat).context("/proc/PID/stat is not as it should be")
    }

    /// Memory that it holds, in KiB.
    pub(crate) fn rss_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        kib.context("/proc/PID/status is not as it should be")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// User and system time from `/proc/PID/stat`, which counts in hundredths of a second.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name of the program, in parentheses, may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

/// Lines that are kept before somebody reads them.
const LINES: usize = 64;

const START: Duration = Duration::from_secs(20);

const STOP_STEP: Duration = Duration::from_millis(10);
const STOP_STEPS: u32 = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "12 (a) b (c)) S 1 12 12 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("12"), None);
    }
}
