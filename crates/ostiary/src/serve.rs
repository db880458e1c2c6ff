//! `ostiary serve`: opens everything in the order in which it depends on one another, serves, and
//! closes it the other way round.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use control::{Control, ControlOptions, ServerState, ServerStatus, Status};
use db::Db;
use domain::ServerId;
use ostiary::listener::{Settings, TlsFiles};
use proxy::wire::Guard;
use proxy::{Ports, Proxy};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use vault::{Place, Vault};

use crate::cli::ServeArgs;
use crate::clock::SystemClock;
use crate::commands::audit::KEY_FILE;
use crate::commands::files;
use crate::config::Config;
use crate::door::{self, Doors};
use crate::failure::Failure;
use crate::pages;
use crate::plane::{self, Wiring};
use crate::print;

/// Runs until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let config = Config::load(args).map_err(Failure::configuration)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(serve(config, &args.apply))
}

async fn serve(config: Config, apply: &[PathBuf]) -> Result<ExitCode, Failure> {
    if config.allow_loopback_upstreams {
        tracing::warn!(
            "OSTIARY_ALLOW_LOOPBACK_UPSTREAMS is set: plain-HTTP loopback servers are let through"
        );
    }
    // Bound before anything is written, so that a taken port leaves no trace.
    let bound = door::bind(settings(&config)).await?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let house = House::open(config).await?;
    for file in apply {
        house.files(&files::read(file)?, false).await?;
    }
    let doors = Doors {
        wiring: house.wiring.clone(),
        proxy: Arc::clone(&house.proxy),
        pages: Some(pages::router(&house)),
    };
    if let Some(token) = house.control.first_admin_token()
        && let Some(text) = token.expose_text()
    {
        print::line(format_args!("admin token (shown once): {text}"));
    }
    let told_to_stop = door::told_to_stop()?;
    print::line(format_args!("listening on {scheme}://{}", bound.local_addr()));
    door::serve(bound, doors, told_to_stop).await?;
    house.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn settings(config: &Config) -> Settings {
    let tls = config.tls.clone().map(|it| TlsFiles { certificate: it.certificate, key: it.key });
    let mut settings = Settings::new(config.listen);
    settings.workers = config.workers;
    settings.tls = tls;
    settings.behind_tls_proxy = config.behind_tls_proxy;
    settings
}

/// Everything that is open.
pub(crate) struct House {
    pub(crate) control: Arc<Control>,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) log: audit::Log,
    pub(crate) hosts: proxy::Hosts,
    content: Arc<audit::ContentStore>,
    wiring: Wiring,
    tasks: TaskTracker,
}

impl House {
    pub(crate) async fn open(config: Config) -> Result<Self, Failure> {
        make_private(&config.data)?;
        let clock = Arc::new(SystemClock);
        let db = Db::open(&config.database).await.map_err(Failure::configuration)?;
        db.claim().await.map_err(Failure::configuration)?;
        let vault = Arc::new(Vault::new(config.key, 1));
        let signer = signer(&config.data, &vault)?;
        let log = audit::Options::new(config.data.join("log"));
        let log = audit::Log::open(log, signer, Arc::<SystemClock>::clone(&clock))
            .map_err(Failure::configuration)?;
        let secure = config.tls.is_some() || config.behind_tls_proxy;
        let control = Control::open(ControlOptions {
            db,
            vault: Arc::clone(&vault),
            log: log.clone(),
            clock: Arc::<SystemClock>::clone(&clock),
            allow_loopback: config.allow_loopback_upstreams,
            is_secure: secure,
        });
        let control = Arc::new(control.await.map_err(Failure::configuration)?);
        let mut content = audit::ContentOptions::new(config.data.join("content"));
        // Room for many large results at once: what does not fit is refused.
        content.queue_bytes = 256 << 20;
        let content = audit::ContentStore::open(
            content,
            control.data_keys(),
            Arc::<SystemClock>::clone(&clock),
        );
        let content = Arc::new(content.map_err(Failure::configuration)?);
        let tasks = TaskTracker::new();
        let hosts = plane::hosts(config.listen, &config.hosts, secure);
        let mut options = plane::options(hosts.clone(), vault.derive("rule hashes"), tasks.clone());
        options.largest_request = config.largest_request_bytes;
        let ports = Ports {
            gate: control.gate(),
            secrets: control.secrets(),
            clock,
            log: log.clone(),
            content: Some(Arc::clone(&content)),
        };
        let proxy = Proxy::new(ports, options);
        control.set_traffic(proxy.traffic());
        control.set_server_status(Arc::new(Watching(Arc::clone(&proxy))));
        let wiring = Wiring::new(Guard {
            allow_loopback: config.allow_loopback_upstreams,
            allowed: config.allowed_networks.clone(),
        })?;
        Ok(Self { control, proxy, log, hosts, content, wiring, tasks })
    }

