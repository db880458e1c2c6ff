//! The front door.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use audit::DataKeys;
use axum::http::StatusCode;
use db::{Db, DbError};
use domain::ports::{
    Counters, Definitions, Gate, GateClosed, Offers, Picks, Previews, Secrets, TestCalls, Traffic,
};
use domain::{Authority, Clock, Stamp, WorkspaceId};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use vault::{Secret, Vault, VaultError};

use crate::accounts::{Attempts, Passwords, Turns};
use crate::api::{Error, chain};
use crate::changes;
use crate::connections::Picking;
use crate::content_keys::{self, ContentKeys};
use crate::identities::VaultSecrets;
use crate::limits::CounterStore;
use crate::limits::counters::{Accounts, Counting, Shared};
use crate::replicas::{Figures, Membership, Replica};
use crate::session::Caller;
use crate::snapshot::{Publisher, StoreGate};
use crate::status::ServerStatus;
use crate::trail::{self, Act, End, What};
use crate::{App, admin_mcp, api, gateways, installation, pins, replicas, series, session};

/// What the control plane is made of.
pub struct ControlOptions {
    /// Open and migrated.
    pub db: Db,
    pub vault: Arc<Vault>,
    pub log: audit::Log,
    pub clock: Arc<dyn Clock>,
    /// Where all replicas count what is used; the database where absent.
    pub counters: Option<CounterStore>,
    /// Lets servers be at plain-HTTP loopback URLs, for development and tests.
    pub allow_loopback: bool,
    /// Whether administrators reach us by HTTPS, so that their cookie is sent by nothing else.
    pub is_secure: bool,
    /// Absent where this process serves nobody.
    pub serving: Option<Serving>,
}

/// How this process serves.
pub struct Serving {
    /// Its name among the replicas.
    pub name: String,
    /// How often a cut-off is tried; zero for never.
    pub canary: Duration,
}

/// The control plane of this replica.
pub struct Control {
    pub(crate) app: Arc<App>,
    gate: Arc<StoreGate>,
    secrets: Arc<VaultSecrets>,
    notes: Arc<pins::Notes>,
    picks: Arc<Picking>,
    first_admin_token: Mutex<Option<Secret>>,
    /// What the first start was, until what it has made can be kept.
    first_start: Mutex<Option<(Act, End)>>,
}

/// Why the control plane cannot start, or do what it was asked at the command line.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The text says what to do about it.
    #[error(transparent)]
    Vault(VaultError),
    #[error("the database does not do what was asked of it")]
    Db(#[from] DbError),
    #[error("the stored configuration cannot be used")]
    Configuration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The text says what is wrong.
    #[error("{0}")]
    Refused(String),
    #[error("there is an admin token `{name}` already")]
    Duplicate { name: String },
}

/// Whose objects are that files make.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    /// The set of files; `default` where absent.
    pub owner: Option<String>,
    /// Whether what the set owns and the text does not name is deleted.
    pub prune: bool,
}

/// How long stopping waits for what is under way.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Starts what goes on until the end: for everybody, and for those who serve.
fn tend(
    app: &Arc<App>,
    (gate, membership): (&Arc<StoreGate>, Arc<Membership>),
    serving: Option<Serving>,
) {
    app.tasks.spawn(Arc::clone(gate).run(app.stop.clone()));
    app.tasks.spawn(Arc::clone(&app.accounts).keep(app.stop.clone()));
    if let Some(shared) = &app.shared {
        app.tasks.spawn(Arc::clone(shared).keep(app.stop.clone()));
    }
    app.tasks.spawn(trail::Refusals::keep(Arc::clone(app)));
    app.tasks.spawn(changes::keep(Arc::clone(app)));
    if let Some(Serving { canary, .. }) = serving {
        app.tasks.spawn(replicas::run(Arc::clone(app), Arc::clone(gate), membership));
        if !app.db.is_exclusive() {
            app.tasks.spawn(content_keys::keep_ahead(Arc::clone(app)));
        }
        app.tasks.spawn(replicas::run_canary(Arc::clone(app), canary));
        app.tasks.spawn(series::keep(Arc::clone(app)));
    }
}

