//! How a server is reached: the text of it, and what is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::Uri;
use domain::{EraSetting, TasksSetting, Transport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a server is reached.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum TransportText {
    /// Streamable HTTP at a URL.
    Http { url: String },
    /// HTTP+SSE, the transport of 2024-11-05, at the URL of its stream.
    Sse { url: String },
    /// A child process that speaks on its standard streams. Never a shell.
    Stdio {
        /// An absolute path, or the bare name of a program.
        command: String,
        #[serde(default)]
        args: Vec<String>,
        #[serde(default)]
        env: BTreeMap<String, String>,
    },
}

/// Which protocol era to speak to a server.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EraText {
    #[default]
    Auto,
    Modern,
    Legacy,
}

/// What becomes of a call that the server makes a task of, where the client knows no tasks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TasksText {
    /// The server is not told that there may be one, and must do without.
    #[default]
    Relay,
    /// The gateway waits until it is done.
    Wait,
}

/// Whether what a server lists must be approved before anybody sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReviewText {
    /// All of it is seen at once, and whatever it is changed to.
    Off,
    /// New and changed definitions stay hidden until they are approved.
    #[default]
    On,
}

/// Says why a transport cannot be saved, in the words of whoever typed it.
pub(super) fn check(transport: &Transport, allow_loopback: bool) -> Result<(), String> {
    match transport {
        Transport::Http { url } | Transport::Sse { url } => check_url(url, allow_loopback),
        Transport::Stdio { command, args, env } => {
            check_command(command)?;
            if MOST_ARGS < args.len() || MOST_ARGS < env.len() {
                return Err(format!("use at most {MOST_ARGS} arguments and variables"));
            }
            if args.iter().chain(env.values()).any(|it| it.contains('\0')) {
                return Err("arguments and variables cannot hold a NUL".into());
            }
            match env.keys().find(|it| !is_variable(it)) {
                Some(name) => Err(format!("`{name}` is no name for an environment variable")),
                None => Ok(()),
            }
        }
    }
}

/// Whether what was meant for one may go to the other (RFC 6454).
pub(super) fn is_same_origin(one: &Transport, other: &Transport) -> bool {
    match (url(one), url(other)) {
        (Some(one), Some(other)) => origin(one).is_some_and(|it| Some(it) == origin(other)),
        _ => one == other,
    }
}

fn url(transport: &Transport) -> Option<&str> {
    match transport {
        Transport::Http { url } | Transport::Sse { url } => Some(url),
        Transport::Stdio { .. } => None,
    }
}

fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_owned();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// More is a mistake, and would not fit a command line.
const MOST_ARGS: usize = 256;

fn check_command(command: &str) -> Result<(), String> {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    let is_name = !command.starts_with('.') && !command.is_empty() && command.chars().all(bare);
    let is_path = command.starts_with('/')
        && !command.ends_with('/')
        && !command.chars().any(char::is_control)
        && command.split('/').all(|it| it != "..");
    if command.len() <= 4096 && (is_name || is_path) {
        Ok(())
    } else {
        Err("the command must be an absolute path or the bare name of a program; \
             arguments go into `args`"
            .into())
    }
}

fn is_variable(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.len() <= 256 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn check_url(url: &str, allow_loopback: bool) -> Result<(), String> {
    if 2048 < url.len() || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the URL must be plain ASCII of at most 2048 characters".into());
    }
    if url.contains(['#', '\\', '"', '<', '>', '{', '}', '|', '^', '`']) {
        return Err("the URL holds a character that URLs do not".into());
    }
    let uri: Uri = url.parse().map_err(|_| "this is not a URL".to_owned())?;
    let authority = uri.authority().ok_or("the URL must be absolute")?;
    if authority.as_str().contains('@') {
        return Err("put credentials into an identity, never into the URL".into());
    }
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let is_port = |it: &str| it.parse::<u16>().is_ok_and(|it| it != 0);
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err("the port is not a number from 1 to 65535".into());
    }
    let host =
        Host::parse(authority.host()).ok_or("the URL's host is not a plain name or address")?;
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if !host.is_loopback() => Err("use https".into()),
        Some("http") if allow_loopback => Ok(()),
        Some("http") => Err("use https; plain http to loopback is for development and must be \
                             allowed when Ostiary starts"
            .into()),
        _ => Err("use an https URL".into()),
    }
}

enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Only canonical forms: `0x7f.1`, `127.1` and the like mean different hosts to different
    /// programs.
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            return inner.parse::<Ipv6Addr>().ok().map(|it| Self::Address(it.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let label = |it: &str| {
            let plain = it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            (1..=63).contains(&it.len()) && plain && !it.starts_with('-') && !it.ends_with('-')
        };
        let last = name.rsplit('.').next()?;
        let numeric = last.starts_with(|c: char| c.is_ascii_digit());
        let fits = name.len() <= 253 && name.split('.').all(label) && !numeric;
        fits.then(|| Self::Name(name.to_ascii_lowercase()))
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }
}

