//! `ostiary pin`: what servers under review list, and the decisions about it.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::converse;
use super::remote::{Content, Remote};
use crate::failure::Failure;
use crate::print;

#[derive(Subcommand)]
pub(crate) enum PinCommand {
    /// Show which definitions there are: what waits for a decision, unless said otherwise.
    List(ListArgs),
    /// Show one definition, and in what it differs from what was approved last.
    Show(ShowArgs),
    /// Let a definition be used.
    Approve(DecideArgs),
    /// Let everything be used that a server lists and that waits now.
    ApproveAll(ApproveAllArgs),
    /// Keep a definition from being used, or no longer let it be used.
    Reject(DecideArgs),
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Of one server only.
    #[arg(long)]
    server: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    state: StateArg,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum StateArg {
    Approved,
    #[default]
    Pending,
    Rejected,
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Its id.
    pin: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct DecideArgs {
    /// Its id.
    pin: String,
    /// The hash of what you have looked at.
    hash: String,
    /// Even if the server lists something else under this name now.
    #[arg(long)]
    even_if_replaced: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct ApproveAllArgs {
    /// The server.
    server: String,
    #[command(flatten)]
    remote: Remote,
}

/// Runs one of them.
pub(crate) fn run(command: &PinCommand) -> Result<ExitCode, Failure> {
    match command {
        PinCommand::List(args) => list(args),
        PinCommand::Show(args) => show(args),
        PinCommand::Approve(args) => decide(args, "approve"),
        PinCommand::ApproveAll(args) => approve_all(args),
        PinCommand::Reject(args) => decide(args, "reject"),
    }
}

fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let state = match args.state {
        StateArg::Approved => "approved",
        StateArg::Pending => "pending",
        StateArg::Rejected => "rejected",
    };
    let pins = converse(all(&args.remote, state, args.server.as_deref()))?;
    if args.json {
        print::line(Value::from(pins));
        return Ok(ExitCode::SUCCESS);
    }
    for pin in &pins {
        let marks: Vec<&str> =
            pin["marks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let marks =
            if marks.is_empty() { String::new() } else { format!(" hides {}", marks.join(", ")) };
        print::line(format_args!(
            "{} {} {}{marks}",
            text(pin, "id"),
            title(pin),
            text(pin, "hash")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let path = format!("/pins/{}", segment(&args.pin)?);
    let detail = converse(args.remote.ask(Method::GET, &path, Content::Nothing))?;
    if args.json {
        print::line(&detail);
        return Ok(ExitCode::SUCCESS);
    }
    let pin = &detail["pin"];
    print::line(format_args!("{} ({})", title(pin), text(pin, "state")));
    print::line(text(pin, "hash"));
    match detail["base"].as_str() {
        Some(base) => print::line(format_args!("compared with {base}, approved last")),
        None => print::line("nothing of this name is approved"),
    }
    for it in detail["differences"].as_array().into_iter().flatten() {
        print::line(it["path"].as_str().unwrap_or_default());
        for (sign, member) in [("-", "before"), ("+", "after")] {
            if let Some(value) = it[member].as_str() {
                print::line(format_args!("  {sign} {value}"));
            }
        }
    }
    if let Some(other) = detail["replaced_by"].as_str() {
        print::line(format_args!("the server has listed {other} under this name since"));
    }
    Ok(ExitCode::SUCCESS)
}

fn decide(args: &DecideArgs, deed: &str) -> Result<ExitCode, Failure> {
    let path = format!("/pins/{}/{deed}", segment(&args.pin)?);
    let body = json!({"hash": args.hash, "even_if_replaced": args.even_if_replaced});
    let pin = converse(args.remote.ask(Method::POST, &path, Content::Json(body)))?;
    print::line(format_args!("{} is {}", title(&pin), text(&pin, "state")));
    Ok(ExitCode::SUCCESS)
}

/// Approves exactly what it has been told of: what comes up meanwhile waits.
fn approve_all(args: &ApproveAllArgs) -> Result<ExitCode, Failure> {
    let path = format!("/servers/{}/pins/approve", segment(&args.server)?);
    let approved = converse(async {
        let pins = all(&args.remote, "pending", Some(&args.server)).await?;
        let hashes: Vec<&Value> = pins.iter().map(|it| &it["hash"]).collect();
        for pin in &pins {
            print::line(format_args!("{} {}", title(pin), text(pin, "hash")));
        }
        for some in hashes.chunks(MOST_AT_ONCE) {
            let body = json!({"hashes": some});
            args.remote.ask(Method::POST, &path, Content::Json(body)).await?;
        }
        Ok(hashes.len())
    })?;
    print::line(format_args!("{approved} definitions are approved"));
    Ok(ExitCode::SUCCESS)
}

/// What fits into one request.
const MOST_AT_ONCE: usize = 5_000;

/// Every page.
async fn all(remote: &Remote, state: &str, server: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut path = format!("/pins?limit=200&state={state}");
    if let Some(server) = server {
        path.push_str(&format!("&server={}", segment(server)?));
    }
    let (mut pins, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page =
            remote.ask(Method::GET, &format!("{path}{cursor}"), Content::Nothing).await?;
        if let Value::Array(items) = page["items"].take() {
            pins.extend(items);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(pins),
        }
    }
}

/// What servers call things may turn a terminal around.
fn title(pin: &Value) -> String {
    let name = pin["name"].as_str().unwrap_or_default().escape_debug();
    format!("{} {}/{name}", text(pin, "kind"), text(pin, "server"))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// A name or an id as a part of an address, which needs no escapes.
pub(super) fn segment(text: &str) -> Result<&str, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text);
    }
    Err(Failure::NotFound(format!("`{}` is no name and no id", text.escape_debug())))
}
