//! What the figures depend on beside the programs.

use std::fs::read_to_string;

use serde_json::{Value, json};

use crate::cores::Plan;

/// The machine, as it was before the run.
pub(crate) struct Machine {
    processor: String,
    kernel: String,
    /// Processes that wanted to run, over the last minute.
    load: f64,
    is_kept_awake: bool,
    plan: Plan,
}

impl Machine {
    pub(crate) fn look(plan: &Plan, is_kept_awake: bool) -> Self {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(": ")).map(|(_, model)| model);
        let load = read("/proc/loadavg");
        Self {
            processor: model.unwrap_or("unknown").to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
            is_kept_awake,
            plan: plan.clone(),
        }
    }

    /// For people, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let Self { processor, kernel, load, is_kept_awake, plan } = self;
        let (measured, others) = (&plan.measured, &plan.load);
        let mut notes = vec![
            format!("{processor}, Linux {kernel}"),
            format!("measured on cores {measured:?}, load and upstream on {others:?}"),
        ];
        notes.extend(plan.note.clone());
        if *is_kept_awake {
            notes.push("the cores were kept from sleeping".to_owned());
        }
        if *load > BUSY {
            notes.push(format!("the machine had other work (load {load}): do not trust the times"));
        }
        notes
    }

    pub(crate) fn as_json(&self) -> Value {
        json!({
            "processor": self.processor,
            "kernel": self.kernel,
            "load_before": self.load,
            "is_kept_awake": self.is_kept_awake,
            "measured_cores": self.plan.measured,
            "load_cores": self.plan.load,
        })
    }
}

/// Above this, what else runs decides the slowest calls.
const BUSY: f64 = 0.7;
