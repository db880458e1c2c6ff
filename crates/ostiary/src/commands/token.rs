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
    /// Make a token for an app, or for a user who administers; its secret is printed once, alone on
    /// standard output.
    Create {
        /// The app.
        #[arg(long, conflicts_with = "user", required_unless_present = "user")]
        app: Option<String>,
        /// The user.
        #[arg(long)]
        user: Option<String>,
        /// What a user's token is good for, such as servers:read; all that its user may do where
        /// absent.
        #[arg(long = "capability", requires = "user")]
        capabilities: Vec<String>,
        /// The token's name.
        #[arg(long, default_value = "cli")]
        name: String,
        /// How long it is valid, such as 12h or 30d.
        #[arg(long = "for", value_parser = duration, default_value = "90d")]
        lifetime: std::time::Duration,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show the tokens of an app, of a user, or of the installation's administrators, without their
    /// secrets.
    List {
        /// The app; absent: tokens of administrators.
        #[arg(long, conflicts_with = "user")]
        app: Option<String>,
        /// The user.
        #[arg(long)]
        user: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Revoke a token of an app, of a user, or of the installation; what it is used for ends.
    Revoke {
        /// The app; absent: a token of an administrator.
        #[arg(long, conflicts_with = "user")]
        app: Option<String>,
        /// The user.
        #[arg(long)]
        user: Option<String>,
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
        TokenCommand::Create { app, user, capabilities, name, lifetime, remote } => {
            let mut body = json!({"name": name, "lifetime_seconds": lifetime.as_secs()});
            if !capabilities.is_empty() {
                body["capabilities"] = json!(capabilities);
            }
            let path = holder(app.as_deref(), user.as_deref());
            let made = converse(remote.ask(Method::POST, &path, Content::Json(body)))?;
            print::line(made.get("secret").and_then(Value::as_str).unwrap_or_default());
        }
        TokenCommand::List { app, user, json, remote } => {
            let has_holder = app.is_some() || user.is_some();
            let found = if has_holder {
                let path = holder(app.as_deref(), user.as_deref());
                converse(remote.ask(Method::GET, &path, Content::Nothing))?
            } else {
                converse(remote.ask_all(Method::GET, ADMIN_TOKENS))?
            };
            let items = found.get("items").cloned().unwrap_or_default();
            if json {
                print::line(&items);
            } else if has_holder {
                print::table(&["name", "expires_at", "created_at", "id"], &items);
            } else {
                print::table(&["name", "created_at", "id"], &items);
            }
        }
        TokenCommand::Revoke { app, user, name, remote } => {
            if app.is_some() || user.is_some() {
                let path = format!("{}/{name}", holder(app.as_deref(), user.as_deref()));
                converse(remote.send(Method::DELETE, &path, Content::Nothing))?;
            } else {
                let path = format!("{ADMIN_TOKENS}/{name}");
                converse(remote.ask_all(Method::DELETE, &path))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The tokens of an app or of a user.
fn holder(app: Option<&str>, user: Option<&str>) -> String {
    match (app, user) {
        (_, Some(user)) => format!("/users/{user}/admin-tokens"),
        (app, None) => format!("/apps/{}/tokens", app.unwrap_or_default()),
    }
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
