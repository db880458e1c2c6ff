//! One run, from the first process to the last figure.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Cli;
use crate::certificate::Certificate;
use crate::contender::{self, Contender};
use crate::cores::Plan;
use crate::gateway::{Gateway, Setup};
use crate::load::Streams;
use crate::measure::{Figures, Metric, Pains, TLS_TRIALS, TRIALS};
use crate::report::{self, NEW_FOLDER, PROCESS, ROWS, Row, STREAMS, TLS_ROWS};

/// Measures, prints and writes. Says whether everything measured answered as it should.
pub(crate) fn run(cli: &Cli) -> Result<bool> {
    let plan = Plan::of_this_machine()?;
    let pains = if cli.quick { Pains::QUICK } else { Pains::FULL };
    let files = raise_open_files()?;
    let home = Path::new("target/bench");
    std::fs::create_dir_all(home).context("creating target/bench")?;
    // On the disk of the checkout, because a folder for temporary files may be in memory, where
    // syncing costs nothing.
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(home)?;
    let folder = folder.path();

    let binary = gateway_binary(cli)?;
    let upstream = contender::upstream(&plan.load, folder)?;
    let setup = |name, durability, certificate| Setup {
        name,
        binary: binary.as_deref().unwrap_or(Path::new("ostiary")),
        durability,
        certificate,
        upstream: &upstream.url,
        folder: folder.join(name),
        cores: &plan.measured,
        load_cores: &plan.load,
    };
    let direct = contender::direct(&upstream)?;
    let certificate = Certificate::make(folder)?;
    let mut over_tls = vec![
        contender::direct(&upstream)?,
        contender::floor(&direct, Some(&certificate), &plan.measured, folder)?,
    ];
    let floor = contender::floor(&direct, None, &plan.measured, folder)?;
    let mut contenders = vec![direct, floor];
    let mut figures = Figures::default();
    let mut tls_figures = Figures::default();
    if binary.is_some() {
        let written = setup("ostiary-written", "written", None);
        contenders.push(start_ups(&mut figures, written, pains)?);
        let synced = setup("ostiary-synced", "synced", None);
        contenders.push(Gateway::set_up(synced)?.0.into_contender()?);
        let tls = setup("ostiary-written-tls", "written", Some(&certificate));
        over_tls.push(Gateway::set_up(tls)?.0.into_contender()?);
    }
    figures.measure(TRIALS, &contenders, &plan, pains);
    let notes = streams(&mut figures, &contenders, &plan, streams_allowed(files, pains));
    tls_figures.measure(TLS_TRIALS, &over_tls, &plan, pains);

    let names = |contenders: &[Contender]| contenders.iter().map(|it| it.name).collect::<Vec<_>>();
    let tables: [(&str, &[Row], &Figures, Vec<&str>); 2] = [
        ("plain", ROWS, &figures, names(&contenders)),
        ("tls", TLS_ROWS, &tls_figures, names(&over_tls)),
    ];
    print(&plan, &tables, &notes);
    let path = cli.json.clone().unwrap_or_else(|| PathBuf::from("target/bench/latest.json"));
    let json = serde_json::to_string_pretty(&report::as_json(&plan, &tables))?;
    std::fs::write(&path, json).with_context(|| format!("writing {}", path.display()))?;
    Ok(tables.iter().all(|(_, _, figures, _)| figures.failures.is_empty()))
}

/// The gateway that is to be measured; none where it is left out.
fn gateway_binary(cli: &Cli) -> Result<Option<PathBuf>> {
    if cli.no_gateway {
        return Ok(None);
    }
    let beside = std::env::current_exe()?.with_file_name("ostiary");
    let path = cli.gateway.clone().unwrap_or(beside);
    let missing =
        "build it with `cargo build --release -p ostiary`, or leave it out with --no-gateway";
    ensure!(path.exists(), "there is no gateway at {}: {missing}", path.display());
    Ok(Some(path))
}

/// Starts a gateway a few times, looks at what it holds while it is idle, and leaves it running.
fn start_ups(figures: &mut Figures, setup: Setup<'_>, pains: Pains) -> Result<Contender> {
    let name = setup.name;
    report::progress(&format!("starting {name}"));
    let (mut gateway, took) = Gateway::set_up(setup)?;
    figures.note(name, NEW_FOLDER, Metric::FirstCallMs, took.as_secs_f64() * 1000.0);
    for _ in 0..pains.starts {
        let (started, took) = gateway.start_again()?;
        gateway = started;
        figures.note(name, PROCESS, Metric::FirstCallMs, took.as_secs_f64() * 1000.0);
    }
    // What is put off until after the start is done by then.
    thread::sleep(SETTLED);
    let mib = gateway.process().rss_kib()? as f64 / 1024.0;
    figures.note(name, PROCESS, Metric::IdleMib, mib);
    gateway.into_contender()
}

fn print(plan: &Plan, tables: &[(&str, &[Row], &Figures, Vec<&str>)], notes: &[String]) {
    let (measured, load) = (&plan.measured, &plan.load);
    report::say(&format!("measured on cores {measured:?}, load and upstream on {load:?}"));
    for note in plan.note.iter().chain(notes) {
        report::say(note);
    }
    for (name, rows, figures, contenders) in tables {
        report::say(&format!("\n{name}"));
        report::say(&report::table(rows, figures, contenders));
        for failure in &figures.failures {
            let (contender, trial) = (failure.contender, failure.trial);
            report::say(&format!("{contender} failed in `{trial}`: {}", failure.why));
        }
    }
}

/// What an idle stream holds of whoever stands in between.
fn streams(
    figures: &mut Figures,
    contenders: &[Contender],
    plan: &Plan,
    (count, note): (usize, Option<String>),
) -> Vec<String> {
    for contender in contenders {
        let Some(process) = &contender.process else { continue };
        report::progress(&format!("{count} idle streams: {}", contender.name));
        let measured = || {
            let before = process.rss_kib()?;
            let mut streams = Streams::open(&contender.narrow, count, &plan.load)?;
            let after = process.rss_kib()?;
            streams.are_open()?;
            anyhow::Ok((after as f64 - before as f64) / count as f64)
        };
        match measured() {
            Ok(kib) => figures.note(contender.name, STREAMS, Metric::StreamKib, kib),
            Err(error) => figures.fail(contender.name, STREAMS, &error),
        }
    }
    vec![note.unwrap_or_else(|| format!("idle streams: {count}"))]
}

/// Streams that the limit of open files leaves room for. Whoever stands in between has two for each.
fn streams_allowed(files: u64, pains: Pains) -> (usize, Option<String>) {
    let room = usize::try_from(files.saturating_sub(SPARE_FILES) / 2).unwrap_or(usize::MAX);
    if room >= pains.streams {
        return (pains.streams, None);
    }
    let note =
        format!("idle streams: {room} and not {}, as {files} files may be open", pains.streams);
    (room, Some(note))
}

/// As many open files as may be, for us and for what we start. Returns how many.
fn raise_open_files() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("raising the limit of open files")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

const SETTLED: Duration = Duration::from_secs(1);

/// For everything that is no stream.
const SPARE_FILES: u64 = 256;
