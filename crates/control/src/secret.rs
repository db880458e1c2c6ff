//! Secrets of our own making: tokens and session cookies.
//!
//! A secret is shown once, to whom it is for. What is stored is its SHA-256: with 256 random bits
//! there is nothing to guess, so no slower hash is called for.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vault::Secret;

/// A new secret: the prefix, which tells scanners what it is, and 32 random bytes as base64url.
pub(crate) fn fresh(prefix: &str) -> Secret {
    Secret::from(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random())))
}

/// Whether it may be one that was made with this prefix.
pub(crate) fn is_of(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|it| it.len() == CHARS)
}

/// Whether it looks like one of ours: no name does.
pub(crate) fn is_secret(word: &str) -> bool {
    word.starts_with("ost") && word.bytes().take(5).any(|it| it == b'_') && LENGTH <= word.len()
}

/// Whether one of ours stands somewhere in it, whatever is before it.
pub(crate) fn holds_secret(text: &str) -> bool {
    find_secret(text).is_some()
}

/// Where one of ours begins in a text, and where it ends.
pub(crate) fn find_secret(text: &str) -> Option<(usize, usize)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices("ost").find_map(|(start, _)| {
        let word = text.get(start..)?.split(|c| !is_word(c)).next()?;
        is_secret(word).then(|| (start, start + word.len()))
    })
}

/// Of the shortest prefix, `ost_`, and 32 bytes as base64url.
const LENGTH: usize = 4 + CHARS;

/// Of 32 bytes as base64url.
const CHARS: usize = 43;

/// 32 random bytes.
pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the kernel's random numbers do not run out");
    bytes
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
