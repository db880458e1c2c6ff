//! Signed notes and checkpoints: the heads of the trees (c2sp.org/signed-note,
//! c2sp.org/tlog-checkpoint). Pure, but for making signatures.
//!
//! Each workspace has a log of its own, with an origin of its own: that of the gateway, a slash and
//! the workspace's id. One Ed25519 key signs for all of them, under the origin as key name, so
//! a checkpoint of one log is worthless for another.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::merkle::Hash;

/// Signs checkpoints. Holds the private key; `Debug` does not print it.
pub struct Signer {
    origin: String,
    keys: Vec<Ed25519KeyPair>,
    trusted: Vec<VerifierKey>,
}

/// A key that a signer's notes are checked with, in the text form of signed notes:
/// `name+hash+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

/// The head of a log at some size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
    /// The signed note.
    pub text: String,
}

/// Why a note or a key is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not in the form of the specification.
    #[error("not a signed checkpoint")]
    Malformed,
    /// No signature by a key that was given.
    #[error("not signed by a known key")]
    UnknownKey,
    /// Signed by a known key, but over another text.
    #[error("the signature does not fit the text")]
    BadSignature,
    /// Not a verifier key in the form `name+hash+key`.
    #[error("not a verifier key of the form name+hash+key")]
    BadKey,
}

impl Signer {
    /// A signer for the logs under `origin`, such as `audit.example.com`: not empty, without
    /// spaces, plus signs and control characters; whatever else is in it is dropped.
    ///
    /// # Panics
    ///
    /// Never: every seed is a key.
    #[must_use]
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Self {
        let plain: String = origin.chars().filter(|c| is_name_char(*c)).collect();
        let origin = if plain.is_empty() { "ostiary".to_owned() } else { plain };
        Self { origin, keys: vec![pair(seed)], trusted: vec![] }
    }

    /// Signs with another key too: during a rotation both the old and the new key, so that whoever
    /// knows one of them can follow.
    #[must_use]
    pub fn and_seed(mut self, seed: &[u8; 32]) -> Self {
        self.keys.push(pair(seed));
        self
    }

    /// Believes checkpoints that a lost key has signed, so that their log can be continued under
    /// the keys that are left.
    #[must_use]
    pub fn and_trust(mut self, key: VerifierKey) -> Self {
        self.trusted.push(key);
        self
    }

    /// The text by which others check the signatures of the first key: `name+hash+key`.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        self.verifier_keys().first().map(ToString::to_string).unwrap_or_default()
    }

    /// The keys by which the signatures are checked, one for each seed.
    #[must_use]
    pub fn verifier_keys(&self) -> Vec<VerifierKey> {
        self.keys
            .iter()
            .map(|pair| VerifierKey { name: self.origin.clone(), public: public(pair) })
            .collect()
    }

    /// The keys whose checkpoints are continued.
    pub(crate) fn believed_keys(&self) -> Vec<VerifierKey> {
        let mut keys = self.verifier_keys();
        keys.extend(self.trusted.iter().cloned());
        keys
    }

    /// The origin of a workspace's log.
    #[must_use]
    pub fn origin(&self, workspace: Uuid) -> String {
        log_origin(&self.origin, workspace)
    }

    /// Signs the head of a workspace's log.
    #[must_use]
    pub fn sign(&self, workspace: Uuid, size: u64, root: Hash) -> Checkpoint {
        let origin = self.origin(workspace);
        let body = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        let mut text = format!("{body}\n");
        for pair in &self.keys {
            let key = VerifierKey { name: origin.clone(), public: public(pair) };
            let signature = [&key.id()[..], pair.sign(body.as_bytes()).as_ref()].concat();
            text.push_str(&format!("\u{2014} {origin} {}\n", STANDARD.encode(signature)));
        }
        Checkpoint { origin, size, root, text }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl VerifierKey {
    /// The name: the origin of the gateway.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same key for the log of one workspace: what other tools that speak the form of C2SP
    /// are given.
    #[must_use]
    pub fn for_workspace(&self, workspace: Uuid) -> Self {
        Self { name: log_origin(&self.name, workspace), public: self.public }
    }

    /// The first four bytes of the hash of name, kind and key.
    fn id(&self) -> [u8; 4] {
        let bytes = [self.name.as_bytes(), b"\n", &[ED25519_KIND], &self.public].concat();
        let hash = digest(&SHA256, &bytes);
        hash.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The same key under the name of a log. `None` when the log is not one of this gateway.
    fn for_log(&self, origin: &str) -> Option<Self> {
        if origin == self.name {
            return Some(self.clone());
        }
        let workspace = origin.strip_prefix(&self.name)?.strip_prefix('/')?;
        let id = Uuid::parse_str(workspace).ok()?;
        (id.to_string() == workspace).then(|| Self { name: origin.to_owned(), public: self.public })
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519_KIND][..], &self.public].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id()))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // The key is base64 and may hold plus signs itself; a name may not.
        let (name, rest) = text.split_once('+').ok_or(NoteError::BadKey)?;
        let (id, key) = rest.split_once('+').ok_or(NoteError::BadKey)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::BadKey)?;
        let Some((&ED25519_KIND, public)) = key.split_first() else {
            return Err(NoteError::BadKey);
        };
        let public = public.try_into().map_err(|_| NoteError::BadKey)?;
        let key = Self { name: name.to_owned(), public };
        let is_named = !name.is_empty() && name.chars().all(is_name_char);
        if is_named && hex::encode(key.id()) == id { Ok(key) } else { Err(NoteError::BadKey) }
    }
}

