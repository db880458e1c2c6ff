//! The admin API as commands use it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::failure::Failure;

/// Where the gateway is, and by what right.
#[derive(Args)]
pub(crate) struct Remote {
    /// The gateway's address.
    #[arg(long, env = "OSTIARY_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An admin token.
    #[arg(long, env = "OSTIARY_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with an admin token.
    #[arg(long, env = "OSTIARY_TOKEN_FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The workspace.
    #[arg(long, default_value = "default")]
    workspace: String,
}

/// A body and how it is written.
pub(crate) enum Content {
    Json(Value),
    Nothing,
}

impl Remote {
    /// The name of the workspace that is meant.
    pub(crate) fn workspace(&self) -> &str {
        &self.workspace
    }

    /// Sends a request about the workspace.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<String, Failure> {
        self.request(method, &format!("/workspaces/{}{path}", self.workspace), content).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<String, Failure> {
        let url = format!("{}/api/v1{path}", self.url.trim_end_matches('/'));
        let token = self.secret()?;
        let request =
            client()?.request(method, url).header(AUTHORIZATION, format!("Bearer {token}"));
        let request = match content {
            Content::Json(value) => {
                request.header(CONTENT_TYPE, "application/json").body(value.to_string())
            }
            Content::Nothing => request,
        };
        let response = request.send().await.map_err(|error| {
            Failure::Unavailable(format!("the gateway at {} does not answer: {error}", self.url))
        })?;
        let status = response.status();
        let text = response.text().await.map_err(Failure::other)?;
        if status.is_success() { Ok(text) } else { Err(refused(status, &text)) }
    }

    /// [`Remote::send`] where the answer is JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<Value, Failure> {
        let text = self.send(method, path, content).await?;
        serde_json::from_str(&text).map_err(Failure::other)
    }

    /// Asks about what belongs to no workspace; what is gone has no answer.
    pub(crate) async fn ask_all(&self, method: Method, path: &str) -> Result<Value, Failure> {
        let text = self.request(method, path, Content::Nothing).await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(Failure::other)
    }

    fn secret(&self) -> Result<String, Failure> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(token.clone()),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(Failure::other)?;
                Ok(text.trim().to_owned())
            }
            (None, None) => {
                let text = "give an admin token: OSTIARY_TOKEN, OSTIARY_TOKEN_FILE or --token";
                Err(Failure::Authentication(text.to_owned()))
            }
        }
    }
}

fn client() -> Result<reqwest::Client, Failure> {
    // The first call installs it; a later one finds it there.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(60))
        .build()
        .map_err(Failure::other)
}

/// What a problem document says, as the exit code that scripts know.
fn refused(status: StatusCode, text: &str) -> Failure {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let detail = problem.get("detail").and_then(Value::as_str).unwrap_or(text).to_owned();
    match status.as_u16() {
        401 | 403 => Failure::Authentication(detail),
        404 => Failure::NotFound(detail),
        409 | 412 => Failure::Conflict(detail),
        503 => Failure::Unavailable(detail),
        _ => Failure::Other(detail),
    }
}
