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
    (MODERN, false, MODERN_ONLY, MODERN),
    ("modern→legacy", false, LEGACY_ONLY, MODERN),
    (LEGACY, true, LEGACY_ONLY, LEGACY),
    ("legacy→modern", true, MODERN_ONLY, LEGACY),
];

/// The same of another gateway, for those of one era to be compared with.
const OTHERS: [Pair; 2] = [
    ("other: modern", false, MODERN_ONLY, "other: modern"),
    ("other: legacy", true, LEGACY_ONLY, "other: legacy"),
];

const MODERN: &str = "modern→modern";
const LEGACY: &str = "legacy→legacy";

/// Calls through one gateway, and through another one if there is one; then what is held, each of it
/// by a gateway of its own.
pub(crate) fn table(
    run: &Run<'_>,
    asked: &Asked,
    (binary, against): (&Path, Option<&Path>),
) -> Result<Option<Table>> {
    if ![BRIDGED, SESSIONS, PARKED].iter().any(|it| asked.has(it)) {
        return Ok(None);
    }
    let mut figures = Figures::default();
    let setup = run.setup(binary, "ostiary-eras", "written", None);
    let mut contenders = columns(Gateway::set_up(setup)?.0, &PAIRS)?;
    if let Some(other) = against {
        let setup = run.setup(other, "ostiary-other", "written", None);
        let others = columns(Gateway::set_up(setup)?.0, &OTHERS)?;
        for (column, other) in [(MODERN, OTHERS[0].0), (LEGACY, OTHERS[1].0)] {
            let own = contenders.iter_mut().filter(|it| it.name == column);
            own.for_each(|it| it.compared_with = other);
        }
        contenders.extend(others);
    }
    if asked.has(BRIDGED) {
        figures.measure(BRIDGED_TRIALS, &contenders, run.bench);
    }
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
    let mut notes = Vec::new();
    if asked.has(PARKED) {
        notes.push(format!("calls that wait for their clients: {}", pains.parked));
    }
    if asked.has(SESSIONS) {
        notes.push(format!("legacy sessions: {}", pains.sessions));
    }
    let table = Table::new("between the eras", BRIDGED_ROWS, figures, &contenders);
    Ok(Some(table.with(notes)))
}

/// What calls through a gateway.
fn columns(gateway: Gateway<'_>, pairs: &[Pair]) -> Result<Vec<Contender>> {
    let targets: Vec<_> = pairs.iter().map(|it| gateway.in_front_of(it.2)).collect();
    let process = Rc::new(gateway.into_process());
    let columns = pairs.iter().zip(targets).map(|(pair, target)| {
        let (name, is_legacy, _, compared_with) = *pair;
        let (narrow, process) = (target?, Some(Rc::clone(&process)));
        let wide = narrow.clone();
        Ok(Contender { name, compared_with, is_legacy, process, narrow, wide })
    });
    columns.collect()
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
