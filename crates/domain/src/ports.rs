//! What the data plane asks of the rest of the program: nothing but these.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::Charge;
use crate::{
    AppId, Config, Described, Gateway, GatewayId, Identity, IdentityId, Name, NoPreview, NotCalled,
    PinKey, Preview, Server, ServerId, Snapshot, TestCall, Tested, Workspace, WorkspaceId,
};

/// A boxed future, since these traits stand between crates.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Proves a snapshot current.
pub trait Gate: Send + Sync {
    /// The snapshot without any promise: good for looking things up before the last gate.
    fn latest(&self) -> Arc<Snapshot>;

    /// A snapshot proved current by a read that began after this was called.
    fn current(&self) -> Answer<'_, Result<Arc<Snapshot>, GateClosed>>;

    /// Resolves when [`Gate::latest`] says something else than `known`.
    fn replaced<'a>(&'a self, known: &'a Arc<Snapshot>) -> Answer<'a, ()>;

    /// As [`Gate::current`], for what is asked at a gateway. While the store is away, and for as long
    /// as that gateway may do without it, the snapshot is the latest that is known.
    fn current_at<'a>(&'a self, at: At<'a>) -> Answer<'a, Result<Standing, GateClosed>> {
        let _ = at;
        Box::pin(async { Ok(Standing { snapshot: self.current().await?, unproved: None }) })
    }

    /// Whether what is under way at a gateway may go on without another look at the store.
    fn may_go_on(&self, at: At<'_>) -> bool {
        let _ = at;
        false
    }

    /// How old what is known is, while that is what calls at a gateway are decided by; nothing while
    /// the store is there, and where they are not.
    fn apart(&self, at: At<'_>) -> Option<Duration> {
        let _ = at;
        None
    }

    /// Resolves when [`Gate::apart`] says something.
    fn away<'a>(&'a self, at: At<'a>) -> Answer<'a, ()> {
        let _ = at;
        Box::pin(std::future::pending())
    }
}

/// A gateway, and the workspace that it is of, as they were at some time.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub workspace: &'a Workspace,
    pub gateway: &'a Gateway,
}

/// What calls are decided by.
pub struct Standing {
    pub snapshot: Arc<Snapshot>,
    /// How old it is, where nothing has said since that it still holds.
    pub unproved: Option<Duration>,
}

impl At<'_> {
    /// For how long the gateway may do without the store, by this configuration. One that has another
    /// name since may not.
    pub fn autonomy_in(self, config: &Config) -> Duration {
        let workspace = config.workspaces.get(&self.workspace.name);
        let found = workspace.and_then(|it| it.gateways.get(&self.gateway.name));
        found.filter(|it| it.id == self.gateway.id).map_or(Duration::ZERO, |it| it.autonomy)
    }
}

/// The store could not say whether anything has changed, so nothing may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot tell whether permissions have changed; try again shortly")]
pub struct GateClosed;

/// Opens credentials on their way upstream.
pub trait Secrets: Send + Sync {
    /// The headers to attach, in clear, for one request. Fails closed.
    fn open(
        &self,
        workspace: WorkspaceId,
        identity: &Identity,
    ) -> Result<SecretHeaders, Unopenable>;
}

/// Header names with secret values. Not printable, not serialisable.
pub struct SecretHeaders(pub Vec<(String, Vec<u8>)>);

/// The vault refused: another key, or damaged data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored credential cannot be opened")]
pub struct Unopenable;

/// Counts what is used against limits, for all replicas together.
pub trait Counters: Send + Sync {
    /// Charges all of them or, where one of them has no room, none.
    fn charge(
        &self,
        workspace: WorkspaceId,
        charges: Vec<Charge>,
    ) -> Answer<'_, Result<(), Uncharged>>;

    /// The same while the store is away, by what is held here and, beyond that, by what each limit
    /// allows a replica on its own: never waits, and is never without bounds.
    fn charge_apart(&self, workspace: WorkspaceId, charges: &[Charge]) -> Result<(), Uncharged> {
        let _ = (workspace, charges);
        Err(Uncharged::Unavailable)
    }

