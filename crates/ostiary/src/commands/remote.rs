//! The admin API as commands use it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use clap::Args;
use domain::Clock as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::clock::SystemClock;
use crate::config;
use crate::failure::Failure;

/// Where the gateway is, and by what right. The token is never on the command line, which others
/// can read: it is in `OSTIARY_TOKEN`, or in a file.
#[derive(Args)]
#[command(next_help_heading = "The gateway")]
pub(crate) struct Remote {
    /// The gateway's address.
    #[arg(long, env = "OSTIARY_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file with an admin token, `-` for standard input; without it the token is in
    /// OSTIARY_TOKEN.
    #[arg(long, env = "OSTIARY_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The workspace.
    #[arg(long, env = "OSTIARY_WORKSPACE", default_value = "default")]
    workspace: String,
    /// The token, once it has been read: standard input gives it once.
    #[arg(skip)]
    secret: OnceLock<String>,
}

/// A body and how it is written.
pub(crate) enum Content {
    Json(Value),
    Nothing,
}

/// An answer, or why there is none.
struct Answer {
    status: StatusCode,
    text: String,
}

/// How often a request is sent in all, where it is not known to have been done.
const ATTEMPTS: u32 = 4;

/// Doubles with each attempt: long enough for a lock to be let go, short enough to wait for.
const PAUSE: Duration = Duration::from_millis(200);

/// The largest files change thousands of objects, and a cut-off waits for the traffic to end.
const PATIENCE: Duration = Duration::from_secs(120);
const _: () = assert!(control::LONGEST_ANSWER.as_secs() < PATIENCE.as_secs());

/// What the path of a request begins with that is about no workspace.
pub(crate) const ABOVE: &str = "/above";

impl Remote {
    /// The name of the workspace that is meant.
    pub(crate) fn workspace(&self) -> &str {
        &self.workspace
    }

    /// Sends a request: about the workspace, unless the path begins with what is above them or with
    /// [`ABOVE`].
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<String, Failure> {
        let request = self.request(method.clone(), path, content)?;
        let is_repeatable = method != Method::PATCH && method != Method::DELETE;
        let mut attempt = 1;
        loop {
            let answer = match request.try_clone() {
                Some(request) => self.attempt(request).await,
                None => return Err(Failure::Other("the request cannot be sent".to_owned())),
            };
            let may_help = match &answer {
                Ok(it) => is_passing(it),
                Err((_, was_sent)) => *was_sent,
            };
            if !may_help || !is_repeatable || attempt == ATTEMPTS {
                let Answer { status, text } = answer.map_err(|it| it.0)?;
                return if status.is_success() { Ok(text) } else { Err(refused(status, &text)) };
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            attempt += 1;
        }
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

    /// All items of a list, page by page.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        self.list_until(path, usize::MAX).await
    }

    /// So many items of a list, page by page.
    pub(crate) async fn list_until(&self, path: &str, most: usize) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let limit = PAGE.min(most - items.len());
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = format!("{path}{joint}limit={limit}{cursor}");
            let mut page = self.ask(Method::GET, &page, Content::Nothing).await?;
            if let Some(Value::Array(found)) = page.get_mut("items") {
                items.append(found);
            }
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) if items.len() < most => cursor = format!("&cursor={next}"),
                _ => return Ok(items),
            }
        }
    }

    /// Begins a request whose answer is read as it comes.
    pub(crate) async fn open(&self, path: &str) -> Result<reqwest::Response, Failure> {
        let request = self.request(Method::GET, path, Content::Nothing)?;
        let response = request.send().await.map_err(|error| self.unavailable(&error).0)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(refused(status, &response.text().await.map_err(Failure::other)?))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let url = self.url.trim_end_matches('/');
        let workspace = segment("workspace", &self.workspace)?;
        let url = if ["/workspaces", "/accounts", "/admin-tokens", "/replicas"]
            .iter()
            .any(|it| path.starts_with(it))
        {
            format!("{url}/api/v1{path}")
        } else if let Some(above) = path.strip_prefix(ABOVE) {
            format!("{url}/api/v1{above}")
        } else {
            format!("{url}/api/v1/workspaces/{workspace}{path}")
        };
        let token = match self.secret.get() {
            Some(token) => token,
            None => {
                let token = self.read_secret()?;
                self.secret.get_or_init(|| token)
            }
        };
        let is_post = method == Method::POST;
        let mut request =
            client()?.request(method, url).header(AUTHORIZATION, format!("Bearer {token}"));
        if is_post {
            // However often it is sent, it is done once.
            request = request.header("idempotency-key", format!("\"{}\"", SystemClock.id()));
        }
        Ok(match content {
            Content::Json(value) => {
                request.header(CONTENT_TYPE, "application/json").body(value.to_string())
            }
            Content::Nothing => request,
        })
    }

    /// The answer; or why there is none, and whether the request may have been done.
    async fn attempt(&self, request: reqwest::RequestBuilder) -> Result<Answer, (Failure, bool)> {
        let response = request.timeout(PATIENCE).send().await;
        let response = response.map_err(|error| self.unavailable(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unavailable(&error))?;
        Ok(Answer { status, text })
    }

    fn unavailable(&self, error: &reqwest::Error) -> (Failure, bool) {
        let text = format!("the gateway at {} does not answer: {error}", self.url);
        (Failure::Unavailable(text), !error.is_connect() && !error.is_builder())
    }

    fn read_secret(&self) -> Result<String, Failure> {
        let read = |path: &Path| {
            if path.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin())
            } else {
                std::fs::read_to_string(path)
            }
        };
        let text = match (&self.token_file, config::env("OSTIARY_TOKEN")) {
            (Some(path), _) => read(path).map_err(|error| {
                Failure::Authentication(format!("cannot read `{}`: {error}", path.display()))
            })?,
            (None, Some(token)) => token,
            (None, None) => {
                let text = "give an admin token: in OSTIARY_TOKEN, or a file with --token-file";
                return Err(Failure::Authentication(text.to_owned()));
            }
        };
        Ok(text.trim().to_owned())
    }
}

/// The largest page that the API gives.
const PAGE: usize = 200;

/// A name or an id as a part of an address. Nothing else names anything, and so nothing else may
/// become part of one.
pub(crate) fn segment<'a>(kind: &str, name: &'a str) -> Result<&'a str, Failure> {
    let is_plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !name.is_empty() && name.bytes().all(is_plain) {
        Ok(name)
    } else {
        Err(Failure::NotFound(format!("there is no {kind} `{}`", name.escape_debug())))
    }
}

/// Whether the same request may be answered otherwise in a moment.
fn is_passing(answer: &Answer) -> bool {
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let code = problem.get("code").and_then(Value::as_str);
    answer.status == StatusCode::SERVICE_UNAVAILABLE || code == Some("under_way")
}

fn client() -> Result<reqwest::Client, Failure> {
    // The first call installs it; a later one finds it there.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
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
