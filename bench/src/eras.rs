//! What it costs where client and server are of different eras, and what is held for clients of
//! either era that are away.

use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::contender::Contender;
use crate::gateway::{Gateway, Setup};
use crate::load::{self, Target};
use crate::measure::{Asked, BRIDGED, BRIDGED_TRIALS, Figures, Metric, PARKED, SESSIONS};
use crate::report::{self, BRIDGED_ROWS, Table};
use crate::run::Run;
use crate::upstream::{ASKING, LEGACY_ONLY, MODERN_ONLY};

/// A column: client and server, whether the client is of the legacy era, the server, and the column
/// whose client is of the same era as its server.
type Pair = (&'static str, bool, &'static str, &'static str);

const PAIRS: [Pair; 4] = [
    ("modern→modern", false, MODERN_ONLY, "modern→modern"),
    ("modern→legacy", false, LEGACY_ONLY, "modern→modern"),
    ("legacy→legacy", true, LEGACY_ONLY, "legacy→legacy"),
    ("legacy→modern", true, MODERN_ONLY, "legacy→legacy"),
];

/// Calls through one gateway, then what is held, each of it by a gateway of its own.
pub(crate) fn table(run: &Run<'_>, asked: &Asked, binary: &Path) -> Result<Option<Table>> {
    if ![BRIDGED, SESSIONS, PARKED].iter().any(|it| asked.has(it)) {
        return Ok(None);
    }
    let mut figures = Figures::default();
    let gateway = Gateway::set_up(run.setup(binary, "ostiary-eras", "written", None))?.0;
    let targets = PAIRS.map(|(_, _, server, _)| gateway.in_front_of(server));
    let process = Rc::new(gateway.into_process());
    let mut contenders = Vec::new();
    for ((name, is_legacy, _, compared_with), target) in PAIRS.into_iter().zip(targets) {
        let (target, process) = (target?, Some(Rc::clone(&process)));
        let (narrow, wide) = (target.clone(), target);
        contenders.push(Contender { name, compared_with, is_legacy, process, narrow, wide });
    }
    if asked.has(BRIDGED) {
        figures.measure(BRIDGED_TRIALS, &contenders, run.bench);
    }
    drop(process);
    let pains = run.bench.pains;
    let mut held = Vec::new();
    if asked.has(SESSIONS) {
        for (name, _, server, _) in PAIRS.into_iter().filter(|it| it.1) {
            held.push((name, server, SESSIONS, Metric::SessionKib, pains.sessions));
        }
    }
    if asked.has(PARKED) {
        held.push(("modern→legacy", ASKING, PARKED, Metric::ParkedKib, pains.parked));
    }
    for (name, server, trial, metric, count) in held {
        report::progress(&format!("{count} {trial}: {name}"));
        let setup = run.setup(binary, "ostiary-holding", "written", None);
        let folder = setup.folder.join(format!("{trial}-{server}"));
        let hold = if trial == PARKED { load::parked } else { load::sessions };
        let cores = &run.bench.plan.load;
        let hold = |target: &Target| hold(target, count, cores);
        let setup = Setup { apps: MANY_APPS, folder, configuration: ROOM, ..setup };
        match kib_each(setup, server, hold, count) {
            Ok(kib) => figures.note(name, trial, metric, kib),
            Err(error) => figures.fail(name, trial, &error),
        }
    }
    Ok(Some(Table::new("between the eras", BRIDGED_ROWS, figures, &contenders)))
}

/// By how much a new gateway grows with each of what it is made to hold.
fn kib_each(
    setup: Setup<'_>,
    server: &str,
    hold: impl Fn(&Target) -> Result<()>,
    count: usize,
) -> Result<f64> {
    let gateway = Gateway::set_up(setup)?.0;
    let target = gateway.in_front_of(server)?;
    thread::sleep(SETTLED);
    let before = gateway.process().rss_kib()?;
    hold(&target)?;
    let after = gateway.process().rss_kib()?;
    Ok((after as f64 - before as f64) / count as f64)
}

/// Of one app 64 calls may wait, and of all of them together so many.
const MANY_APPS: usize = 160;
const ROOM: &str = "most_held_calls = 10240\n";

const SETTLED: Duration = Duration::from_secs(1);