    /// Charges for what has been used already, room or not.
    fn settle(&self, workspace: WorkspaceId, charges: Vec<Charge>);
}

/// Why nothing has been charged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncharged {
    /// There may be room after this long; never for so much at once where it is absent.
    #[error("the limit `{limit}` allows no more")]
    Exceeded { limit: Name, wait: Option<Duration> },
    #[error("what is used cannot be counted; try again shortly")]
    Unavailable,
}

/// Takes note of definitions that servers list and nobody has approved.
pub trait Definitions: Send + Sync {
    /// Whether a definition has not been told of for a while.
    fn is_news(&self, server: ServerId, pin: PinKey) -> bool;

    /// Takes note of what is news, all of one server. Never waits: what there is no room for is news
    /// again when the server is listed again.
    fn note(&self, workspace: WorkspaceId, server: ServerId, found: Vec<Sighting>);
}

/// A definition that a server lists.
#[derive(Clone, Debug)]
pub struct Sighting {
    pub pin: PinKey,
    /// The server's own name for it; of a template its URI template.
    pub name: Box<str>,
    /// In its canonical form, which the hash is of: JSON.
    pub text: Box<str>,
}

/// What servers have listed, which only the data plane knows.
pub trait Offers: Send + Sync {
    /// What a server has listed last, with that credential, under its own name for a tool.
    fn tool(&self, server: &Server, identity: Option<IdentityId>, name: &str) -> Listed;
}

/// What a server has listed under a name.
#[derive(Clone, Debug)]
pub enum Listed {
    As {
        pin: PinKey,
        described: Described,
    },
    /// Nothing.
    Missing,
    /// Nobody has asked it yet, or it could not be asked.
    Unknown,
}

/// Keeps which gateway each app has picked.
pub trait Picks: Send + Sync {
    /// Lets an app be at a gateway that it is connected to. When it has resolved, whoever asks for the
    /// current snapshot gets one that says so.
    fn pick(
        &self,
        workspace: WorkspaceId,
        app: AppId,
        gateway: GatewayId,
    ) -> Answer<'_, Result<(), NotPicked>>;
}

/// Why a gateway has not been picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPicked {
    #[error("the app is not connected to the gateway any more")]
    Gone,
    #[error("too many are picking just now; try again shortly")]
    Crowded,
    #[error("what is picked cannot be kept; try again shortly")]
    Unavailable,
}

/// What is under way in the data plane.
pub trait Traffic: Send + Sync {
    /// Ends every call and stream that is not allowed any more by this snapshot, which is the latest.
    /// They have been told so when this returns, but for those about which policies have to decide: of
    /// these [`Traffic::renew`] extends nothing until they have. What it returns resolves, with how many
    /// were ended, when nothing that was ever ended can reach an upstream or release another byte to its
    /// client.
    fn settle(&self, snapshot: Arc<Snapshot>) -> Answer<'_, usize>;

    /// Says until when, by [`crate::Clock::elapsed`], what is under way may go on being written and
    /// released unless this is called again. Before the first time it may for ever.
    fn renew(&self, until: Duration);
}

/// What the data plane shows to clients.
pub trait Previews: Send + Sync {
    /// What a client of this app sees on this gateway. Asks servers that have not been asked yet, as a
    /// client would.
    fn preview(
        &self,
        workspace: WorkspaceId,
        gateway: GatewayId,
        app: AppId,
    ) -> Answer<'_, Result<Preview, NoPreview>>;
}

/// Calls in the place of apps.
pub trait TestCalls: Send + Sync {
    /// Makes one, on the same way as that of a client, and waits until it has ended. Nobody answers what
    /// its server may ask.
    fn call(&self, test: TestCall) -> Answer<'_, Result<Tested, NotCalled>>;
}
