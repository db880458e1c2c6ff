//! Who runs where.
//!
//! What is measured gets cores of its own, two where there are four or more, and the load and the
//! upstream share the others. So a gateway cannot win by taking time from those who measure it. Where
//! single answers are timed, load and upstream are kept apart too: on one core they would wake each
//! other sooner than any two machines could, and on two they would not, by chance.

use anyhow::{Context as _, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which cores whoever is measured has, and which the load and the upstream have.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) measured: Vec<usize>,
    pub(crate) load: Vec<usize>,
    /// What a reader of the figures has to know.
    pub(crate) note: Option<String>,
}

impl Plan {
    /// Divides the cores that this process may use.
    pub(crate) fn of_this_machine() -> Result<Self> {
        Ok(Self::of(&ours()?))
    }

    fn of(cores: &[usize]) -> Self {
        let own = match cores.len() {
            0 | 1 => 0,
            2 | 3 => 1,
            _ => 2,
        };
        let (measured, load) = cores.split_at(own);
        match own {
            0 => Self {
                measured: cores.to_vec(),
                load: cores.to_vec(),
                note: Some("one core for all: the load takes time from what it measures".into()),
            },
            1 => Self {
                measured: measured.to_vec(),
                load: load.to_vec(),
                note: Some("fewer than four cores: what is measured has one of its own".into()),
            },
            _ => Self { measured: measured.to_vec(), load: load.to_vec(), note: None },
        }
    }
}

/// The cores that this process may use.
pub(crate) fn ours() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("reading which cores may be used")?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Binds the calling thread, and whatever it starts, to `cores`.
pub(crate) fn pin(cores: &[usize]) -> Result<()> {
    let set = set_of(cores);
    sched_setaffinity(None, &set).with_context(|| format!("binding a thread to cores {cores:?}"))
}

/// Threads that are bound to other cores for as long as this lives.
pub(crate) struct Confined {
    before: Vec<(Pid, CpuSet)>,
}

/// Binds all threads of a process to `cores`, for a while.
pub(crate) fn confine(process: u32, cores: &[usize]) -> Result<Confined> {
    let set = set_of(cores);
    let mut confined = Confined { before: Vec::new() };
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
        let thread = thread.context("a thread without a number")?;
        let before = sched_getaffinity(Some(thread))?;
        sched_setaffinity(Some(thread), &set)?;
        confined.before.push((thread, before));
    }
    Ok(confined)
}

impl Drop for Confined {
    fn drop(&mut self) {
        for (thread, before) in &self.before {
            // Fails only where the thread has ended.
            let _restored = sched_setaffinity(Some(*thread), before);
        }
    }
}

fn set_of(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_has_its_own_cores_where_there_are_some() {
        let cases = [
            (vec![3], vec![3], vec![3], true),
            (vec![0, 1], vec![0], vec![1], true),
            (vec![0, 1, 2, 3], vec![0, 1], vec![2, 3], false),
            (vec![4, 5, 6, 7, 8], vec![4, 5], vec![6, 7, 8], false),
        ];
        for (cores, measured, load, is_noted) in cases {
            let plan = Plan::of(&cores);
            assert_eq!(plan.measured, measured, "{cores:?}");
            assert_eq!(plan.load, load, "{cores:?}");
            assert_eq!(plan.note.is_some(), is_noted, "{cores:?}");
        }
    }
}
