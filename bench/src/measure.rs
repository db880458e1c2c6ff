//! What is measured, and the figures as they come.
//!
//! A trial is done with every contender in turn before the next one begins, and all of them again in
//! the next round: what a machine does beside us hits all of them alike.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::contender::Contender;
use crate::cores::Plan;
use crate::load::{self, Deed, Outcome, Span};
use crate::payload::{LARGE, MEDIUM, SMALL};
use crate::process::Process;
use crate::report;

/// One way to put load on a contender.
pub(crate) struct Trial {
    pub(crate) key: &'static str,
    deed: Deed,
    shape: Shape,
    /// Goes where many tools are.
    is_wide: bool,
    /// Part of the time that it gets.
    share: f64,
    /// Times single answers, and so keeps load and upstream apart.
    is_apart: bool,
}

enum Shape {
    /// So many connections, each as busy as it can be.
    Closed(usize),
    /// So many calls a second.
    Open(u32),
}

const fn closed(key: &'static str, deed: Deed, connections: usize) -> Trial {
    let is_wide = matches!(deed, Deed::List);
    // Each large result stays on the disk for as long as the run lasts.
    let share = if matches!(deed, Deed::Call(LARGE)) { 0.5 } else { 1.0 };
    let shape = Shape::Closed(connections);
    Trial { key, deed, shape, is_wide, share, is_apart: connections == 1 }
}

/// One call after the other.
pub(crate) static ALONE: Trial = closed("alone", Deed::Call(SMALL), 1);
/// As many small calls as go through.
pub(crate) static SMALL_CALLS: Trial = closed("small", Deed::Call(SMALL), 64);
pub(crate) static MEDIUM_CALLS: Trial = closed("medium", Deed::Call(MEDIUM), 64);
pub(crate) static LARGE_CALLS: Trial = closed("large", Deed::Call(LARGE), 16);
pub(crate) static LISTS: Trial = closed("lists", Deed::List, 16);
pub(crate) static ARRIVALS: Trial = closed("arrivals", Deed::Arrive, 64);
pub(crate) static STEADY: Trial =
    Trial { key: "steady", shape: Shape::Open(5000), ..closed("", Deed::Call(SMALL), 1) };

/// Of the first table.
static TRIALS: &[&Trial] =
    &[&ALONE, &SMALL_CALLS, &MEDIUM_CALLS, &LARGE_CALLS, &STEADY, &LISTS, &ARRIVALS];

/// Of the table about TLS.
pub(crate) static TLS_TRIALS: &[&Trial] = &[&ALONE, &SMALL_CALLS];

/// Of the table about eras.
pub(crate) static BRIDGED_TRIALS: &[&Trial] = &[&ALONE, &SMALL_CALLS];

/// A trial of no load, but of the process itself.
pub(crate) const PROCESS: &str = "process";
/// The same with a new data folder.
pub(crate) const NEW_FOLDER: &str = "new-folder";
/// Streams that are open and silent.
pub(crate) const STREAMS: &str = "streams";
/// The table about TLS.
pub(crate) const TLS: &str = "tls";
/// The table about eras.
pub(crate) const BRIDGED: &str = "bridged";
/// Legacy sessions whose clients are away.
pub(crate) const SESSIONS: &str = "sessions";
/// Calls that wait for their clients.
pub(crate) const PARKED: &str = "parked";

/// Which trials are asked for: those named, or all where none is.
pub(crate) struct Asked(Vec<String>);

impl Asked {
    pub(crate) fn new(keys: &[String]) -> Result<Self> {
        let mut known: Vec<_> = TRIALS.iter().map(|trial| trial.key).collect();
        known.extend([PROCESS, STREAMS, TLS, BRIDGED, SESSIONS, PARKED]);
        if let Some(key) = keys.iter().find(|key| !known.contains(&key.as_str())) {
            bail!("there is no trial `{key}`, but {}", known.join(", "));
        }
        Ok(Self(keys.to_vec()))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|asked| asked == key)
    }

    /// Whether anything of the first table is.
    pub(crate) fn plain(&self) -> bool {
        self.has(PROCESS) || self.has(STREAMS) || !self.trials().is_empty()
    }

    /// Of the first table.
    pub(crate) fn trials(&self) -> Vec<&'static Trial> {
        TRIALS.iter().copied().filter(|trial| self.has(trial.key)).collect()
    }
}

/// How long each trial lasts, and how often it is repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pains {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    /// Start-ups of the gateway.
    pub(crate) starts: usize,
    /// Idle streams, where the limit of open files allows them.
    pub(crate) streams: usize,
    /// Legacy sessions.
    pub(crate) sessions: usize,
    /// Calls that wait for their clients.
    pub(crate) parked: usize,
}