impl Control {
    /// Checks that vault and database belong together, makes the first workspace and the first
    /// admin token where there are none, and publishes the configuration.
    ///
    /// # Errors
    /// As [`ControlError`] says.
    pub async fn open(options: ControlOptions) -> Result<Self, ControlError> {
        let ControlOptions { db, vault, log, clock, counters, allow_loopback, is_secure, serving } =
            options;
        let publisher = Arc::new(Publisher::new());
        let name = serving.as_ref().map_or_else(|| "a command".into(), |it| it.name.clone());
        let id = if serving.is_some() { clock.id() } else { Uuid::nil() };
        let replica = Arc::new(Replica::new(Stamp { id, at: clock.now() }, name));
        let membership = Arc::<Membership>::default();
        let gate = Arc::new(StoreGate::new(
            (Arc::clone(&publisher), db.clone()),
            Arc::clone(&clock),
            (Arc::clone(&replica), Arc::clone(&membership)),
        ));
        let (keys, keeper) = content_keys::new(db.clone(), Arc::clone(&vault), Arc::clone(&clock));
        let authority = Authority::compile(WorkspaceId(Uuid::nil()), Vec::new())
            .map_err(|error| ControlError::Configuration(error.into()))?;
        let (notes, noter) = pins::notes(db.clone(), Arc::clone(&clock));
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let accounts = Accounts::new(db.clone(), Arc::clone(&clock), tasks.clone());
        let shared = counters.map(|it| Shared::new(it, Arc::clone(&accounts)));
        if let Some(shared) = &shared {
            shared.connect().await;
        }
        let app = Arc::new(App {
            db,
            vault: Arc::clone(&vault),
            log,
            content: OnceLock::new(),
            refusals: trail::Refusals::default(),
            seats: changes::Seats::new(),
            series: series::Series::default(),
            clock,
            publisher,
            gate: Arc::clone(&gate),
            authority: Arc::new(authority),
            replica,
            keys: Arc::new(keys),
            traffic: OnceLock::new(),
            status: OnceLock::new(),
            offers: OnceLock::new(),
            previews: OnceLock::new(),
            test_calls: OnceLock::new(),
            test_seats: gateways::TestSeats::default(),
            passwords: Passwords::default(),
            attempts: Attempts::default(),
            turns: Turns::default(),
            accounts,
            shared,
            allow_loopback,
            is_secure,
            turn: Arc::new(Semaphore::new(1)),
            tasks,
            leaving: CancellationToken::new(),
            stop,
        });
        let first = installation::start(&app).await?;
        let (first_admin_token, first_start) = first.map(|it| (it.secret, it.act)).unzip();
        if serving.is_some() {
            replicas::join(&app, &membership).await?;
        }
        if let Err(error) = gate.load().await {
            replicas::leave(&app).await;
            return Err(ControlError::Configuration(error.into()));
        }
        app.tasks.spawn(keeper.run(app.stop.clone()));
        app.tasks.spawn(noter.run(app.stop.clone()));
        tend(&app, (&gate, membership), serving);
        let picks = Arc::new(Picking::new(Arc::clone(&app)));
        Ok(Self {
            app,
            gate,
            secrets: Arc::new(VaultSecrets(vault)),
            notes,
            picks,
            first_admin_token: Mutex::new(first_admin_token),
            first_start: Mutex::new(first_start),
        })
    }

    /// The admin API at `/api/v1`, and the same as MCP tools at `/mcp-admin`.
    pub fn router(&self) -> axum::Router {
        let api = api::router(Arc::clone(&self.app));
        admin_mcp::router(Arc::clone(&self.app), api.clone()).merge(api)
    }

    /// For the data plane: proves its snapshot current.
    pub fn gate(&self) -> Arc<dyn Gate> {
        Arc::<StoreGate>::clone(&self.gate)
    }

    /// Whether calls are decided, at least at gateways that may do without the database.
    ///
    /// # Errors
    /// Where nothing can tell whether permissions have changed.
    pub async fn is_open(&self) -> Result<(), GateClosed> {
        self.gate.is_open().await
    }

    /// For how long from now on calls are answered at some gateway, where the database does not answer
    /// any more.
    pub fn autonomy(&self) -> Duration {
        let App { replica, publisher, clock, .. } = self.app.as_ref();
        let widest = publisher.newest().snapshot.config.widest_autonomy();
        replica.autonomy.remains(widest, clock.elapsed())
    }

    /// Whether the database is away.
    pub fn is_database_away(&self) -> bool {
        self.app.replica.autonomy.is_away()
    }

    /// For the data plane: opens credentials on their way upstream.
    pub fn secrets(&self) -> Arc<dyn Secrets> {
        Arc::<VaultSecrets>::clone(&self.secrets)
    }

    /// For the data plane: counts what is used against limits.
    pub fn counters(&self) -> Arc<dyn Counters> {
        let App { accounts, shared, .. } = self.app.as_ref();
        Arc::new(Counting { accounts: Arc::clone(accounts), shared: shared.clone() })
    }

    /// Whether the store of counters counts, and how many calls the database has counted in its place;
    /// nothing where there is none.
    pub fn counter_store(&self) -> Option<(bool, u64)> {
        self.app.shared.as_ref().map(|it| it.gauges())
    }

    /// For the data plane: takes note of definitions that wait for approval.
    pub fn definitions(&self) -> Arc<dyn Definitions> {
        Arc::<pins::Notes>::clone(&self.notes)
    }

    /// For the data plane: keeps what apps pick.
    pub fn picks(&self) -> Arc<dyn Picks> {
        Arc::<Picking>::clone(&self.picks)
    }

    /// For the audit crate: the keys of recorded content.
    pub fn data_keys(&self) -> Arc<dyn DataKeys> {
        Arc::<ContentKeys>::clone(&self.app.keys)
    }

