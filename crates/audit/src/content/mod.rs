//! Content beside the log: what messages held, sealed and erasable.
//!
//! The log holds digests; the bytes themselves stand in files of their own, sealed under a key of
//! their workspace and day. Erasing a day, or destroying its key, leaves every proof as it was.
//!
//! The digest is SHA-256 over a random salt and the content. The salt is sealed with the content
//! and not in the leaf: once the content is erased, nobody can find short content again by trying.
//!
//! A content file is a row of items, each at the place its [`ContentRef`] names. Numbers are
//! big-endian, checksums CRC-32C:
//!
//! | bytes of an item | what |
//! |---|---|
//! | 0..4 | `OSC1` |
//! | 4..20 | record id |
//! | 20..36 | key id |
//! | 36..48 | nonce |
//! | 48..56 | length of the content |
//! | 56..60 | checksum of the bytes before |
//! | 60.. | frames |
//!
//! What is sealed is the salt and then the content, cut into frames of 1 MiB. A frame is its
//! AES-256-GCM ciphertext, the tag of 16 bytes and a checksum of both. The nonce of frame *n* is
//! the random one of the item with *n* added (xor) to its last four bytes; workspace, record,
//! length, *n* and whether it is the last are authenticated. Under one key and day, 2³² frames keep
//! the chance of a repeated nonce below 2⁻³².

mod file;
mod seal;
mod store;
mod sync;

use std::cell::RefCell;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::batch::LogError;

pub(crate) use file::{Kind as FileKind, Name};
pub(crate) use seal::{SealKey, Walk, open, sealed_len, walk};
pub use store::{ContentDurable, ContentOptions, ContentStore};

/// Gives the keys that content is sealed under. Calls may come from any thread.
pub trait DataKeys: Send + Sync {
    /// The key for new content of a workspace on a day (days since 1970, UTC). Asked once for each
    /// content file, so it may be slow, but every append of the workspace waits for it.
    ///
    /// # Errors
    ///
    /// When there is no key: then nothing of the workspace is stored.
    fn current(&self, workspace: Uuid, day: i32) -> Result<DataKey, KeyUnavailable>;

    /// A key by its id. `None` when it was destroyed or never known.
    ///
    /// # Errors
    ///
    /// When that cannot be told now.
    fn open(&self, key: Uuid) -> Result<Option<DataKey>, KeyUnavailable>;

    /// Another number each time keys have been destroyed: nothing more is sealed with one that was given
    /// before.
    fn destroyed(&self) -> i64 {
        0
    }
}

/// A key for content, wiped from memory when dropped.
pub struct DataKey {
    /// Names the key in leaves and files.
    pub id: Uuid,
    /// The key.
    pub key: Zeroizing<[u8; 32]>,
}

/// The vault gave no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key for the content of this workspace; check the vault")]
pub struct KeyUnavailable;

/// A salted digest of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDigest {
    /// Random bytes that come before the content.
    pub salt: [u8; 16],
    /// SHA-256 over salt and content.
    pub sha256: [u8; 32],
    /// Length of the content in bytes.
    pub len: u64,
}

/// Where content is, and what it must be. The leaf carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRef {
    /// Whose it is.
    pub workspace: Uuid,
    /// The record it belongs to.
    pub record: Uuid,
    /// Days since 1970, UTC.
    pub day: i32,
    /// Number of the file within the day.
    pub segment: u32,
    /// Where in the file the item begins, in bytes.
    pub offset: u64,
    /// The key it is sealed under.
    pub key: Uuid,
    /// SHA-256 over salt and content.
    pub digest: [u8; 32],
    /// Length of the content in bytes.
    pub len: u64,
}

/// Why content is not stored, or not given back.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// No key to seal it under.
    #[error("the content cannot be sealed")]
    Key(#[from] KeyUnavailable),
    /// The queue is full, the store is closed, or the disk failed.
    #[error("the content is not stored")]
    Log(#[from] LogError),
    /// Its day was erased, or its key destroyed.
    #[error("the content has been erased")]
    Erased,
    /// It should be there and is not.
    #[error("the content is missing")]
    Missing,
    /// What is there is not what was recorded.
    #[error("the content is damaged")]
    Damaged,
    /// The file system failed.
    #[error("the content cannot be read")]
    Io(#[from] std::io::Error),
}

/// Salts and hashes content that is given in parts.
#[must_use]
pub fn digest(parts: &[Bytes]) -> ContentDigest {
    digest_with(random(), parts.iter().map(Bytes::as_ref))
}

pub(crate) fn digest_with<'a>(
    salt: [u8; 16],
    parts: impl Iterator<Item = &'a [u8]>,
) -> ContentDigest {
    let mut context = Context::new(&SHA256);
    context.update(&salt);
    let mut len = 0;
    for part in parts {
        context.update(part);
        len += part.len() as u64;
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    ContentDigest { salt, sha256, len }
}

/// Salts and nonces. Each thread asks for many at once, since asking costs a system call.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    POOL.with_borrow_mut(|(pool, used)| {
        if pool.len() - *used < N {
            aws_lc_rs::rand::fill(pool).expect("the system's random numbers do not fail");
            *used = 0;
        }
        let mut taken = [0; N];
        let fresh = pool.get_mut(*used..*used + N).expect("a salt is shorter than the pool");
        taken.swap_with_slice(fresh);
        *used += N;
        taken
    })
}

thread_local! {
    /// Random bytes, and how many of them have been used.
    static POOL: RefCell<([u8; 1024], usize)> = const { RefCell::new(([0; 1024], 1024)) };
}

/// The form in a leaf.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefJson {
    record: Uuid,
    day: i32,
    segment: u32,
    offset: u64,
    key: Uuid,
    digest: String,
    bytes: u64,
}

impl ContentRef {
    /// The JSON object in a leaf. The workspace is that of the record.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Vec::new();
        self.write_json(&mut json);
        String::from_utf8(json).expect("numbers, ids and digits are ASCII")
    }

    /// Appends the JSON object. Every leaf of a call has one, so it is written without a detour.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let mut id = Uuid::encode_buffer();
        let mut digest = [0; 64];
        hex::encode_to_slice(self.digest, &mut digest).expect("32 bytes have 64 digits");
        let Self { day, segment, offset, len, .. } = self;
        let numbers =
            format!("\",\"day\":{day},\"segment\":{segment},\"offset\":{offset},\"key\":\"");
        out.extend_from_slice(b"{\"record\":\"");
        out.extend_from_slice(self.record.hyphenated().encode_lower(&mut id).as_bytes());
        out.extend_from_slice(numbers.as_bytes());
        out.extend_from_slice(self.key.hyphenated().encode_lower(&mut id).as_bytes());
        out.extend_from_slice(b"\",\"digest\":\"");
        out.extend_from_slice(&digest);
        out.extend_from_slice(format!("\",\"bytes\":{len}}}").as_bytes());
    }

    /// Reads the JSON object of a leaf. `None` when it is not one.
    #[must_use]
    pub fn from_json(workspace: Uuid, json: &str) -> Option<Self> {
        let json: RefJson = serde_json::from_str(json).ok()?;
        Some(Self {
            workspace,
            record: json.record,
            day: json.day,
            segment: json.segment,
            offset: json.offset,
            key: json.key,
            digest: hex::decode(&json.digest).ok()?.try_into().ok()?,
            len: json.bytes,
        })
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).field("key", &"[secret]").finish()
    }
}