impl Pains {
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        time: Duration::from_millis(400),
        starts: 3,
        streams: 1_000,
        sessions: 1_000,
        parked: 500,
    };

    pub(crate) const FULL: Self = Self {
        rounds: 5,
        time: Duration::from_millis(1500),
        starts: 10,
        streams: 10_000,
        sessions: 10_000,
        parked: 10_000,
    };
}

/// What all trials share.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) pains: Pains,
    pub(crate) upstream: Process,
}

/// What a value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Deeds in a second.
    PerSecond,
    /// Microseconds.
    P50,
    /// Microseconds.
    P99,
    /// CPU seconds for 100 000 deeds of what stands in between.
    Cpu,
    /// MiB held while nothing happens.
    IdleMib,
    /// Milliseconds from the start of the process to the answer of the first call.
    FirstCallMs,
    /// KiB that one idle stream holds.
    StreamKib,
    /// The same of a legacy session.
    SessionKib,
    /// The same of a call that waits for its client.
    ParkedKib,
}

impl Metric {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::PerSecond => "per_second",
            Self::P50 => "p50_us",
            Self::P99 => "p99_us",
            Self::Cpu => "cpu_seconds_per_100k",
            Self::IdleMib => "idle_mib",
            Self::FirstCallMs => "first_call_ms",
            Self::StreamKib => "stream_kib",
            Self::SessionKib => "session_kib",
            Self::ParkedKib => "parked_kib",
        }
    }
}

/// One value of one contender in one round.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) trial: &'static str,
    pub(crate) contender: &'static str,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

/// A trial that a contender did not pass; it is not tried again.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) trial: &'static str,
    pub(crate) contender: &'static str,
    pub(crate) why: String,
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) samples: Vec<Sample>,
    pub(crate) failures: Vec<Failure>,
}

impl Figures {
    /// The values of all rounds, in their order.
    pub(crate) fn of(&self, contender: &str, trial: &str, metric: Metric) -> Vec<f64> {
        let is_asked =
            |s: &&Sample| s.contender == contender && s.trial == trial && s.metric == metric;
        self.samples.iter().filter(is_asked).map(|sample| sample.value).collect()
    }

    pub(crate) fn has_failed(&self, contender: &str, trial: &str) -> bool {
        self.failures.iter().any(|one| one.contender == contender && one.trial == trial)
    }

    pub(crate) fn note(
        &mut self,
        contender: &'static str,
        trial: &'static str,
        metric: Metric,
        value: f64,
    ) {
        self.samples.push(Sample { trial, contender, metric, value });
    }

    pub(crate) fn fail(
        &mut self,
        contender: &'static str,
        trial: &'static str,
        error: &anyhow::Error,
    ) {
        self.failures.push(Failure { trial, contender, why: format!("{error:#}") });
    }

    /// Does the trials with the contenders, round by round.
    pub(crate) fn measure(&mut self, trials: &[&Trial], contenders: &[Contender], bench: &Bench) {
        for round in 1..=bench.pains.rounds {
            for trial in trials {
                report::progress(&format!("round {round}: {}", trial.key));
                for contender in contenders {
                    if self.has_failed(contender.name, trial.key) {
                        continue;
                    }
                    if let Err(error) = self.one(trial, contender, bench) {
                        self.fail(contender.name, trial.key, &error);
                    }
                }
            }
        }
    }

    fn one(&mut self, trial: &Trial, contender: &Contender, bench: &Bench) -> Result<()> {
        let cpu = || contender.process.as_ref().map(|process| process.cpu_seconds()).transpose();
        let before = cpu()?;
        let outcome = trial.run(contender, bench)?;
        let after = cpu()?;
        let mut note = |metric, value| self.note(contender.name, trial.key, metric, value);
        note(Metric::PerSecond, outcome.per_second());
        note(Metric::P50, outcome.quantile(0.5));
        note(Metric::P99, outcome.quantile(0.99));
        if let (Some(before), Some(after)) = (before, after) {
            note(Metric::Cpu, (after - before) / outcome.done_in_all as f64 * 100_000.0);
        }
        Ok(())
    }
}

impl Trial {
    fn run(&self, contender: &Contender, bench: &Bench) -> Result<Outcome> {
        let target = if self.is_wide { &contender.wide } else { &contender.narrow };
        let time = bench.pains.time.mul_f64(self.share);
        let span = Span { warm_up: time / 5, time };
        let mut cores = bench.plan.load.as_slice();
        let mut _kept_apart = None;
        if self.is_apart && cores.len() > 1 {
            let (upstream, load) = cores.split_at(cores.len() / 2);
            _kept_apart = Some(bench.upstream.confine(upstream)?);
            cores = load;
        }
        let deed = match self.deed {
            Deed::Call(bytes) if contender.is_legacy => Deed::LegacyCall(bytes),
            deed => deed,
        };
        match self.shape {
            Shape::Closed(connections) => load::closed(target, deed, connections, span, cores),
            Shape::Open(rate) => load::open(target, deed, rate, span, cores),
        }
    }
}
