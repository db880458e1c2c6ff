//! `ostiary apply`, `diff` and `export`: configuration as files.
//!
//! Secrets that a file refers to are found here, where the command runs, and travel beside the
//! text: a gateway never reads its own environment or disk for somebody else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use vault::Secret;

use super::converse;
use super::remote::{Content, Remote};
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
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
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
pub(crate) fn apply(args: &FileArgs) -> Result<ExitCode, Failure> {
    let objects = report(args, "/apply")?;
    show(args, &objects);
    Ok(ExitCode::SUCCESS)
}

/// Shows what applying a file would change; exit code 6 where it would.
pub(crate) fn diff(args: &FileArgs) -> Result<ExitCode, Failure> {
    let mut objects = report(args, "/diff")?;
    objects.retain(|it| it.get("outcome").and_then(Value::as_str) != Some("unchanged"));
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

fn report(args: &FileArgs, path: &str) -> Result<Vec<Value>, Failure> {
    let text = read(&args.file)?;
    let answer = match &args.data {
        Some(data) => {
            let dry = path == "/diff";
            offline(data, async move |house: &House| house.files(&text, dry).await)?
        }
        None => {
            let content = Content::Json(json!({"text": text, "secrets": secrets(&text)?}));
            converse(args.remote.ask(Method::POST, path, content))?
        }
    };
    match answer.get("objects") {
        Some(Value::Array(objects)) => Ok(objects.clone()),
        _ => Ok(Vec::new()),
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
        let house = House::open(config).await?;
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

fn text_of(file: &Path) -> std::io::Result<String> {
    if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    }
}

fn show(args: &FileArgs, objects: &[Value]) {
    let objects = Value::Array(objects.to_vec());
    if args.json {
        print::line(objects);
    } else {
        print::table(&["kind", "name", "workspace", "outcome"], &objects);
    }
}
