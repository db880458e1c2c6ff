//! `ostiary policy schema`, `test` and `simulate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use reqwest::Method;
use serde_json::{Value, json};

use super::remote::{Content, Remote, segment};
use super::{converse, files};
use crate::failure::Failure;
use crate::print;

#[derive(Args)]
struct TestArgs {
    /// A saved policy, by name or id.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    policy: Option<String>,
    /// A declarative file with policies, - for standard input.
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct SimulateArgs {
    /// A declarative file with policies, - for standard input.
    #[arg(short, long)]
    file: PathBuf,
    /// How many calls to look at: 1 to 10000.
    #[arg(long, default_value_t = 1_000)]
    last: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn schema_grammar(command: Command) -> Command {
    command
}

pub(crate) fn test_grammar(command: Command) -> Command {
    TestArgs::augment_args(command)
}

pub(crate) fn simulate_grammar(command: Command) -> Command {
    SimulateArgs::augment_args(command)
}

/// Prints the schema that policies are checked against.
pub(crate) fn schema(_: &ArgMatches) -> Result<ExitCode, Failure> {
    print::line(domain::policies::SCHEMA.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Prints what each test has shown; exit code 1 where one has failed.
pub(crate) fn test(given: &ArgMatches) -> Result<ExitCode, Failure> {
    let args = TestArgs::from_arg_matches(given).map_err(Failure::other)?;
    let tests = match (&args.file, &args.policy) {
        (Some(file), _) => of_file(file)?,
        (None, policy) => {
            let policy = segment("policy", policy.as_deref().unwrap_or_default())?;
            let path = format!("/policies/{policy}/test");
            let told = converse(args.remote.ask(Method::GET, &path, Content::Nothing))?;
            told.get("tests").and_then(Value::as_array).cloned().unwrap_or_default()
        }
    };
    let has_passed = |it: &Value| it.get("passed").and_then(Value::as_bool) == Some(true);
    let failed = tests.iter().filter(|it| !has_passed(it)).count();
    if args.json {
        print::line(Value::Array(tests));
    } else {
        for it in &tests {
            let text = |name: &str| it.get(name).and_then(Value::as_str).unwrap_or_default();
            let (sign, name) = (if has_passed(it) { "+" } else { "-" }, print::plain(text("test")));
            print::line(format_args!("{sign} {name}: {}", text("found")));
        }
        print::line(format_args!("{} passed, {failed} failed", tests.len() - failed));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests of all policies of a file, which needs no gateway.
fn of_file(file: &Path) -> Result<Vec<Value>, Failure> {
    let mut tests = Vec::new();
    for policy in control::filed_policies(&files::read(file)?).map_err(Failure::Other)? {
        let told = policy
            .test()
            .map_err(|why| Failure::Other(format!("policy `{}`: {why}", policy.name())))?;
        let told = told.into_iter().map(|it| serde_json::to_value(it).map_err(Failure::other));
        tests.extend(told.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(tests)
}

/// Prints what would change.
pub(crate) fn simulate(given: &ArgMatches) -> Result<ExitCode, Failure> {
    let args = SimulateArgs::from_arg_matches(given).map_err(Failure::other)?;
    let policies = control::filed_policies(&files::read(&args.file)?).map_err(Failure::Other)?;
    let policies: Vec<Value> = policies
        .iter()
        .map(|it| json!({"name": it.name(), "text": it.text(), "enabled": it.is_enabled()}))
        .collect();
    let body = json!({"policies": policies, "last": args.last});
    let told = converse(args.remote.ask(Method::POST, "/policy-simulations", Content::Json(body)))?;
    if args.json {
        print::line(&told);
        return Ok(ExitCode::SUCCESS);
    }
    let count = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    print::line(format_args!(
        "{} calls: {} would be refused, {} would be allowed, {} cannot be told",
        count("calls"),
        count("refused"),
        count("allowed"),
        count("open")
    ));
    let columns = ["becomes", "time", "app", "gateway", "server", "kind", "name", "policy"];
    print::table(&columns, told.get("examples").unwrap_or(&Value::Null));
    Ok(ExitCode::SUCCESS)
}
