//! Ostiary itself, from its release binary, with everything on: a token, Cedar, a content rule in
//! both directions, and a record of every call.
//!
//! A data folder is made by a first start, which takes the configuration; from then on the gateway
//! starts as it would on any other day.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::certificate::{CHAIN, Certificate, KEY};
use crate::clock;
use crate::contender::{self, Contender};
use crate::load::{self, Deed, Target};
use crate::payload::SMALL;
use crate::process::Process;
use crate::upstream::{ASKING, FEW, LEGACY_ONLY, MANY, MODERN_ONLY, SHARE, TOOL};

/// How a gateway is to be set up.
pub(crate) struct Setup<'a> {
    /// The column of the table.
    pub(crate) name: &'static str,
    pub(crate) binary: &'a Path,
    /// `written` or `synced`: what a record must have survived before a call goes on.
    pub(crate) durability: &'a str,
    pub(crate) certificate: Option<&'a Certificate>,
    /// More of its configuration, in TOML.
    pub(crate) configuration: &'a str,
    /// How many apps it has; the first makes all calls that one app can make.
    pub(crate) apps: usize,
    /// The upstream's URL, without a path.
    pub(crate) upstream: &'a str,
    /// A folder for its files.
    pub(crate) folder: PathBuf,
    pub(crate) cores: &'a [usize],
    pub(crate) load_cores: &'a [usize],
}

/// A gateway that has been set up and can be started again and again.
pub(crate) struct Gateway<'a> {
    setup: Setup<'a>,
    key: String,
    /// One of each app.
    tokens: Vec<String>,
    process: Process,
}

impl<'a> Gateway<'a> {
    /// Starts with a new data folder. Returns also how long it took until the first call was
    /// answered, without the making of the token.
    pub(crate) fn set_up(setup: Setup<'a>) -> Result<(Self, Duration)> {
        std::fs::create_dir_all(&setup.folder)?;
        let made = Command::new(setup.binary).args(["keys", "generate"]).output();
        let made = made.with_context(|| format!("running {}", setup.binary.display()))?;
        ensure!(made.status.success(), "`ostiary keys generate` failed");
        let key = String::from_utf8(made.stdout)?.trim().to_owned();
        setup.write_files()?;
        let began = clock::now();
        let process = setup.start(&key, true)?;
        let ready = began.elapsed();
        let mut gateway = Self { setup, key, tokens: Vec::new(), process };
        let apps = 1..=gateway.setup.apps;
        gateway.tokens = apps.map(|app| gateway.make_token(&name(app))).collect::<Result<_>>()?;
        let called = gateway.call()?;
        Ok((gateway, ready + called))
    }