    /// Applies a text, or says what applying it would do.
    pub(crate) async fn files(&self, text: &str, dry: bool) -> Result<Value, Failure> {
        let objects = if dry {
            self.control.diff_files(text, &files::resolve).await
        } else {
            self.control.apply_files(text, &files::resolve).await
        };
        Ok(json!({"objects": objects.map_err(Failure::configuration)?}))
    }

    pub(crate) async fn export(&self, workspace: &str) -> Result<String, Failure> {
        self.control.export_files(workspace).await.map_err(Failure::other)
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.control.close().await;
        self.proxy.close().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.content.close().map_err(Failure::other)?;
        self.log.close().map_err(Failure::other)
    }
}

/// The key that signs the log's checkpoints. Made once and sealed: it must outlive the master key,
/// or nobody could follow the log across a rotation.
fn signer(data: &Path, vault: &Vault) -> Result<audit::Signer, Failure> {
    const PLACE: Place<'static> =
        Place { workspace: [0; 16], kind: "log", record: [0; 16], field: "signer" };

    let path = data.join("signer.sealed");
    let mut seed = [0; 32];
    match std::fs::read(&path) {
        Ok(sealed) => {
            let opened = vault.open(PLACE, &sealed).map_err(Failure::configuration)?;
            let exposed: Result<[u8; 32], _> = opened.expose().try_into();
            seed = exposed.map_err(Failure::configuration)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            plane::random(&mut seed)?;
            let sealed = vault.seal(PLACE, &seed).map_err(Failure::configuration)?;
            write_new(&path, sealed.as_bytes()).map_err(Failure::configuration)?;
        }
        Err(error) => return Err(Failure::configuration(error)),
    }
    let signer = audit::Signer::from_seed("ostiary", &seed);
    let public = data.join(KEY_FILE);
    if !public.exists() {
        write_new(&public, format!("{}\n", signer.verifier_key()).as_bytes())
            .map_err(Failure::configuration)?;
    }
    Ok(signer)
}

/// The folder, for us alone: it holds the log and the sealed secrets.
fn make_private(data: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    if !data.is_dir() {
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        return folder.create(data).map_err(Failure::configuration);
    }
    let mode = std::fs::metadata(data).map_err(Failure::configuration)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let data = data.display();
    Err(Failure::Configuration(format!(
        "the data folder {data} is open to other users of this machine; close it with \
         `chmod 700 {data}`"
    )))
}

/// Whole or not at all.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let draft = path.with_extension("draft");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// What the data plane knows of servers, for the control plane to show.
struct Watching(Arc<Proxy>);

impl ServerStatus for Watching {
    fn status(&self, server: ServerId) -> Option<Status> {
        let health = self.0.health(server)?;
        let state = match health.failures {
            0 if health.last_answer.is_none() => return None,
            0 => ServerState::Up,
            1 | 2 => ServerState::Failing,
            _ => ServerState::Down,
        };
        Some(Status { state, detail: health.error, tools: self.0.tools_of(server) })
    }
}