impl Checkpoint {
    /// Reads a checkpoint and believes it when one of `keys` has signed it.
    ///
    /// # Errors
    ///
    /// When it is malformed, when no key has signed it, or when a signature that claims to be by
    /// one of them is not.
    pub fn verify(text: &str, keys: &[VerifierKey]) -> Result<Self, NoteError> {
        let (body, signatures) = split_note(text)?;
        let checkpoint = Self::parse_body(body, text)?;
        let keys: Vec<_> = keys.iter().filter_map(|key| key.for_log(&checkpoint.origin)).collect();
        let mut verified = false;
        for (name, signature) in signatures {
            let Some((id, signature)) = signature.split_first_chunk::<4>() else {
                return Err(NoteError::Malformed);
            };
            // Signatures by unknown keys are ignored: witnesses, and keys to come.
            let Some(key) = keys.iter().find(|key| key.name == name && key.id() == *id) else {
                continue;
            };
            UnparsedPublicKey::new(&ED25519, key.public)
                .verify(body.as_bytes(), signature)
                .map_err(|_| NoteError::BadSignature)?;
            verified = true;
        }
        if verified { Ok(checkpoint) } else { Err(NoteError::UnknownKey) }
    }

    /// The workspace whose log this is, if the origin names one.
    #[must_use]
    pub fn workspace(&self) -> Option<Uuid> {
        let (_, id) = self.origin.rsplit_once('/')?;
        Uuid::parse_str(id).ok()
    }

    fn parse_body(body: &str, text: &str) -> Result<Self, NoteError> {
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Malformed);
        };
        let size = decimal(size).ok_or(NoteError::Malformed)?;
        let root = hash(root).ok_or(NoteError::Malformed)?;
        if origin.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(Self { origin: origin.to_owned(), size, root, text: text.to_owned() })
    }
}

/// The origin of a workspace's log under that of a gateway.
pub(crate) fn log_origin(gateway: &str, workspace: Uuid) -> String {
    format!("{gateway}/{workspace}")
}

/// A number without sign and leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Name and bytes of each signature.
type Signatures<'a> = Vec<(&'a str, Vec<u8>)>;

/// The text with its last newline, and name and bytes of each signature.
fn split_note(text: &str) -> Result<(&str, Signatures<'_>), NoteError> {
    let has_control = text.bytes().any(|byte| byte < 0x20 && byte != b'\n');
    if text.len() > MAX_NOTE || has_control {
        return Err(NoteError::Malformed);
    }
    let (body, signatures) = text.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
    // The body keeps its newline; the blank line belongs to neither side.
    let body = text.get(..=body.len()).ok_or(NoteError::Malformed)?;
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    let mut found = vec![];
    for line in signatures.split('\n') {
        let rest = line.strip_prefix("\u{2014} ").ok_or(NoteError::Malformed)?;
        let (name, signature) = rest.split_once(' ').ok_or(NoteError::Malformed)?;
        let signature = STANDARD.decode(signature).map_err(|_| NoteError::Malformed)?;
        if name.is_empty() || !name.chars().all(is_name_char) || signature.len() < 5 {
            return Err(NoteError::Malformed);
        }
        found.push((name, signature));
        if found.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed);
        }
    }
    Ok((body, found))
}