    /// Stops it and starts it again. Returns how long it took until a call was answered.
    pub(crate) fn start_again(mut self) -> Result<(Self, Duration)> {
        self.process.stop()?;
        let began = clock::now();
        self.process = self.setup.start(&self.key, false)?;
        let ready = began.elapsed();
        let called = self.call()?;
        Ok((self, ready + called))
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn into_contender(self) -> Result<Contender> {
        let (narrow, wide) = (self.target("narrow", FEW)?, self.target("wide", MANY)?);
        Ok(Contender::new(self.setup.name, Some(self.process), narrow, wide))
    }

    /// Where the server of a gateway's name is.
    pub(crate) fn in_front_of(&self, server: &str) -> Result<Target> {
        Ok(Target { tool: format!("{server}__{TOOL}"), ..self.target(server, FEW)? })
    }

    pub(crate) fn into_process(self) -> Process {
        self.process
    }

    fn target(&self, gateway: &str, tools: usize) -> Result<Target> {
        Ok(Target {
            address: contender::address(&self.process.url)?,
            tls: self.setup.certificate.map(|it| Arc::clone(&it.trusted)),
            path: format!("/mcp/default/{gateway}"),
            token: self.tokens.first().cloned(),
            more_tokens: self.tokens.iter().skip(1).cloned().collect(),
            tool: format!("{NARROW}__{TOOL}"),
            tools,
        })
    }

    fn call(&self) -> Result<Duration> {
        let target = self.target("narrow", FEW)?;
        let began = clock::now();
        load::once(&target, Deed::Call(SMALL), self.setup.load_cores)?;
        Ok(began.elapsed())
    }

    /// A token for an app, made by the administrator who was made at the first start.
    fn make_token(&self, app: &str) -> Result<String> {
        let said = self.process.said.iter();
        let admin = said.filter_map(|line| line.strip_prefix("admin token (shown once): ")).next();
        let target = Target {
            path: format!("/api/v1/workspaces/default/apps/{app}/tokens"),
            token: Some(admin.context("no admin token was shown")?.to_owned()),
            ..self.target("narrow", FEW)?
        };
        let body = load::post(&target, r#"{"name":"bench"}"#, self.setup.load_cores)?;
        let body: Value = serde_json::from_str(&body).with_context(|| body.clone())?;
        let secret = body.get("secret").and_then(Value::as_str);
        Ok(secret.with_context(|| format!("no token was made: {body}"))?.to_owned())
    }
}

impl Setup<'_> {
    fn start(&self, key: &str, is_first: bool) -> Result<Process> {
        let mut command = Command::new(self.binary);
        command.arg("serve").args(["--listen", "127.0.0.1:0"]);
        command.arg("--data").arg(self.folder.join("data"));
        command.arg("--config").arg(self.folder.join(CONFIG));
        if is_first {
            command.arg("--apply").arg(self.folder.join(WORKSPACE));
        }
        // Nothing that somebody has set for a gateway of theirs may change what is measured.
        command.env_clear();
        command.env("OSTIARY_MASTER_KEY", key).env("OSTIARY_ALLOW_LOOPBACK_UPSTREAMS", "1");
        Process::start(command, self.cores, &self.folder.join("ostiary.log"))
    }

    fn write_files(&self) -> Result<()> {
        let mut config = self.configuration.to_owned();
        if let Some(certificate) = self.certificate {
            let path = |name: &str| certificate.folder.join(name);
            config += &format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", path(CHAIN), path(KEY));
        }
        std::fs::write(self.folder.join(CONFIG), config)?;
        std::fs::write(self.folder.join(WORKSPACE), self.workspace())?;
        Ok(())
    }

    fn workspace(&self) -> String {
        let (upstream, durability) = (self.upstream, self.durability);
        let shares: Vec<_> = (1..=MANY / SHARE).map(|number| format!("part-{number}")).collect();
        let mut text = format!("kind: Workspace\nname: default\ndurability: {durability}\n");
        text.push_str("---\nkind: User\nname: ann\n");
        text.push_str("---\nkind: Team\nname: everyone\nmembers: [ann]\n");
        let mut server = |name: &str, kind: &str, tools: usize| {
            let url = format!("{upstream}/{kind}/{tools}");
            text.push_str(&format!(
                "---\nkind: Server\nname: {name}\ntransport: {{ type: http, url: \"{url}\" }}\nreview: off\n"
            ));
        };
        server(NARROW, "mcp", FEW);
        shares.iter().for_each(|name| server(name, "mcp", SHARE));
        OTHERS.iter().for_each(|kind| server(kind, kind, FEW));
        let mut gateway = |name: &str, servers: &[String]| {
            let assigned: String =
                servers.iter().map(|server| format!("  - server: {server}\n")).collect();
            text.push_str(&format!(
                "---\nkind: Gateway\nname: {name}\nteams: [everyone]\nassignments:\n{assigned}{RULES}"
            ));
        };
        gateway("narrow", &[NARROW.to_owned()]);
        gateway("wide", &shares);
        OTHERS.iter().for_each(|name| gateway(name, &[(*name).to_owned()]));
        for app in (1..=self.apps).map(name) {
            text.push_str(&format!(
                "---\nkind: App\nname: {app}\nowner: ann\npurpose: measuring\n"
            ));
            text.push_str("gateways:\n  - gateway: narrow\n  - gateway: wide\n");
            OTHERS.iter().for_each(|name| text.push_str(&format!("  - gateway: {name}\n")));
        }
        text
    }
}

fn name(app: usize) -> String {
    format!("bench-{app}")
}

/// Enough where an app may have 2 000 streams.
pub(crate) const FEW_APPS: usize = 6;

/// Servers with a gateway each, which bears the same name.
const OTHERS: [&str; 3] = [MODERN_ONLY, LEGACY_ONLY, ASKING];

/// The server of the narrow gateway.
const NARROW: &str = "up";

/// Numbers that look like those of payment cards, in both directions.
const RULES: &str = r"rules:
  - name: mask-card-numbers
    pattern: '\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b'
    action: { type: mask, keep_last: 4 }
";

const CONFIG: &str = "ostiary.toml";
const WORKSPACE: &str = "workspace.yaml";
