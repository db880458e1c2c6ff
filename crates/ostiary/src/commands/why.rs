//! `ostiary why`: why somebody can or cannot call something or administer something.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::converse;
use super::remote::{Content, Remote};
use crate::failure::Failure;
use crate::print;

#[derive(Args)]
pub(crate) struct WhyArgs {
    /// Whose apps call, or who administers.
    #[arg(long, required_unless_present = "app", conflicts_with = "app")]
    user: Option<String>,
    /// Which app calls.
    #[arg(long, requires = "gateway")]
    app: Option<String>,
    /// Where it calls.
    #[arg(long, required_unless_present = "capability", conflicts_with = "capability")]
    gateway: Option<String>,
    /// What it calls, as `alias/tool`, by the server's own name.
    #[arg(long, requires = "gateway")]
    tool: Option<String>,
    /// From which address it calls.
    #[arg(long, requires = "gateway")]
    from: Option<String>,
    /// What the tool does, for policies, where its server has not been listed yet.
    #[arg(long, requires = "tool", value_parser = ["read", "write", "destructive"])]
    effect: Option<String>,
    /// What is administered, such as servers:write.
    #[arg(long, requires = "user")]
    capability: Option<String>,
    /// On what: `workspace`, `gateway/main`, `server/jira` or `team/dev`.
    #[arg(long, requires = "capability")]
    on: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Prints the chain, link by link; exit code 3 where the answer is no.
pub(crate) fn run(args: &WhyArgs) -> Result<ExitCode, Failure> {
    let asked = [
        ("user", &args.user),
        ("app", &args.app),
        ("gateway", &args.gateway),
        ("tool", &args.tool),
        ("from", &args.from),
        ("effect", &args.effect),
        ("capability", &args.capability),
        ("on", &args.on),
    ];
    let asked = asked.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    // Only its query is used: whatever was typed is written as a query must be.
    let query =
        reqwest::Url::parse_with_params("http://gateway/", asked).map_err(Failure::other)?;
    let path = format!("/why?{}", query.query().unwrap_or_default());
    let told = converse(args.remote.ask(Method::GET, &path, Content::Nothing))?;
    if args.json {
        print::line(&told);
    } else {
        tell(&told);
    }
    let is_allowed = told.get("allowed").and_then(Value::as_bool).unwrap_or(false);
    Ok(if is_allowed { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn tell(told: &Value) {
    for answer in told.get("answers").and_then(Value::as_array).into_iter().flatten() {
        let text = |of: &Value, name: &str| {
            of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let is_allowed = answer.get("allowed").and_then(Value::as_bool).unwrap_or(false);
        let verdict = if is_allowed { "yes" } else { "no" };
        print::line(format_args!("{verdict}: {}", text(answer, "because")));
        for link in answer.get("chain").and_then(Value::as_array).into_iter().flatten() {
            let holds = link.get("holds").and_then(Value::as_bool).unwrap_or(false);
            let sign = if holds { "+" } else { "-" };
            let (kind, name) = (text(link, "kind"), text(link, "name"));
            print::line(format_args!("  {sign} {kind} {name}: {}", text(link, "detail")));
        }
    }
}
