//! `ostiary series`: what has been called, and how it went, over time.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::converse;
use super::remote::{Content, Remote};
use crate::failure::Failure;
use crate::print;

#[derive(Args)]
#[command(after_help = "Example:\n  ostiary series denials --by tool --from 2026-11-20T00:00:00Z")]
pub(crate) struct SeriesArgs {
    /// What is shown.
    #[arg(default_value = "calls",
          value_parser = ["calls", "errors", "denials", "latency", "tokens", "bytes"])]
    measure: String,
    /// What is told apart; `own` is what one's own apps do.
    #[arg(long,
          value_parser = ["app", "gateway", "outcome", "own", "server", "team", "tool", "user"])]
    by: Option<String>,
    /// Since when, as 2026-11-20T00:00:00Z; a day ago where absent.
    #[arg(long)]
    from: Option<String>,
    /// Until when; now where absent.
    #[arg(long)]
    to: Option<String>,
    /// Seconds from point to point.
    #[arg(long)]
    step: Option<String>,
    #[arg(long)]
    user: Option<String>,
    /// What those have called who are in it now.
    #[arg(long)]
    team: Option<String>,
    #[arg(long)]
    app: Option<String>,
    #[arg(long)]
    gateway: Option<String>,
    #[arg(long)]
    server: Option<String>,
    /// By its server's own name.
    #[arg(long)]
    tool: Option<String>,
    #[arg(long, value_parser = ["answered", "cancelled", "denied", "error", "failed"])]
    outcome: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Prints a line for each point.
pub(crate) fn run(args: &SeriesArgs) -> Result<ExitCode, Failure> {
    let asked = [
        ("measure", Some(&args.measure)),
        ("by", args.by.as_ref()),
        ("from", args.from.as_ref()),
        ("to", args.to.as_ref()),
        ("step", args.step.as_ref()),
        ("user", args.user.as_ref()),
        ("team", args.team.as_ref()),
        ("app", args.app.as_ref()),
        ("gateway", args.gateway.as_ref()),
        ("server", args.server.as_ref()),
        ("tool", args.tool.as_ref()),
        ("outcome", args.outcome.as_ref()),
    ];
    let asked = asked.into_iter().filter_map(|(name, value)| Some((name, value?)));
    // Only its query is used: whatever was typed is written as a query must be.
    let query =
        reqwest::Url::parse_with_params("http://gateway/", asked).map_err(Failure::other)?;
    let path = format!("/series?{}", query.query().unwrap_or_default());
    let told = converse(args.remote.ask(Method::GET, &path, Content::Nothing))?;
    if args.json {
        print::line(&told);
    } else {
        tell(&told);
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(told: &Value) {
    let list = |of: &Value, name: &str| of.get(name).and_then(Value::as_array).cloned();
    let mut points = Vec::new();
    for line in list(told, "lines").unwrap_or_default() {
        let member = |name: &str| line.get(name).filter(|it| !it.is_null()).cloned();
        let is_other = member("is_other") == Some(Value::Bool(true));
        let other = is_other.then(|| json!("(others)"));
        let of = member("name").or_else(|| member("value")).or(other);
        for mut point in list(&line, "points").unwrap_or_default() {
            if let Some(point) = point.as_object_mut() {
                point.insert("of".to_owned(), of.clone().unwrap_or_default());
            }
            points.push(point);
        }
    }
    let is_latency = told.get("measure").and_then(Value::as_str) == Some("latency");
    let columns: &[&str] = match is_latency {
        true => &["at", "of", "count", "latency/gateway", "latency/upstream"],
        false => &["at", "of", "count"],
    };
    print::table(columns, &Value::Array(points));
}
