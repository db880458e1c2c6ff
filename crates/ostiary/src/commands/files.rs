//! `ostiary apply`, `diff` and `export`: configuration as files.
//!
//! Secrets that a file refers to are found here, where the command runs, and travel beside the
//! text: a gateway never reads its own environment or disk for somebody else.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use control::Ownership;
use domain::Clock as _;
use reqwest::Method;
use serde_json::{Map, Value, json};
use vault::Secret;

use super::converse;
use super::remote::{Content, Remote};
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::print;
use crate::serve::House;

#[derive(Args)]
pub(crate) struct FileArgs {
    /// A declarative file; `-` reads standard input.
    #[arg(short = 'f', long = "file")]
    file: PathBuf,
    /// The data folder of a gateway that does not run; else the running one is asked.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The set of files that owns what this one makes; `default` where absent.
    #[arg(long)]
    owner: Option<String>,
    /// Delete what the set has made and the file no longer names.
    #[arg(long)]
    prune: bool,
    /// Set addresses of the workspace even where one's own is not among them.
    #[arg(long)]
    force: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    files: FileArgs,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// The data folder of a gateway that does not run; else the running one is asked.
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Differences were found.
const DIFFERENT: u8 = 6;

/// Applies a file: all of it, or nothing.
pub(crate) fn apply(args: &ApplyArgs) -> Result<ExitCode, Failure> {
    let objects = report(&args.files, args.dry_run)?;
    show(&args.files, &objects);
    Ok(ExitCode::SUCCESS)
}

/// Shows what applying a file would change; exit code 6 where it would.
pub(crate) fn diff(args: &FileArgs) -> Result<ExitCode, Failure> {
    let objects = report(args, true)?;
    show(args, &objects);
    Ok(if objects.is_empty() { ExitCode::SUCCESS } else { DIFFERENT.into() })
}

/// Prints the workspace as a declarative file.
pub(crate) fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let text = match &args.data {
        Some(data) => {
            let name = args.remote.workspace().to_owned();
            offline(data, async move |house: &House| house.export(&name).await)?
        }
        None => converse(args.remote.send(Method::GET, "/export", Content::Nothing))?,
    };
    print::line(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// What became of each object, or would.
fn report(args: &FileArgs, dry: bool) -> Result<Vec<Value>, Failure> {
    let text = read(&args.file)?;
    let answer = match &args.data {
        Some(data) => {
            let ownership = Ownership { owner: args.owner.clone(), prune: args.prune };
            let act = async move |house: &House| house.files(&text, &ownership, dry).await;
            offline(data, act)?
        }
        None => {
            let mut body = json!({
                "text": text,
                "secrets": secrets(&text)?,
                "prune": args.prune,
                "force": args.force,
            });
            if let Some(owner) = &args.owner {
                body["owner"] = owner.as_str().into();
            }
            let path = if dry { "/diff" } else { "/apply" };
            let count = control::count(&text).map_err(Failure::Other)?;
            let asking = args.remote.ask(Method::POST, path, Content::Json(body));
            converse(progress(count, asking))?
        }
    };
    match answer.get("objects") {
        Some(Value::Array(objects)) => Ok(objects.clone()),
        _ => Ok(Vec::new()),
    }
}

/// Says on standard error that something takes its time: in one line that moves, for people, and
/// now and then a line for whoever reads it later.
async fn progress<T>(count: usize, work: impl Future<Output = T>) -> T {
    let is_terminal = print::is_terminal();
    let (first, every) = if is_terminal { (500, 100) } else { (2_000, 5_000) };
    let began = SystemClock.elapsed();
    let mut ticks = tokio::time::interval_at(
        tokio::time::Instant::now() + Duration::from_millis(first),
        Duration::from_millis(every),
    );
    let mut work = std::pin::pin!(work);
    let mut said = false;
    loop {
        tokio::select! {
            done = &mut work => {
                if said && is_terminal {
                    print::progress(None);
                }
                return done;
            }
            _ = ticks.tick() => {
                let seconds = SystemClock.elapsed().saturating_sub(began).as_secs_f64();
                print::progress(Some(&format!("{count} objects, {seconds:.1} s")));
                said = true;
            }
        }
    }
}

/// Runs against the data folder itself, which no gateway may be using.
pub(crate) fn offline<T>(
    data: &Path,
    act: impl AsyncFnOnce(&House) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let config = Config::for_data(data).map_err(Failure::configuration)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
    runtime.block_on(async {
        let house = House::open(&config, None).await?;
        let done = act(&house).await;
        house.close().await?;
        done
    })
}

/// All secrets that a text refers to.
fn secrets(text: &str) -> Result<Value, Failure> {
    let mut found = Map::new();
    for reference in control::references(text).map_err(Failure::Other)? {
        let secret = resolve(&reference).ok_or_else(|| {
            Failure::Other(format!("`{reference}` is not set, or cannot be read"))
        })?;
        let value = secret.expose_text().unwrap_or_default().to_owned();
        found.insert(reference, Value::String(value));
    }
    Ok(Value::Object(found))
}

/// Finds a secret by its reference, `env:NAME` or `file:PATH`.
pub(crate) fn resolve(reference: &str) -> Option<Secret> {
    match reference.split_once(':')? {
        ("env", name) => config::env(name).map(Secret::from),
        ("file", path) => {
            let text = std::fs::read_to_string(path).ok()?;
            Some(Secret::from(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        _ => None,
    }
}

pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    text_of(file)
        .map_err(|error| Failure::Other(format!("cannot read `{}`: {error}", file.display())))
}

/// Reads a file that a gateway starts with, and checks it as far as can be done without one.
pub(crate) fn read_checked(file: &Path) -> Result<String, Failure> {
    let refused = |why: String| Failure::Configuration(format!("`{}`: {why}", file.display()));
    let text = text_of(file).map_err(|error| refused(format!("it cannot be read: {error}")))?;
    control::references(&text).map_err(refused)?;
    Ok(text)
}

/// No configuration is larger, and no device that never ends is one.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

fn text_of(file: &Path) -> std::io::Result<String> {
    let source: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file)?)
    };
    let mut text = String::new();
    if MOST_BYTES <= source.take(MOST_BYTES).read_to_string(&mut text)? as u64 {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    Ok(text)
}

/// What became of each object that is not as it was, member by member, and a line that counts.
fn show(args: &FileArgs, objects: &[Value]) {
    if args.json {
        print::line(Value::Array(objects.to_vec()));
        return;
    }
    let text = |it: &Value, key: &str| it.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let mut counts =
        [("created", '+', 0), ("changed", '~', 0), ("deleted", '-', 0), ("unchanged", ' ', 0)];
    for object in objects {
        let outcome = text(object, "outcome");
        let Some((_, sign, count)) = counts.iter_mut().find(|it| it.0 == outcome) else { continue };
        *count += 1;
        if *sign == ' ' {
            continue;
        }
        print::line(format_args!("{sign} {} {}", text(object, "kind"), text(object, "name")));
        for change in object.get("changes").and_then(Value::as_array).into_iter().flatten() {
            print::change(change);
        }
    }
    let counted = counts.map(|(outcome, _, count)| format!("{count} {outcome}"));
    print::line(counted.join(", "));
}
