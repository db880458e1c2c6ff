//! The last step before a managed server's command: limits that hold for it and for all it starts.
//!
//! A process can be limited only from within, so the binary starts itself once more, sets the
//! limits and then becomes the command. The seam for a sandbox is the same: whatever wraps the
//! command is a prefix of the arguments.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{
    Resource, Rlimit, Signal, getpid, getppid, set_child_subreaper,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::set_no_new_privs;

/// What a managed server may use. Holds only where there is a launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Open files per process.
    pub open_files: u64,
    /// Size of any one file it writes, in bytes.
    pub file_bytes: u64,
    /// Processes and threads of its user, all servers of that user together.
    pub processes: Option<u64>,
    /// Address space per process, in bytes. JavaScript engines reserve far more than they use.
    pub memory_bytes: Option<u64>,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self { open_files: 1024, file_bytes: 1 << 30, processes: None, memory_bytes: None }
    }
}

impl ProcessLimits {
    /// The arguments that [`launch`] reads, up to and with the `--` before the command.
    pub(super) fn arguments(&self) -> Vec<String> {
        let parent = u64::from(std::process::id());
        let mut arguments = Vec::new();
        for (name, value) in [
            (PARENT, Some(parent)),
            (OPEN_FILES, Some(self.open_files)),
            (FILE_BYTES, Some(self.file_bytes)),
            (PROCESSES, self.processes),
            (MEMORY_BYTES, self.memory_bytes),
        ] {
            if let Some(value) = value {
                arguments.extend([name.to_owned(), value.to_string()]);
            }
        }
        arguments.push("--".to_owned());
        arguments
    }
}

/// Sets the limits in `arguments` on this process and becomes the command behind `--`. Comes back
/// only if that failed. For the binary's hidden subcommand.
#[must_use]
pub fn launch(arguments: &[String]) -> io::Error {
    match prepare(arguments) {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

fn prepare(arguments: &[String]) -> io::Result<Command> {
    let odd = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let mut rest = arguments.iter();
    // It dies with us, and nothing it starts can gain rights. What its children leave behind
    // becomes its own child, so that it can be found when the server is stopped.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_no_new_privs(true)?;
    set_child_subreaper(Some(getpid()))?;
    limit(Resource::Core, 0)?;
    loop {
        let name = rest.next().ok_or_else(|| odd("no `--` before the command"))?;
        if name == "--" {
            break;
        }
        let value = rest.next().and_then(|value| value.parse().ok());
        let value: u64 = value.ok_or_else(|| odd("a limit is not a number"))?;
        match name.as_str() {
            PARENT => {
                // If the parent died before its death could be signalled, there is nobody to
                // serve.
                let parent = getppid().map(|pid| u64::from(pid.as_raw_pid().unsigned_abs()));
                if parent != Some(value) {
                    return Err(odd("the parent has ended"));
                }
            }
            OPEN_FILES => limit(Resource::Nofile, value)?,
            FILE_BYTES => limit(Resource::Fsize, value)?,
            PROCESSES => limit(Resource::Nproc, value)?,
            MEMORY_BYTES => limit(Resource::As, value)?,
            _ => return Err(odd("an unknown limit")),
        }
    }
    let program = rest.next().ok_or_else(|| odd("no command"))?;
    let mut command = Command::new(program);
    command.args(rest);
    Ok(command)
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    // What is lower already stays so.
    let value = now.maximum.map_or(value, |maximum| maximum.min(value));
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    Ok(())
}

const PARENT: &str = "--parent";
const OPEN_FILES: &str = "--open-files";
const FILE_BYTES: &str = "--file-bytes";
const PROCESSES: &str = "--processes";
const MEMORY_BYTES: &str = "--memory-bytes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_they_are_read() {
        let limits = ProcessLimits { processes: Some(7), ..ProcessLimits::default() };
        let arguments = limits.arguments();
        let [.., name, value, end] = arguments.as_slice() else { panic!("{arguments:?}") };
        assert_eq!((name.as_str(), value.as_str(), end.as_str()), ("--processes", "7", "--"));
        assert!(!arguments.iter().any(|argument| argument == "--memory-bytes"));
    }
}
