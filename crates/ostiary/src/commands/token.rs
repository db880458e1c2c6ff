//! `ostiary token`: what apps and administrators present.

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
    /// Show an app's tokens, or those of administrators, without their secrets.
    List {
        /// The app; absent: tokens of administrators.
        #[arg(long)]
        app: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Revoke an app's token, or one of an administrator; what it is used for ends.
    Revoke {
        /// The app; absent: a token of an administrator.
        #[arg(long)]
        app: Option<String>,
        /// The token's name or id.
        #[arg(value_name = "TOKEN")]
        name: String,
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
            let found = match &app {
                Some(app) => {
                    let path = format!("/apps/{app}/tokens");
                    converse(remote.ask(Method::GET, &path, Content::Nothing))?
                }
                None => converse(remote.ask_all(Method::GET, ADMIN_TOKENS))?,
            };
            let items = found.get("items").cloned().unwrap_or_default();
            if json {
                print::line(&items);
            } else if app.is_some() {
                print::table(&["name", "expires_at", "created_at", "id"], &items);
            } else {
                print::table(&["name", "created_at", "id"], &items);
            }
        }
        TokenCommand::Revoke { app, name, remote } => match app {
            Some(app) => {
                let path = format!("/apps/{app}/tokens/{name}");
                converse(remote.send(Method::DELETE, &path, Content::Nothing))?;
            }
            None => {
                let path = format!("{ADMIN_TOKENS}/{name}");
                converse(remote.ask_all(Method::DELETE, &path))?;
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Of the installation, and of no workspace.
const ADMIN_TOKENS: &str = "/admin-tokens";

/// Prints a new admin token, alone on standard output.
pub(crate) fn mint_admin(data: &Path, name: &str) -> Result<ExitCode, Failure> {
    let secret = files::offline(data, async |house: &House| {
        house.control.mint_admin_token(name).await.map_err(Failure::other)
    })?;
    print::line(secret.expose_text().unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
