//! Small tokens that a client must bring back unread and unchanged: cursors, session ids, request
//! state.
//!
//! A token is AES-256-GCM under a key of the installation, in base64url without padding, so that it
//! fits in a header, a URL and a JSON string. What it is for and whom it is for are associated data:
//! a token opened for another purpose, principal or route is as good as a forged one. Nonces are
//! random, which is safe for 2^32 tokens under one key. Tokens carry no time; put an expiry in the
//! payload.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Seals and opens tokens.
pub struct Sealer(RandomizedNonceKey);

impl Sealer {
    /// A sealer for one key; keep the key as long as its tokens should open.
    pub fn new(key: [u8; 32]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key has 32 bytes"))
    }

    /// Seals `payload` for a purpose. Only the same purpose and `bound` parts, in order, open it.
    pub fn seal(&self, purpose: &str, bound: &[&[u8]], payload: &[u8]) -> String {
        let mut sealed = payload.to_vec();
        let aad = Aad::from(associated(purpose, bound));
        let nonce = self.0.seal_in_place_append_tag(aad, &mut sealed);
        let nonce = nonce.expect("a buffer in memory is shorter than what AES-GCM can seal");
        let mut token = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        token.push(VERSION);
        token.extend_from_slice(nonce.as_ref());
        token.extend_from_slice(&sealed);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The payload, if the token was sealed under this key for this purpose and these parts.
    pub fn open(&self, purpose: &str, bound: &[&[u8]], token: &str) -> Option<Vec<u8>> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (version, rest) = token.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok().filter(|_| *version == VERSION)?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(associated(purpose, bound));
        let length = self.0.open_in_place(nonce, aad, &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer([secret])")
    }
}

/// The first byte of a token, so that another form can be told apart.
const VERSION: u8 = 1;

/// Longer tokens are none of ours.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Each part with its length before it, so that no two lists of parts give the same bytes.
fn associated(purpose: &str, bound: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.push(VERSION);
    for part in std::iter::once(&purpose.as_bytes()).chain(bound) {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: [&[u8]; 2] = [b"workspace", b"ann"];

    #[test]
    fn what_is_sealed_is_opened_and_never_looks_the_same() {
        let sealer = Sealer::new([7; 32]);
        let first = sealer.seal("cursor", &BOUND, b"page 2");
        let second = sealer.seal("cursor", &BOUND, b"page 2");
        assert_ne!(first, second);
        assert!(first.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
        for token in [first, second] {
            assert_eq!(sealer.open("cursor", &BOUND, &token).as_deref(), Some(&b"page 2"[..]));
        }
        let empty = sealer.seal("", &[], b"");
        assert_eq!(sealer.open("", &[], &empty).as_deref(), Some(&[][..]));
    }

    #[test]
    fn h060_a_token_for_somebody_or_something_else_does_not_open() {
        let sealer = Sealer::new([7; 32]);
        let token = sealer.seal("cursor", &BOUND, b"page 2");
        let others: [(&str, &[&[u8]]); 7] = [
            ("session", &BOUND),
            ("cursor", &[b"workspace", b"bob"]),
            ("cursor", &[b"workspace"]),
            ("cursor", &[b"ann", b"workspace"]),
            ("cursor", &[b"workspaceann"]),
            ("cursor", &[b"workspace", b"ann", b""]),
            ("cursorworkspace", &[b"ann"]),
        ];
        for (purpose, bound) in others {
            assert_eq!(sealer.open(purpose, bound, &token), None, "{purpose} {bound:?}");
        }
        assert_eq!(Sealer::new([8; 32]).open("cursor", &BOUND, &token), None);
    }

    #[test]
    fn h060_a_changed_token_does_not_open() {
        let sealer = Sealer::new([7; 32]);
        let token = sealer.seal("cursor", &BOUND, b"page 2");
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(sealer.open("cursor", &BOUND, &changed), None, "{place}");
            let shorter: String = token.chars().take(place).collect();
            assert_eq!(sealer.open("cursor", &BOUND, &shorter), None, "{place}");
        }
        assert_eq!(sealer.open("cursor", &BOUND, &format!("{token}A")), None);
        assert_eq!(sealer.open("cursor", &BOUND, &format!("{token}=")), None);
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", Sealer::new([7; 32])), "Sealer([secret])");
    }

    proptest! {
        #[test]
        fn any_payload_comes_back(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let sealer = Sealer::new([9; 32]);
            let token = sealer.seal("p", &[b"x"], &payload);
            prop_assert_eq!(sealer.open("p", &[b"x"], &token), Some(payload));
        }

        #[test]
        fn any_text_is_answered(text in "[A-Za-z0-9_-]{0,80}|.{0,20}") {
            prop_assert_eq!(Sealer::new([9; 32]).open("p", &[], &text), None);
        }
    }
}
