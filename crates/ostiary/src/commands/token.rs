//! `ostiary token`: what apps present.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::remote::{Content, Remote};
use super::{converse, duration, files};
use crate::failure::Failure;
use crate::print;
use crate::serve::House;

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token for an app; its secret is printed once, alone on standard output.
    Create {
        /// The app.
        #[arg(long)]
        app: String,
        /// The token's name.
        #[arg(long, default_value = "cli")]
        name: String,
        /// How long it is valid, such as 12h or 30d.
        #[arg(long = "for", value_parser = duration, default_value = "90d")]
        lifetime: std::time::Duration,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show an app's tokens, without their secrets.
    List {
        /// The app.
        #[arg(long)]
        app: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Runs a command to its end.
pub(crate) fn run(command: TokenCommand) -> Result<ExitCode, Failure> {
    match command {
        TokenCommand::Create { app, name, lifetime, remote } => {
            let body = json!({"name": name, "lifetime_seconds": lifetime.as_secs()});
            let path = format!("/apps/{app}/tokens");
            let made = converse(remote.ask(Method::POST, &path, Content::Json(body)))?;
            print::line(made.get("secret").and_then(Value::as_str).unwrap_or_default());
        }
        TokenCommand::List { app, json, remote } => {
            let path = format!("/apps/{app}/tokens");
            let found = converse(remote.ask(Method::GET, &path, Content::Nothing))?;
            let items = found.get("items").cloned().unwrap_or_default();
            if json {
                print::line(&items);
            } else {
                print::table(&["name", "expires_at", "created_at", "id"], &items);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a new admin token, alone on standard output.
pub(crate) fn mint_admin(data: &Path, name: &str) -> Result<ExitCode, Failure> {
    let secret = files::offline(data, async |house: &House| {
        house.control.mint_admin_token(name).await.map_err(Failure::other)
    })?;
    print::line(secret.expose_text().unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
