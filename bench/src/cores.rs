//! Who runs where.
//!
//! What is measured gets cores of its own, two where there are four or more, and the load and the
//! upstream share the others. So a gateway cannot win by taking time from those who measure it.

use anyhow::{Context as _, Result};
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
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("binding a thread to cores {cores:?}"))
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
