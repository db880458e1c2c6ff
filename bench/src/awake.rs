//! Cores that do not sleep.
//!
//! A core with nothing to do halts, and to wake it costs a virtual machine some 30 µs, which says
//! nothing about what is measured. A thread that runs only where no other wants to keeps it from
//! that. It is an option, since a gateway in the field has no such help.

use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result};

use crate::{cores, report};

/// The process that keeps all cores busy; ends with this.
pub(crate) struct Awake(Child);

/// Starts it under the scheduling policy `SCHED_IDLE`.
pub(crate) fn keep() -> Result<Awake> {
    let mut command = Command::new("chrt");
    command.args(["--idle", "0"]).arg(std::env::current_exe()?).arg("awake");
    let child = command.stdin(Stdio::piped()).spawn();
    Ok(Awake(child.context("keeping the cores awake needs `chrt`, of util-linux")?))
}

/// Keeps `cores` busy for as long as the process lives.
pub(crate) fn spin(cores: &[usize]) {
    for core in cores.iter().copied() {
        thread::spawn(move || match cores::pin(&[core]) {
            Err(error) => report::complain(&format!("{error:#}")),
            Ok(()) => loop {
                std::hint::spin_loop();
            },
        });
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}
