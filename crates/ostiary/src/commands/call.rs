//! `ostiary call`: a call in the place of an app, to see what comes of it.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::converse;
use super::pin::segment;
use super::remote::{Content, Remote};
use crate::failure::Failure;
use crate::print;

#[derive(Args)]
#[command(after_help = "Example:\n  ostiary call main files__read --user ann --arg path=notes.txt")]
pub(crate) struct CallArgs {
    /// Where.
    gateway: String,
    /// What, as the gateway lists it.
    tool: String,
    /// In the place of this user's only app on the gateway.
    #[arg(long, required_unless_present = "app", conflicts_with = "app")]
    user: Option<String>,
    /// In the place of this app.
    #[arg(long)]
    app: Option<String>,
    /// An argument that is a text, as `name=value`.
    #[arg(long = "arg", value_parser = pair)]
    args: Vec<(String, String)>,
    /// Arguments as a JSON object; those of `--arg` are added to it.
    #[arg(long, value_parser = object)]
    json_args: Option<Map<String, Value>>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Prints what came of it and what was decided on the way; exit code 3 where it was refused, 1 where it
/// has failed.
pub(crate) fn run(args: &CallArgs) -> Result<ExitCode, Failure> {
    let mut arguments = args.json_args.clone().unwrap_or_default();
    arguments.extend(args.args.iter().map(|(name, text)| (name.clone(), text.clone().into())));
    let mut body = json!({ "tool": args.tool, "arguments": arguments });
    for (name, value) in [("user", &args.user), ("app", &args.app)] {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    let path = format!("/gateways/{}/calls", segment(&args.gateway)?);
    let told = converse(args.remote.ask(Method::POST, &path, Content::Json(body)))?;
    if args.json {
        print::line(&told);
    } else {
        tell(&told);
    }
    let is_error = told["is_error"].as_bool().unwrap_or(true);
    Ok(match told["outcome"].as_str().unwrap_or_default() {
        "answered" if !is_error => ExitCode::SUCCESS,
        end if control::is_denial(end) => ExitCode::from(3),
        _ => ExitCode::FAILURE,
    })
}

fn tell(told: &Value) {
    let text = |of: &Value, name: &str| print::plain(of[name].as_str().unwrap_or_default());
    let content = told["result"]["content"].as_array().filter(|it| !it.is_empty());
    for item in content.into_iter().flatten() {
        match item["text"].as_str() {
            Some(said) => said.lines().for_each(|it| print::line(print::plain(it))),
            None => print::line(print::cell(Some(item))),
        }
    }
    let others = [&told["result"]["structuredContent"], &told["result"]];
    if let Some(other) = others.into_iter().find(|it| content.is_none() && !it.is_null()) {
        print::line(print::cell(Some(other)));
    }
    if let Some(said) = told["error"]["message"].as_str() {
        print::line(format_args!("error {}: {}", told["error"]["code"], print::plain(said)));
    }
    print::line(format_args!("{}: {}", text(told, "outcome"), text(told, "because")));
    for link in told["trace"].as_array().into_iter().flatten() {
        let sign = if link["holds"].as_bool().unwrap_or(false) { "+" } else { "-" };
        let (kind, name) = (text(link, "kind"), text(link, "name"));
        print::line(format_args!("  {sign} {kind} {name}: {}", text(link, "detail")));
    }
    let ms = |name: &str| told["took"][name].as_f64().unwrap_or_default() / 1_000.0;
    let (total, gateway, upstream) = (ms("total"), ms("gateway"), ms("upstream"));
    print::line(format_args!(
        "took {total:.1} ms: gateway {gateway:.1}, upstream {upstream:.1}; tokens: {}; call: {}",
        print::cell(told.get("tokens")),
        text(told, "call"),
    ));
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    if name.is_empty() {
        return Err("write it as name=value".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))
}
