//! One run, from the first process to the last figure.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Cli;
use crate::awake;
use crate::certificate::Certificate;
use crate::contender::{self, Contender};
use crate::cores::Plan;
use crate::eras;
use crate::gateway::{FEW_APPS, Gateway, Setup};
use crate::load::Streams;
use crate::machine::Machine;
use crate::measure::{
    Asked, Bench, Figures, Metric, NEW_FOLDER, PROCESS, Pains, STREAMS, TLS, TLS_TRIALS,
};
use crate::report::{self, ROWS, TLS_ROWS, Table};

/// Measures, prints and writes. Says whether everything measured answered as it should.
pub(crate) fn run(cli: &Cli) -> Result<bool> {
    let asked = Asked::new(&cli.trial)?;
    let binary = gateway_binary(cli)?;
    let plan = Plan::of_this_machine()?;
    let machine = Machine::look(&plan, cli.awake);
    let _awake = cli.awake.then(awake::keep).transpose()?;
    let files = raise_open_files()?;
    let home = Path::new("target/bench");
    std::fs::create_dir_all(home).context("creating target/bench")?;
    // On the disk of the checkout, because a folder for temporary files may be in memory, where
    // syncing costs nothing.
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(home)?;
    let upstream = contender::upstream(&plan.load, folder.path())?;
    let mut pains = match cli.seconds {
        Some(seconds) => Pains { rounds: 1, time: Duration::from_secs(seconds), ..Pains::QUICK },
        None if cli.quick => Pains::QUICK,
        None => Pains::FULL,
    };
    pains.streams = cli.streams.unwrap_or(pains.streams);
    // Each takes a connection of the gateway to its server.
    let room = usize::try_from(files / 5 * 3).unwrap_or(usize::MAX);
    pains.parked = cli.parked.unwrap_or(pains.parked).min(room);
    pains.rounds = cli.rounds.unwrap_or(pains.rounds);
    let bench = Bench { plan, pains, upstream };
    let binary = binary.as_deref();
    let run = Run { bench: &bench, folder: folder.path(), binary, only: &cli.only };
    let mut tables = Vec::new();
    if asked.plain() {
        tables.push(run.plain(&asked, files)?);
    }
    if asked.has(TLS) {
        tables.push(run.over_tls()?);
    }
    if let Some(binary) = binary {
        tables.extend(eras::table(&run, &asked, (binary, cli.against.as_deref()))?);
    }
    print(&machine, &tables);
    let path = cli.json.clone().unwrap_or_else(|| home.join("latest.json"));
    let json = serde_json::to_string_pretty(&report::as_json(&machine, &tables))?;
    std::fs::write(&path, json).with_context(|| format!("writing {}", path.display()))?;
    Ok(tables.iter().all(|table| table.figures.failures.is_empty()))
}

/// What all parts of a run share.
pub(crate) struct Run<'a> {
    pub(crate) bench: &'a Bench,
    folder: &'a Path,
    /// The gateway; none where it is left out.
    binary: Option<&'a Path>,
    /// The contenders to measure; all where none is named.
    only: &'a [String],
}

impl Run<'_> {
    /// Everything but TLS.
    fn plain(&self, asked: &Asked, files: u64) -> Result<Table> {
        let mut figures = Figures::default();
        let direct = contender::direct(&self.bench.upstream)?;
        let floor = contender::floor(&direct, None, &self.bench.plan.measured, self.folder)?;
        let mut contenders = vec![direct, floor];
        if let Some(binary) = self.binary {
            let written = self.setup(binary, "ostiary-written", "written", None);
            let synced = self.setup(binary, "ostiary-synced", "synced", None);
            contenders.push(if asked.has(PROCESS) {
                start_ups(&mut figures, written, self.bench.pains)?
            } else {
                Gateway::set_up(written)?.0.into_contender()?
            });
            contenders.push(Gateway::set_up(synced)?.0.into_contender()?);
        }
        contenders
            .retain(|it| self.only.is_empty() || self.only.iter().any(|name| name == it.name));
        figures.measure(&asked.trials(), &contenders, self.bench);
        let mut notes = Vec::new();
        if asked.has(STREAMS) {
            let (count, note) = streams_allowed(files, self.bench.pains);
            notes.push(note);
            streams(&mut figures, &contenders, &self.bench.plan, count);
        }
        Ok(Table::new("plain", ROWS, figures, &contenders).with(notes))
    }

    /// The same behind a listener that speaks TLS; direct access goes without.
    fn over_tls(&self) -> Result<Table> {
        let certificate = Certificate::make(self.folder)?;
        let direct = contender::direct(&self.bench.upstream)?;
        let cores = &self.bench.plan.measured;
        let floor = contender::floor(&direct, Some(&certificate), cores, self.folder)?;
        let mut contenders = vec![direct, floor];
        if let Some(binary) = self.binary {
            let setup = self.setup(binary, "ostiary-tls", "written", Some(&certificate));
            contenders.push(Gateway::set_up(setup)?.0.into_contender()?);
        }
        let mut figures = Figures::default();
        figures.measure(TLS_TRIALS, &contenders, self.bench);
        Ok(Table::new("behind a TLS listener", TLS_ROWS, figures, &contenders))
    }

    pub(crate) fn setup<'a>(
        &'a self,
        binary: &'a Path,
        name: &'static str,
        durability: &'a str,
        certificate: Option<&'a Certificate>,
    ) -> Setup<'a> {
        Setup {
            name,
            binary,
            durability,
            certificate,
            configuration: "",
            apps: FEW_APPS,
            upstream: &self.bench.upstream.url,
            folder: self.folder.join(name),
            cores: &self.bench.plan.measured,
            load_cores: &self.bench.plan.load,
        }
    }
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

fn print(machine: &Machine, tables: &[Table]) {
    for note in machine.notes() {
        report::say(&note);
    }
    for table in tables {
        report::say(&format!("\n{}\n{}", table.name, table.text()));
        for note in &table.notes {
            report::say(note);
        }
    }
}

/// What an idle stream holds of whoever stands in between.
fn streams(figures: &mut Figures, contenders: &[Contender], plan: &Plan, count: usize) {
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
}

/// Streams that the limit of open files leaves room for. The gateway accepts connections up to a
/// quarter of it.
fn streams_allowed(files: u64, pains: Pains) -> (usize, String) {
    let room = usize::try_from((files / 4).saturating_sub(SPARE_FILES)).unwrap_or(usize::MAX);
    if room >= pains.streams {
        return (pains.streams, format!("idle streams: {}", pains.streams));
    }
    let note =
        format!("idle streams: {room} and not {}, as {files} files may be open", pains.streams);
    (room, note)
}

/// As many open files as may be, for us and for what we start. Returns how many.
fn raise_open_files() -> Result<u64> {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX).max(WANTED_FILES);
    let set =
        |most| setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
    // Only who may administer the machine can go beyond the limit that was given.
    if set(most).is_ok() {
        return Ok(most);
    }
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(WANTED_FILES);
    set(most).context("raising the limit of open files")?;
    Ok(most)
}

/// For the streams of a full run.
const WANTED_FILES: u64 = 32_768;

const SETTLED: Duration = Duration::from_secs(1);

/// For everything that is no stream.
const SPARE_FILES: u64 = 256;
