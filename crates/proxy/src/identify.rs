//! Who is calling: a token that we gave out, and nothing else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use domain::{App, AppId, Config, Snapshot, Starter, TokenHash, TokenId, User, Workspace};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use uuid::Uuid;

use crate::refusal::Refusal;

/// An app that has proved itself, and the person for whom it acts. There is no default one.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) app: AppId,
    pub(crate) proof: Proof,
    /// From where it calls; absent where we ask for ourselves.
    pub(crate) address: Option<IpAddr>,
}

/// By what the caller was recognised, to be checked again when the configuration changes.
#[derive(Clone)]
pub(crate) enum Proof {
    /// The development mode's only caller.
    Anonymous,
    /// Nobody calls: we ask for ourselves, where the app may.
    Ourselves,
    /// Somebody who may do so calls in the place of the app, to see what comes of it.
    Test(Arc<Test>),
    Token {
        hash: TokenHash,
        id: TokenId,
        expires_at: DateTime<Utc>,
    },
}

/// A call in the place of an app.
pub(crate) struct Test {
    /// Its number in the record.
    pub(crate) call: Uuid,
    pub(crate) starter: Starter,
}

/// Who may call without a token: nobody, except in development mode.
pub(crate) type Anonymous = Option<(domain::Name, AppId)>;

/// Recognises the caller of one request from an address.
pub(crate) fn identify(
    config: &Config,
    (headers, address): (&HeaderMap, IpAddr),
    anonymous: &Anonymous,
    now: DateTime<Utc>,
) -> Result<Caller, Refusal> {
    let address = Some(address);
    let Some(header) = headers.get(AUTHORIZATION) else {
        let (workspace, app) = anonymous.as_ref().ok_or(Refusal::Unauthenticated)?;
        let workspace = config.workspaces.get(workspace).ok_or(Refusal::Unauthenticated)?;
        return caller(workspace, *app, Proof::Anonymous, address);
    };
    let text = header.as_bytes();
    let (scheme, secret) = text.split_at_checked(7).ok_or(Refusal::Unauthenticated)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") || secret.is_empty() || 512 < secret.len() {
        return Err(Refusal::Unauthenticated);
    }
    let mut hash = TokenHash::default();
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    recognise(config, hash, now, address)
}

/// Looked up by hash: a guess learns nothing from how long it takes.
fn recognise(
    config: &Config,
    hash: TokenHash,
    now: DateTime<Utc>,
    address: Option<IpAddr>,
) -> Result<Caller, Refusal> {
    let token = config.tokens.get(&hash).filter(|it| it.is_live(now));
    let token = token.ok_or(Refusal::Unauthenticated)?;
    let workspace = config.workspaces.get(&token.workspace).ok_or(Refusal::Unauthenticated)?;
    let (id, expires_at) = (token.id, token.expires_at);
    caller(workspace, token.app, Proof::Token { hash, id, expires_at }, address)
}

fn caller(
    workspace: &Arc<Workspace>,
    app: AppId,
    proof: Proof,
    address: Option<IpAddr>,
) -> Result<Caller, Refusal> {
    if !workspace.apps.contains_key(&app) {
        return Err(Refusal::Unauthenticated);
    }
    Ok(Caller { workspace: Arc::clone(workspace), app, proof, address })
}

impl Caller {
    /// We ourselves in the place of an app, if there is such an app.
    pub(crate) fn ourselves(workspace: &Arc<Workspace>, app: AppId) -> Option<Self> {
        caller(workspace, app, Proof::Ourselves, None).ok()
    }

    /// Somebody in the place of an app, if there is such an app.
    pub(crate) fn test(workspace: &Arc<Workspace>, app: AppId, test: Test) -> Option<Self> {
        let address = test.starter.address;
        caller(workspace, app, Proof::Test(Arc::new(test)), address).ok()
    }

    /// The same caller under another configuration, if it still is one.
    pub(crate) fn again(&self, config: &Config, now: DateTime<Utc>) -> Result<Self, Refusal> {
        match &self.proof {
            Proof::Token { hash, .. } => recognise(config, *hash, now, self.address),
            Proof::Anonymous | Proof::Ourselves | Proof::Test(_) => {
                let found = config.workspaces.get(&self.workspace.name);
                let found = found.ok_or(Refusal::Unauthenticated)?;
                caller(found, self.app, self.proof.clone(), self.address)
            }
        }
    }

    /// Refuses what somebody has started who may not do so any more.
    pub(crate) fn check_starter(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        match &self.proof {
            Proof::Test(test) if !(test.starter.may)(snapshot) => Err(Refusal::Withdrawn),
            _ => Ok(()),
        }
    }

    /// The test that it is, if it is one.
    pub(crate) fn as_test(&self) -> Option<&Test> {
        match &self.proof {
            Proof::Test(test) => Some(test),
            _ => None,
        }
    }

    /// Refuses whoever calls from where the workspace or the app takes no calls.
    pub(crate) fn check_address(&self) -> Result<(), Refusal> {
        let Some((app, address)) = self.app().zip(self.address) else { return Ok(()) };
        domain::check_caller(&self.workspace, app, address)
            .map_err(|list| Refusal::Elsewhere { noun: list.noun() })
    }

    /// How long what it has presented still holds; absent for what holds for ever.
    pub(crate) fn remains(&self, now: DateTime<Utc>) -> Option<Duration> {
        let expires_at = match &self.proof {
            Proof::Token { expires_at, .. } => Some(*expires_at),
            Proof::Test(test) => test.starter.expires_at,
            Proof::Anonymous | Proof::Ourselves => None,
        };
        expires_at.map(|it| (it - now).to_std().unwrap_or(Duration::ZERO))
    }

    /// What it has presented.
    pub(crate) fn token(&self) -> Option<TokenId> {
        match self.proof {
            Proof::Token { id, .. } => Some(id),
            Proof::Anonymous | Proof::Ourselves | Proof::Test(_) => None,
        }
    }

    pub(crate) fn app(&self) -> Option<&App> {
        self.workspace.apps.get(&self.app)
    }

    pub(crate) fn user(&self, id: domain::UserId) -> Option<&User> {
        self.workspace.users.get(&id)
    }
}