    /// Where it is kept what administrative acts have changed, sealed under our
    /// [data keys](Self::data_keys). Until it is set, records of acts say no more than that they
    /// were done.
    pub async fn set_content(&self, content: Arc<audit::ContentStore>) {
        drop(self.app.content.set(content));
        self.end_first_start().await;
    }

    /// The first start ends when there is a place for what it has made.
    async fn end_first_start(&self) {
        let first = self.first_start.lock().take();
        if let Some((act, end)) = first {
            act.close(&self.app, end).await;
        }
    }

    /// Where cut-offs are enforced. Until it is set there is no traffic to end; setting it twice
    /// changes nothing.
    pub fn set_traffic(&self, traffic: Arc<dyn Traffic>) {
        drop(self.app.traffic.set(traffic));
    }

    /// What clients are shown. Until it is set, nothing can be said of it.
    pub fn set_previews(&self, previews: Arc<dyn Previews>) {
        drop(self.app.previews.set(previews));
    }

    /// What calls in the place of apps. Until it is set, nobody can.
    pub fn set_test_calls(&self, test_calls: Arc<dyn TestCalls>) {
        drop(self.app.test_calls.set(test_calls));
    }

    /// How servers are doing. Until it is set, nothing is said of it.
    pub fn set_server_status(&self, status: Arc<dyn ServerStatus>) {
        drop(self.app.status.set(status));
    }

    /// What servers have listed. Until it is set, nothing is known of it.
    pub fn set_offers(&self, offers: Arc<dyn Offers>) {
        drop(self.app.offers.set(offers));
    }

    /// What is counted of changes.
    pub fn figures(&self) -> &Figures {
        &self.app.replica.figures
    }

    /// The newest epoch.
    pub fn epoch(&self) -> i64 {
        self.app.publisher.epoch()
    }

    /// The admin token that was made at the first start; taken once.
    pub fn first_admin_token(&self) -> Option<Secret> {
        self.first_admin_token.lock().take()
    }

    /// Makes another admin token.
    ///
    /// # Errors
    /// Where the name is taken, or the database fails.
    pub async fn mint_admin_token(&self, name: &str) -> Result<Secret, ControlError> {
        self.mint_recorded((name, false)).await
    }

    /// The same, and as long as nobody has an account above all workspaces it makes one, once.
    ///
    /// # Errors
    /// Where the name is taken, or the database fails.
    pub async fn mint_set_up_token(&self, name: &str) -> Result<Secret, ControlError> {
        self.mint_recorded((name, true)).await
    }

    async fn mint_recorded(&self, (name, sets_up): (&str, bool)) -> Result<Secret, ControlError> {
        let stamp = self.app.clock.stamp();
        let act = (stamp.id, What::words("make an admin token"));
        let actor = Caller::command_line();
        let act = trail::open(&self.app, &actor, act, vec![trail::INSTALLATION]).await;
        let act = act.map_err(refused)?;
        let minted = self.mint(stamp, (name, sets_up)).await;
        let end = match &minted {
            Ok(_) => End::with(StatusCode::CREATED).touching(session::minted(stamp, name)),
            Err(DbError::Duplicate) => End::with(StatusCode::CONFLICT),
            Err(_) => End::with(StatusCode::INTERNAL_SERVER_ERROR),
        };
        act.close(&self.app, end).await;
        minted.map_err(|error| match error {
            DbError::Duplicate => ControlError::Duplicate { name: name.to_owned() },
            error => error.into(),
        })
    }

    async fn mint(&self, stamp: Stamp, made: (&str, bool)) -> Result<Secret, DbError> {
        let mut tx = self.app.db.begin().await?;
        let secret = session::mint_admin(&mut tx, stamp, made).await?;
        tx.commit().await?;
        Ok(secret)
    }

    /// What is behind it, for tests of what goes on between two requests.
    #[cfg(test)]
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Whether a request may see what only administrators of the installation may, such as
    /// metrics.
    pub async fn is_admin(&self, headers: &axum::http::HeaderMap) -> bool {
        let caller = session::authenticate(&self.app, &axum::http::Method::GET, headers).await;
        caller.is_ok_and(|it| it.workspace().is_none())
    }

    /// From now on changes that have been made are not waited for much longer, so that whoever has asked
    /// for one hears of it while there is a connection. To be said when this process is told to stop.
    pub fn leave(&self) {
        self.app.leaving.cancel();
    }

    /// Refuses calls at the gate from now on, and waits for what is under way.
    pub async fn close(&self) {
        self.end_first_start().await;
        self.app.stop.cancel();
        self.app.tasks.close();
        if tokio::time::timeout(CLOSE_LIMIT, self.app.tasks.wait()).await.is_err() {
            tracing::warn!("Some administrative acts were still under way at the end");
        }
    }

    /// Counts for charts what has been recorded last: to be called once the log has been closed.
    pub async fn finish(&self) {
        series::finish(&self.app).await;
    }
}

pub(crate) fn refused(error: Error) -> ControlError {
    match error {
        Error::Internal(source) => ControlError::Configuration(source),
        error => ControlError::Refused(chain(&error)),
    }
}