fn is_name_char(c: char) -> bool {
    c != '+' && !c.is_whitespace() && !c.is_control()
}

fn pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are an Ed25519 seed")
}

fn public(pair: &Ed25519KeyPair) -> [u8; 32] {
    pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
}

/// Signed notes' number for plain Ed25519.
const ED25519_KIND: u8 = 1;
/// More than any note needs; post-quantum signatures of sixteen witnesses fit.
const MAX_NOTE: usize = 256 * 1024;
const MAX_SIGNATURES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_believed_by_those_who_know_the_key() {
        let signer = Signer::from_seed("audit.example.com", &[7; 32]);
        let checkpoint = signer.sign(WORKSPACE, 42, [9; 32]);
        let key: VerifierKey = signer.verifier_key().parse().unwrap();
        assert_eq!(Checkpoint::verify(&checkpoint.text, &[key]), Ok(checkpoint.clone()));
        assert_eq!(checkpoint.workspace(), Some(WORKSPACE));
        assert_eq!(checkpoint.origin, "audit.example.com/00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn the_example_of_the_specification_parses() {
        let text = "example.com/behind-the-sofa\n20852163\n\
                    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
                    \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDe\
                    OoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        assert_eq!(Checkpoint::verify(text, &[]), Err(NoteError::UnknownKey));
        let (body, signatures) = split_note(text).unwrap();
        assert_eq!(Checkpoint::parse_body(body, text).unwrap().size, 20_852_163);
        assert_eq!(signatures.len(), 1);
    }

    #[test]
    fn a_known_verifier_key_has_the_id_that_others_compute() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key: VerifierKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
    }

    #[test]
    fn h154_foreign_keys_and_foreign_logs_are_not_believed() {
        let signer = Signer::from_seed("audit.example.com", &[7; 32]);
        let text = signer.sign(WORKSPACE, 42, [9; 32]).text;
        let verify = |signer: &Signer| Checkpoint::verify(&text, &signer.verifier_keys());
        let cases = [
            ("another key", Signer::from_seed("audit.example.com", &[8; 32])),
            ("another name", Signer::from_seed("audit.example.co", &[7; 32])),
            ("a longer name", Signer::from_seed("audit.example.com/x", &[7; 32])),
        ];
        for (case, signer) in &cases {
            assert_eq!(verify(signer), Err(NoteError::UnknownKey), "{case}");
        }
    }

    #[test]
    fn h155_a_rotated_key_is_followed_from_either_side() {
        let old = Signer::from_seed("a.example", &[1; 32]);
        let new = Signer::from_seed("a.example", &[2; 32]);
        let both = Signer::from_seed("a.example", &[2; 32]).and_seed(&[1; 32]);
        let text = both.sign(WORKSPACE, 1, [0; 32]).text;
        assert!(Checkpoint::verify(&text, &old.verifier_keys()).is_ok());
        assert!(Checkpoint::verify(&text, &new.verifier_keys()).is_ok());
        assert_eq!(new.verifier_key(), both.verifier_key());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let signer = Signer::from_seed("a.example", &[1; 32]);
        let text = signer.sign(WORKSPACE, 1_000, [5; 32]).text;
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(bad) = String::from_utf8(bytes) else { continue };
                assert!(
                    Checkpoint::verify(&bad, &signer.verifier_keys()).is_err(),
                    "byte {at} bit {bit}: {bad}"
                );
            }
        }
    }

    #[test]
    fn origins_and_keys_that_could_be_read_in_two_ways_are_refused() {
        assert_eq!(Signer::from_seed("a b+c\n", &[1; 32]).origin, "abc");
        assert_eq!(Signer::from_seed(" ", &[1; 32]).origin, "ostiary");
        let good = Signer::from_seed("abc", &[1; 32]).verifier_key();
        let cases = [
            good.replacen("abc", "abd", 1),
            good.replacen("abc", "", 1),
            good.replacen("abc", "a c", 1),
            good.replacen('+', "", 1),
            format!("{good}A"),
            String::new(),
        ];
        for text in cases {
            assert_eq!(text.parse::<VerifierKey>(), Err(NoteError::BadKey), "{text}");
        }
    }

    const WORKSPACE: Uuid = Uuid::from_u128(7);
}
