//! A folder, a key and a clock to try logs with.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses a part of it"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{
    Clock, DataKey, DataKeys, Entry, KeyUnavailable, Kind, Leaf, Log, OpenError, Options, Signer,
    VerifierKey,
};
use uuid::Uuid;

pub(crate) const ANN: Uuid = Uuid::from_u128(0xa);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb);

pub(crate) struct World {
    dir: tempfile::TempDir,
}

pub(crate) struct RealClock {
    began: Instant,
    now_ms: Option<i64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Quick ones, so that tests are.
    pub(crate) fn options(&self) -> Options {
        quick_options(&self.dir())
    }

    pub(crate) fn signer(&self) -> Signer {
        signer()
    }

    pub(crate) fn keys(&self) -> Vec<VerifierKey> {
        signer().verifier_keys()
    }

    pub(crate) fn open(&self) -> Log {
        self.open_with(self.options())
    }

    pub(crate) fn open_with(&self, options: Options) -> Log {
        Log::open(options, signer(), Arc::new(RealClock::new())).unwrap()
    }

    pub(crate) fn try_open(&self, signer: Signer) -> Result<Log, OpenError> {
        Log::open(self.options(), signer, Arc::new(RealClock::new()))
    }

    /// Waits until the workspace's checkpoint has this size.
    pub(crate) fn wait_for(&self, log: &Log, workspace: Uuid, size: u64) {
        let began = RealClock::new();
        while log.checkpoint(workspace).is_none_or(|head| head.size < size) {
            assert!(began.monotonic() < Duration::from_secs(10), "no checkpoint of size {size}");
            std::thread::yield_now();
        }
    }

    /// The numbers of the [`note`]s in a workspace's tree.
    pub(crate) fn numbers(&self, log: &Log, workspace: Uuid) -> Vec<u64> {
        numbers(log, workspace)
    }
}

impl RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), now_ms: None }
    }

    /// Its wall clock stands still.
    pub(crate) fn standing_at(now_ms: i64) -> Self {
        Self { now_ms: Some(now_ms), ..Self::new() }
    }
}

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now_ms(&self) -> i64 {
        self.now_ms.unwrap_or_else(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(0)
        })
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

/// An intent that says a number.
pub(crate) fn note(workspace: Uuid, number: u64) -> Entry {
    let leaf = Leaf::new(Kind::Intent)
        .call(Uuid::from_u128(u128::from(number)))
        .str("tool", "jira.search")
        .u64("number", number)
        .finish();
    Entry { workspace, kind: Kind::Intent, leaf }
}

/// The numbers of the [`note`]s in a workspace's tree.
pub(crate) fn numbers(log: &Log, workspace: Uuid) -> Vec<u64> {
    let entries = log.entries(workspace, 0, usize::MAX).unwrap();
    entries
        .iter()
        .map(|entry| {
            let leaf: serde_json::Value = serde_json::from_str(&entry.text).unwrap();
            leaf["number"].as_u64().unwrap()
        })
        .collect()
}

pub(crate) fn signer() -> Signer {
    Signer::from_seed("audit.example", &[7; 32])
}

pub(crate) fn quick_options(dir: &Path) -> Options {
    Options {
        sync_every: Duration::from_millis(10),
        checkpoint_every: Duration::from_millis(5),
        ..Options::new(dir)
    }
}

/// Data keys that are derived from their names, or none at all.
pub(crate) struct Keys {
    has_keys: bool,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { has_keys: true }
    }

    pub(crate) fn none() -> Self {
        Self { has_keys: false }
    }
}

impl DataKeys for Keys {
    fn current(&self, workspace: Uuid, day: i32) -> Result<DataKey, KeyUnavailable> {
        let id = Uuid::from_u128(workspace.as_u128() ^ (u128::from(day.unsigned_abs()) << 64));
        self.open(id)?.ok_or(KeyUnavailable)
    }

    fn open(&self, key: Uuid) -> Result<Option<DataKey>, KeyUnavailable> {
        let mut bytes = [0x5a; 32];
        bytes[..16].copy_from_slice(key.as_bytes());
        Ok(self.has_keys.then(|| DataKey { id: key, key: bytes.into() }))
    }
}
