//! What is compared.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::certificate::Certificate;
use crate::load::Target;
use crate::process::Process;
use crate::upstream::{FEW, MANY, TOOL};

/// The upstream itself, which most are compared with.
pub(crate) const DIRECT: &str = "direct";

/// One way to reach the upstream.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// The one whose figures its own are measured by.
    pub(crate) compared_with: &'static str,
    /// Whether its clients are of the legacy era.
    pub(crate) is_legacy: bool,
    /// What stands in between; none where nothing does.
    pub(crate) process: Option<Rc<Process>>,
    /// Offers a few tools, of one server.
    pub(crate) narrow: Target,
    /// Offers many, of as many servers as it has.
    pub(crate) wide: Target,
}

impl Contender {
    pub(crate) fn new(
        name: &'static str,
        process: Option<Process>,
        narrow: Target,
        wide: Target,
    ) -> Self {
        let process = process.map(Rc::new);
        Self { name, compared_with: DIRECT, is_legacy: false, process, narrow, wide }
    }
}

/// The upstream in a process of its own.
pub(crate) fn upstream(cores: &[usize], folder: &Path) -> Result<Process> {
    ours("upstream", &[], cores, &folder.join("upstream.log"))
}

/// The upstream itself.
pub(crate) fn direct(upstream: &Process) -> Result<Contender> {
    let target = |tools: usize| -> Result<Target> {
        Ok(Target {
            address: address(&upstream.url)?,
            tls: None,
            path: format!("/mcp/{tools}"),
            token: None,
            more_tokens: Vec::new(),
            tool: TOOL.to_owned(),
            tools,
        })
    };
    let (narrow, wide) = (target(FEW)?, target(MANY)?);
    Ok(Contender::new(DIRECT, None, narrow, wide))
}

/// A proxy that only forwards bytes, in front of the upstream.
pub(crate) fn floor(
    direct: &Contender,
    certificate: Option<&Certificate>,
    cores: &[usize],
    folder: &Path,
) -> Result<Contender> {
    let to = direct.narrow.address.to_string();
    let name = if certificate.is_some() { "floor-tls" } else { "floor" };
    let mut arguments = vec!["--to".to_owned(), to];
    if let Some(certificate) = certificate {
        arguments.push("--tls".to_owned());
        arguments.push(certificate.folder.to_string_lossy().into_owned());
    }
    let process = ours("floor", &arguments, cores, &folder.join(format!("{name}.log")))?;
    let address = address(&process.url)?;
    let through = |target: &Target| Target {
        address,
        tls: certificate.map(|certificate| Arc::clone(&certificate.trusted)),
        ..target.clone()
    };
    let (narrow, wide) = (through(&direct.narrow), through(&direct.wide));
    Ok(Contender::new(name, Some(process), narrow, wide))
}

/// Where a URL of loopback leads.
pub(crate) fn address(url: &str) -> Result<std::net::SocketAddr> {
    let (_, rest) = url.split_once("://").with_context(|| format!("`{url}` is not a URL"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    authority.parse().with_context(|| format!("`{url}` is not of loopback"))
}

/// This program in another role.
fn ours(role: &str, arguments: &[String], cores: &[usize], log: &Path) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role).args(arguments);
    Process::start(command, cores, log).with_context(|| format!("the {role}"))
}