impl From<TransportText> for Transport {
    fn from(text: TransportText) -> Self {
        match text {
            TransportText::Http { url } => Self::Http { url },
            TransportText::Sse { url } => Self::Sse { url },
            TransportText::Stdio { command, args, env } => Self::Stdio { command, args, env },
        }
    }
}

impl From<Transport> for TransportText {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Http { url } => Self::Http { url },
            Transport::Sse { url } => Self::Sse { url },
            Transport::Stdio { command, args, env } => Self::Stdio { command, args, env },
        }
    }
}

impl EraText {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }
}

impl From<EraText> for EraSetting {
    fn from(text: EraText) -> Self {
        match text {
            EraText::Auto => Self::Auto,
            EraText::Modern => Self::Modern,
            EraText::Legacy => Self::Legacy,
        }
    }
}

impl From<EraSetting> for EraText {
    fn from(era: EraSetting) -> Self {
        match era {
            EraSetting::Auto => Self::Auto,
            EraSetting::Modern => Self::Modern,
            EraSetting::Legacy => Self::Legacy,
        }
    }
}

impl TasksText {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Wait => "wait",
        }
    }
}

impl ReviewText {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

impl From<TasksText> for TasksSetting {
    fn from(text: TasksText) -> Self {
        match text {
            TasksText::Relay => Self::Relay,
            TasksText::Wait => Self::Wait,
        }
    }
}

impl From<TasksSetting> for TasksText {
    fn from(setting: TasksSetting) -> Self {
        match setting {
            TasksSetting::Relay => Self::Relay,
            TasksSetting::Wait => Self::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h114_urls() {
        let cases = [
            ("https://mcp.example.com/mcp", true),
            ("https://mcp.example.com:8443/a?b=c", true),
            ("https://[2001:db8::1]/mcp", true),
            ("http://127.0.0.1:3000/mcp", true),
            ("http://localhost:3000/mcp", true),
            ("http://[::1]:3000/", true),
            ("http://mcp.example.com/mcp", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://10.0.0.1/", false),
            ("https://user:secret@mcp.example.com/", false),
            ("https://user@mcp.example.com/", false),
            ("https://mcp.example.com/#part", false),
            ("https://0x7f.1/", false),
            ("https://127.1/", false),
            ("https://2130706433/", false),
            ("https://mcp.example.com:/", false),
            ("https://mcp.example.com:99999/", false),
            ("https://-a.example.com/", false),
            ("https://a..example.com/", false),
            ("https:///mcp", false),
            ("https://a\\@b.example.com/", false),
            ("https://exämple.com/", false),
            ("https://a b.example.com/", false),
            ("ftp://mcp.example.com/", false),
            ("file:///etc/passwd", false),
            ("/mcp", false),
            ("mcp.example.com", false),
            ("", false),
        ];
        for (url, good) in cases {
            assert_eq!(check_url(url, true).is_ok(), good, "{url}");
            let plain = url.starts_with("http://");
            assert_eq!(check_url(url, false).is_ok(), good && !plain, "{url} with the guard on");
        }
    }

    #[test]
    fn origins() {
        let cases = [
            ("https://a.example/mcp", "https://a.example/other?x=1", true),
            ("https://a.example/", "https://A.example:443/", true),
            ("https://a.example/", "http://a.example/", false),
            ("https://a.example/", "https://b.example/", false),
            ("https://a.example/", "https://a.example:8443/", false),
        ];
        let http = |url: &str| Transport::Http { url: url.into() };
        for (one, other, same) in cases {
            let sse = Transport::Sse { url: other.into() };
            assert_eq!(is_same_origin(&http(one), &http(other)), same, "{one} {other}");
            assert_eq!(is_same_origin(&http(one), &sse), same, "{one} {other}");
        }
    }

    #[test]
    fn commands() {
        let cases = [
            ("npx", true),
            ("python3.12", true),
            ("g++", true),
            ("/usr/bin/env", true),
            ("/opt/my server/run", true),
            ("", false),
            ("./server", false),
            ("../server", false),
            ("/opt/../bin/sh", false),
            ("bin/server", false),
            ("npx -y thing", false),
            ("sh;reboot", false),
            ("$(reboot)", false),
            ("/bin/", false),
            ("/bin/a\nb", false),
            ("/bin/a\0b", false),
        ];
        for (command, good) in cases {
            assert_eq!(check_command(command).is_ok(), good, "{command:?}");
        }
    }

    #[test]
    fn variables_and_arguments() {
        let stdio = |arg: &str, name: &str| Transport::Stdio {
            command: "npx".into(),
            args: vec![arg.into()],
            env: BTreeMap::from([(name.into(), "x".into())]),
        };
        let cases =
            [("-y", "TOKEN_1", true), ("a\0b", "A", false), ("", "A=B", false), ("", "1A", false)];
        for (arg, name, good) in cases {
            assert_eq!(check(&stdio(arg, name), false).is_ok(), good, "{arg:?} {name:?}");
        }
    }
}
